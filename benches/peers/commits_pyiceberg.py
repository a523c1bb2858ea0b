"""PyIceberg: one row appended to a table in a catalog in SQL, again and again."""

import json
import sys
import time

import pyarrow as pa
import pyiceberg
from peer import serve
from pyiceberg.catalog.sql import SqlCatalog

given = json.loads(sys.argv[1])
catalog = SqlCatalog("peer", uri=given.pop("catalog"), **given)
catalog.create_namespace("bench")
schema = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("amount", pa.int64(), nullable=False)])
table = catalog.create_table("bench.accounts", schema)


def answer(question):
    started = time.perf_counter()
    table.append(pa.table({"id": [question["id"]], "amount": [1]}, schema=schema))
    return {"milliseconds": (time.perf_counter() - started) * 1000}


serve(f"PyIceberg {pyiceberg.__version__}", answer)
