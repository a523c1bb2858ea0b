"""DataFusion over bare Parquet files."""

import json
import os
import sys
import tempfile

import datafusion
from datafusion import SessionConfig, SessionContext
from peer import number, serve

files = json.loads(sys.argv[1])
config = (
    SessionConfig()
    .with_target_partitions(2)
    .set("datafusion.execution.parquet.pushdown_filters", "true")
    .set("datafusion.execution.parquet.reorder_filters", "true")
)
context = SessionContext(config)
# A table of DataFusion is a folder, so the files are linked into one.
folder = tempfile.TemporaryDirectory()
for table, paths in files.items():
    os.mkdir(f"{folder.name}/{table}")
    for index, path in enumerate(paths):
        os.symlink(path, f"{folder.name}/{table}/{index}.parquet")
    context.register_parquet(table, f"{folder.name}/{table}")


def answer(question):
    rows = 0
    for index in range(question["first"], question["first"] + question["repeat"]):
        batches = context.sql(question["sql"].replace("{n}", str(number(index)))).collect()
        rows += sum(batch.num_rows for batch in batches)
    return {"rows": rows}


serve(f"DataFusion {datafusion.__version__}", answer)
