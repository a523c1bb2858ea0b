"""DuckDB over bare Parquet files."""

import json
import sys

import duckdb
from peer import number, serve

files = json.loads(sys.argv[1])
connection = duckdb.connect()
connection.execute("SET threads = 2; SET parquet_metadata_cache = true; SET TimeZone = 'UTC'")
for table, paths in files.items():
    connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet({json.dumps(paths)})".replace('"', "'"))


def answer(question):
    rows = 0
    for index in range(question["first"], question["first"] + question["repeat"]):
        rows += connection.execute(question["sql"].replace("{n}", str(number(index)))).to_arrow_table().num_rows
    return {"rows": rows}


serve(f"DuckDB {duckdb.__version__}", answer)
