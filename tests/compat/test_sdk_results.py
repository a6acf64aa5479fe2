"""What an unmodified ClearML SDK reports, it reads back: scalars, plots, images, console, artifacts.

The interpreter that runs the tests has the `clearml` package from PyPI; else they are skipped.
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from server_rig import Server  # noqa: E402

pytestmark = pytest.mark.skipif(importlib.util.find_spec("clearml") is None,
                                reason="the clearml package is not installed here")

SCRIPT = r"""
import json, os, sys, time
from clearml import Task
task = Task.init(project_name='Project', task_name='results', auto_connect_frameworks=False,
                 auto_resource_monitoring=False)
log = task.get_logger()
for i in range(30):
    log.report_scalar('loss', 'train', iteration=i, value=1 / (i + 1))
log.report_single_value('best', 0.5)
log.report_histogram('shape', 'v', iteration=1, values=[1, 2, 3.5])
log.report_scatter2d('scatter', 's', iteration=1, scatter=[[1, 2], [3, 4]])
for i in range(3):
    import numpy
    log.report_image('image', 'i', iteration=i, image=numpy.full((8, 8, 3), i * 50, dtype='uint8'))
print('printed é')
task.upload_artifact('an é x', {'a': 1}, wait_on_upload=True)
path = os.path.join(sys.argv[1], 'a b.txt')
open(path, 'w').write('content')
task.upload_artifact('file', path, wait_on_upload=True)
task.flush(wait_for_uploads=True)

def read():
    t = Task.get_task(task.id)
    return {
        'scalars': t.get_reported_scalars(), 'all': t.get_all_reported_scalars(),
        'single': t.get_reported_single_values(), 'last': t.get_last_scalar_metrics(),
        'iteration': t.get_last_iteration(),
        'plots': sorted(p['metric'] for p in t.get_reported_plots()),
        'console': ''.join(t.get_reported_console_output(20)),
        'images': [s['iter'] for s in t.get_debug_samples('image', 'i')],
    }

end = time.time() + 30
while time.time() < end:  # reports are sent by a thread
    found = read()
    if len(found['images']) == 3 and 'printed' in found['console'] and len(found['plots']) == 2:
        break
    time.sleep(0.2)
t = Task.get_task(task.id)
found['artifact'] = t.artifacts['an é x'].get()
found['file'] = open(t.artifacts['file'].get_local_copy(force_download=True)).read()
task.close()
json.dump(found, open(os.path.join(sys.argv[1], 'found.json'), 'w'))
t.delete(raise_on_error=True)
"""


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "data").start()
    yield server
    server.stop()


def test_results_come_back(server, tmp_path):
    pytest.importorskip("numpy")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    e = server.endpoint
    env = {k: v for k, v in os.environ.items() if not k.startswith(("CLEARML", "TRAINS"))}
    env.update(CLEARML_API_HOST=e["api"], CLEARML_WEB_HOST=e["web"], CLEARML_FILES_HOST=e["files"],
               CLEARML_API_ACCESS_KEY=e["access_key"], CLEARML_API_SECRET_KEY=e["secret_key"],
               CLEARML_CONFIG_FILE=str(tmp_path / "none"), HOME=str(tmp_path))
    done = subprocess.run([sys.executable, script, tmp_path], env=env, capture_output=True, text=True,
                          timeout=180, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["scalars"]["loss"]["train"]["y"] == [1 / (i + 1) for i in range(30)]
    assert found["all"]["loss"]["train"]["x"] == list(range(30))
    assert found["single"] == {"best": 0.5}
    assert found["last"]["loss"]["train"] == {"last": 1 / 30, "min": 1 / 30, "max": 1}
    assert found["iteration"] == 29
    assert found["plots"] == ["scatter", "shape"]
    assert found["images"] == [2, 1, 0]
    assert "printed é" in found["console"]
    assert found["artifact"] == {"a": 1} and found["file"] == "content"
    # The deleted task's files went with it.
    files = server.data / "files"
    assert [str(p) for p in files.rglob("*") if p.is_file()] == []
