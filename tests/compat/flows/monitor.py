"""Says which tasks of a project failed since it began to look."""
import argparse
import json

from clearml import Task
from clearml.automation.monitor import Monitor


class Alerts(Monitor):
    def __init__(self, project):
        super(Alerts, self).__init__()
        self.project = project
        self.made = None
        self.set_projects(project_names=[project])

    def make(self, name, failed):
        task = Task.create(project_name=self.project, task_name=name)
        task.mark_started(force=True)
        if failed:
            task.mark_failed(status_reason="on purpose", status_message="message", force=True)
        else:
            task.mark_completed()
        return task.id

    def get_query_parameters(self):
        return dict(status=["failed"], order_by=["-last_update"])

    def monitor_step(self):
        super(Alerts, self).monitor_step()
        if not self.made:
            self.make("good", False)
            self.made = self.make("bad", True)

    def process_task(self, task):
        print(json.dumps({"made": self.made, "seen": task.id, "name": task.name, "status": task.get_status(),
                          "reason": task.data.status_reason, "console": task.get_reported_console_output(3)}))
        raise SystemExit(0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--project")
    args = parser.parse_args()
    # Failed before anybody looks: no alert.
    Alerts(args.project).make("before", True)
    Alerts(args.project).monitor(pool_period=0.5)


if __name__ == "__main__":
    main()
