"""Reports what a Logger can report, as a training script would: report.py PROJECT"""

import json
import sys

import numpy
import pandas
from clearml import Task
from PIL import Image

task = Task.init(project_name=sys.argv[1], task_name="report", auto_connect_frameworks=False,
                 auto_resource_monitoring=False, reuse_last_task_id=False)
logger = task.get_logger()
for i in range(30):
    logger.report_scalar("loss", "train", iteration=i, value=1 / (i + 1))
    logger.report_scalar("loss", "test é", iteration=i, value=2 / (i + 1))
if hasattr(logger, "report_single_value"):
    logger.report_single_value("best", 0.5)
    logger.report_single_value("worst", 7)
logger.report_text("a line of text")
logger.report_text("a warning of text", level=30)
logger.report_histogram("histogram", "v", iteration=1, values=[1, 2, 3.5])
logger.report_vector("vector", "v", iteration=1, values=[3, 2, 1])
logger.report_table("table", "t", iteration=2, table_plot=pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
logger.report_scatter2d("scatter", "s", iteration=1, scatter=[[1, 2], [3, 4]], mode="lines+markers")
logger.report_scatter3d("scatter 3", "s", iteration=1, scatter=[[1, 2, 3], [3, 4, 5]])
logger.report_line_plot("lines", iteration=1, series=[], xaxis="x", yaxis="y")
logger.report_confusion_matrix("confusion", "c", iteration=1, matrix=numpy.eye(3))
logger.report_surface("surface", "s", iteration=1, matrix=numpy.eye(3))
logger.report_plotly("plotly", "p", iteration=1, figure={"data": [{"type": "bar", "y": [1, 2]}], "layout": {}})
for i in range(3):
    logger.report_image("image", "array", iteration=i, image=numpy.full((8, 8, 3), i * 50, dtype="uint8"))
logger.report_image("image", "pillow", iteration=1, image=Image.new("RGB", (4, 4), "red"))
with open("sample.html", "w") as f:
    f.write("<p>sample</p>")
logger.report_media("media", "html", iteration=1, local_path="sample.html")
print("printed é")
task.flush(wait_for_uploads=True)
task.close()
print(json.dumps({"task": task.id}))
