"""After every kind of change, every tool reads exactly what Headwater reads.

The changes are made on a project that is being served: an upsert, a deletion, a rename of a column, a
widening, another partition, a compaction. After each, row hashes and columns of all tools are compared
with Headwater's own export.
"""

import os

import polars as pl
import pytest
from pyiceberg.catalog import load_catalog

from conftest import Lab, SCHEMA, THINGS
from same import assert_same, empty_for_null, uuids_as_text
from test_duckdb import connect

MORE = """\
{"id":"b","name":"stool","small":5,"large":50,"price":"1.5","tags":["new"],"sizes":[]}
{"id":"e","name":"eagle","small":6,"large":60,"price":"2.5","tags":[],"sizes":[]}
"""


@pytest.fixture(scope="module")
def changing(tmp_path_factory, backend):
    made = Lab(tmp_path_factory.mktemp("changing"), **backend)
    made.write_schema(SCHEMA)
    made.apply()
    made.load("Thing", "things.jsonl", THINGS)
    made.start()
    yield made
    made.stop()


def by_pyiceberg(lab):
    catalog = load_catalog("headwater", **{"type": "rest", "uri": lab.uri})
    assert_same(catalog.load_table("lab.things").scan().to_arrow(), empty_for_null(lab.export("Thing"), "sizes"))


def by_duckdb(lab):
    found = connect(lab).execute("SELECT * FROM hw.lab.things").to_arrow_table()
    assert_same(found, uuids_as_text(lab.export("Thing")))


def by_polars(lab):
    catalog = load_catalog("headwater", **{"type": "rest", "uri": lab.uri})
    table = catalog.load_table("lab.things")
    reach = {name: value for name, value in table.io.properties.items() if name.startswith("s3.")}
    found = pl.scan_iceberg(table, storage_options=reach).collect().to_arrow()
    assert_same(found, lab.export("Thing"), loose=("uuid",))


def by_spark(lab):
    from test_spark import assert_same_in_spark, session

    spark = session(lab)
    try:
        assert_same_in_spark(spark.table("hw.lab.things"), uuids_as_text(lab.export("Thing")))
    finally:
        spark.stop()


TOOLS = [by_pyiceberg, by_duckdb, by_polars]
# Spark takes a minute to start; `cargo xtask torture tools` has it read after each change.
if os.environ.get("HEADWATER_TOOLS") == "all":
    TOOLS.append(by_spark)


def upsert(lab):
    lab.load("Thing", "more.jsonl", MORE)


def delete(lab):
    lab.query('mutation { deleteThing(id: "d") { count } }')


def edit(lab, old, new):
    path = lab.folder / "schema/main.graphql"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    lab.apply()


def rename(lab):
    edit(lab, "  ratio: Float\n", '  rate: Float @was(name: "ratio")\n')


def widen(lab):
    edit(lab, "  small: Int\n", "  small: Long\n")


def partition(lab):
    edit(lab, 'bucket: { by: "id", count: 2 }', 'bucket: { by: "id", count: 3 }')


def write_after(lab):
    lab.load("Thing", "after.jsonl", '{"id":"f","name":"after","small":9007199254740993,"rate":0.5,"tags":[],"sizes":[]}\n')


def compact(lab):
    lab.run("compact", "Thing")


CHANGES = [upsert, delete, rename, widen, partition, write_after, compact]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_all_tools_agree_after(changing, change):
    before = changing.export("Thing")
    change(changing)
    after = changing.export("Thing")
    if change is not compact and change is not partition:
        assert (before.schema, before.to_pylist()) != (after.schema, after.to_pylist())
    for tool in TOOLS:
        tool(changing)
