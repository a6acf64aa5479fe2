// One task: its log, which can be followed, and its figures.

import { call } from "./api.js";
import { element, setAttribute, setClass, setText } from "./dom.js";
import { FiguresPane } from "./figures.js";
import * as format from "./format.js";
import { LogPane } from "./log.js";
import { FIELDS, attempt, reason, runtime, statusText } from "./tasks.js";

export class TaskView {
  constructor(id) {
    this.id = id;
    this.beat = 2000;
    this.abort = new AbortController();
    this.panes = { log: new LogPane(id, this.abort.signal), figures: new FiguresPane(id, this.abort.signal) };
    this.name = element("h1");
    this.status = element("span");
    this.facts = element("dl", { class: "facts" });
    this.tabs = Object.fromEntries(["log", "figures"].map((name) => [name, element("button", {
      type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "pane",
      onclick: () => this.choose(name), onkeydown: (e) => this.key(e),
    }, name === "log" ? "Log" : "Figures")]));
    this.pane = element("div", { class: "pane", id: "pane", role: "tabpanel" });
    this.tools = element("div", { class: "tools" });
    this.node = element("section", { class: "view" },
      element("div", { class: "bar" }, element("a", { href: "#/tasks", title: "All tasks" }, "\u2190"), this.name, this.status),
      this.facts,
      element("div", { class: "bar" },
        element("div", { role: "tablist", "aria-label": "Of this task", class: "tabs" }, this.tabs.log, this.tabs.figures),
        element("span", { class: "spring" }), this.tools),
      this.pane);
    this.choose("log");
  }

  choose(name) {
    this.chosen = name;
    for (const [n, tab] of Object.entries(this.tabs)) {
      setAttribute(tab, "aria-selected", n === name);
      setAttribute(tab, "tabindex", n === name ? 0 : -1);
    }
    setAttribute(this.pane, "aria-labelledby", `tab-${name}`);
    this.pane.replaceChildren(this.panes[name].node);
    this.tools.replaceChildren(...this.panes[name].tools);
    this.panes[name].refresh().catch(() => {}); // the next beat tells
  }

  key(event) {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    this.choose(this.chosen === "log" ? "figures" : "log");
    this.tabs[this.chosen].focus();
  }

  async refresh() {
    const data = await call("tasks.get_all_ex", { id: [this.id], only_fields: FIELDS, search_hidden: true }, this.abort.signal);
    this.showTask(data.tasks?.[0]);
    await this.panes[this.chosen].refresh();
  }

  showTask(task) {
    setText(this.name, task ? (task.name ?? task.id) : "There is no such task");
    setText(this.status, statusText(task?.status));
    setClass(this.status, `status ${task?.status ?? ""}`);
    const facts = {
      Id: this.id,
      Project: task?.project?.name,
      Worker: task?.last_worker,
      Queue: task?.execution?.queue?.name,
      Started: format.time(task?.started),
      Runtime: task && format.duration(runtime(task)),
      Attempt: task && attempt(task),
      Reason: task && reason(task),
    };
    const entries = Object.entries(facts).filter(([, value]) => value);
    if (this.facts.children.length !== entries.length)
      this.facts.replaceChildren(...entries.map(() => element("div", {}, element("dt"), element("dd"))));
    entries.forEach(([name, value], i) => {
      setText(this.facts.children[i].children[0], name);
      setText(this.facts.children[i].children[1], String(value));
    });
  }

  redraw() {
    this.panes.figures.draw();
  }

  destroy() {
    this.abort.abort();
    for (const pane of Object.values(this.panes)) pane.destroy();
  }
}
