"""PyIceberg reads and writes through the REST catalog, with credentials that the catalog lends."""

import datetime

import pyarrow as pa
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    ForbiddenError,
    NamespaceAlreadyExistsError,
    NamespaceNotEmptyError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType

from same import assert_same, empty_for_null


@pytest.fixture(scope="module")
def catalog(lab):
    return load_catalog("headwater", **{"type": "rest", "uri": lab.uri, "warehouse": "headwater"})


def test_every_type_is_read_as_headwater_exports_it(lab, catalog):
    table = catalog.load_table("lab.things")
    assert_same(table.scan().to_arrow(), expected(lab))


def expected(lab):
    """The rows of Thing as PyIceberg sees them: its reader gives a null list of structs as an empty one."""
    return empty_for_null(lab.export("Thing"), "sizes")


def test_modules_are_namespaces_and_iceberg_tables_are_listed(catalog):
    assert ("lab",) in catalog.list_namespaces()
    assert catalog.list_tables("lab") == [("lab", "events"), ("lab", "things")]
    with pytest.raises(NoSuchTableError):
        catalog.load_table("lab.notes")


def event(who, at, count):
    return {"who": who, "at": datetime.datetime.fromisoformat(at), "count": count}


def events(rows):
    schema = pa.schema([
        pa.field("who", pa.string(), nullable=False),
        pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("count", pa.int32()),
    ])
    return pa.Table.from_pylist(rows, schema=schema)


def test_appended_rows_are_read_by_headwater(lab, catalog):
    table = catalog.load_table("lab.events")
    before = lab.export("Event").num_rows
    table.append(events([event("eve", "2025-05-05T05:00:00+00:00", 9)]))
    assert lab.export("Event").num_rows == before + 1
    assert_same(catalog.load_table("lab.events").scan().to_arrow(), lab.export("Event"))
    found = lab.rows("SELECT who, count FROM events WHERE at > '2025-01-01'").to_pylist()
    assert found == [{"who": "eve", "count": 9}]


def test_deletes_and_overwrites_are_read_by_headwater(lab, catalog):
    table = catalog.load_table("lab.events")
    table.delete("who == 'bob'")
    assert lab.rows("SELECT count(*) AS n FROM events WHERE who = 'bob'").to_pylist() == [{"n": 0}]
    table = catalog.load_table("lab.events")
    table.overwrite(events([event("zoe", "2024-01-02T00:00:00+00:00", 1)]), overwrite_filter="who == 'ann'")
    assert_same(catalog.load_table("lab.events").scan().to_arrow(), lab.export("Event"))
    assert lab.rows("SELECT count(*) AS n FROM events WHERE who = 'ann'").to_pylist() == [{"n": 0}]


def things(lab, **changes):
    """One row like an exported one, with other values."""
    found = lab.export("Thing")
    row = found.slice(0, 1).to_pylist()[0] | changes
    return row


def test_upserts_keep_the_key(lab, catalog):
    table = catalog.load_table("lab.things")
    schema = table.schema().as_arrow()
    changed = things(lab, id="d", name="gate", small=8)
    new = things(lab, id="e", name="new", small=9)
    done = table.upsert(pa.Table.from_pylist([changed, new], schema=schema), join_cols=["id"])
    assert (done.rows_updated, done.rows_inserted) == (1, 1)
    found = lab.rows("SELECT id, name FROM things WHERE id IN ('d', 'e') ORDER BY id").to_pylist()
    assert found == [{"id": "d", "name": "gate"}, {"id": "e", "name": "new"}]
    assert_same(catalog.load_table("lab.things").scan().to_arrow(), expected(lab))


def test_a_key_that_is_there_is_refused_in_words(lab, catalog):
    table = catalog.load_table("lab.things")
    before = lab.export("Thing").num_rows
    again = pa.Table.from_pylist([things(lab, id="a")], schema=table.schema().as_arrow())
    with pytest.raises(Exception, match="two rows of the table would have the key `\"?a\"?`"):
        table.append(again)
    assert lab.export("Thing").num_rows == before


def test_searches_find_what_another_tool_wrote(lab, catalog):
    table = catalog.load_table("lab.things")
    row = things(lab, id="s", name="zebra crossing")
    table.append(pa.Table.from_pylist([row], schema=table.schema().as_arrow()))
    found = lab.query('{ things(search: "zebra", first: 3) { nodes { id } } }')
    assert '"s"' in found


def test_a_value_that_is_no_enum_value_is_refused(lab, catalog):
    table = catalog.load_table("lab.things")
    row = things(lab, id="x", colour="BLUE")
    with pytest.raises(Exception, match="`BLUE` is no value of the enum `Colour`"):
        table.append(pa.Table.from_pylist([row], schema=table.schema().as_arrow()))


def test_columns_are_changed_by_the_schema_alone(catalog):
    table = catalog.load_table("lab.things")
    with pytest.raises(ForbiddenError, match="headwater plan"):
        with table.update_schema() as update:
            update.add_column("extra", StringType())
    with pytest.raises(ForbiddenError, match="follow the schema"):
        catalog.drop_table("lab.things")
    with pytest.raises(ForbiddenError, match="follow the schema"):
        catalog.create_table("lab.others", Schema(NestedField(1, "id", LongType(), required=True)))


def test_a_free_namespace_is_the_tools_own(lab, catalog):
    catalog.create_namespace("free", {"owner": "me"})
    with pytest.raises(NamespaceAlreadyExistsError):
        catalog.create_namespace("free")
    assert catalog.load_namespace_properties("free") == {"owner": "me"}
    done = catalog.update_namespace_properties("free", removals={"owner"}, updates={"a": "b"})
    assert (done.removed, done.updated) == (["owner"], ["a"])
    rows = pa.table({"id": pa.array([1, 2, 3], pa.int64()), "word": ["x", "y", None]})
    table = catalog.create_table("free.words", rows.schema)
    table.append(rows)
    with pytest.raises(TableAlreadyExistsError):
        catalog.create_table("free.words", rows.schema)
    assert_same(lab.rows("SELECT * FROM free.words"), rows)
    table.delete("id == 2")
    with table.update_schema() as update:
        update.rename_column("word", "text")
        update.add_column("extra", LongType())
    table = catalog.load_table("free.words")
    assert_same(lab.rows("SELECT * FROM free.words"), table.scan().to_arrow())
    with pytest.raises(NamespaceNotEmptyError):
        catalog.drop_namespace("free")
    catalog.rename_table("free.words", "free.texts")
    assert_same(lab.rows("SELECT id FROM free.texts"), pa.table({"id": pa.array([1, 3], pa.int64())}))
    catalog.purge_table("free.texts")
    with pytest.raises(NoSuchTableError):
        catalog.load_table("free.texts")
    catalog.drop_namespace("free")
    with pytest.raises(NoSuchNamespaceError):
        catalog.list_tables("free")


def test_a_staged_table_appears_with_its_rows(lab, catalog):
    catalog.create_namespace("staged")
    rows = pa.table({"id": pa.array([1, 2], pa.int64())})
    with catalog.create_table_transaction("staged.made", rows.schema) as transaction:
        transaction.append(rows)
        assert not catalog.table_exists("staged.made")
    assert_same(lab.rows("SELECT * FROM staged.made"), rows)


def test_one_of_two_racing_writers_must_look_again(catalog):
    catalog.create_namespace("race")
    rows = pa.table({"id": pa.array([1], pa.int64())})
    catalog.create_table("race.t", rows.schema)
    first, second = catalog.load_table("race.t"), catalog.load_table("race.t")
    first.append(rows)
    with second.transaction() as transaction:
        with transaction.update_schema() as update:
            update.add_column("a", StringType())
    third, fourth = catalog.load_table("race.t"), catalog.load_table("race.t")
    with third.update_schema() as update:
        update.add_column("b", StringType())
    with pytest.raises(CommitFailedException):
        with fourth.update_schema() as update:
            update.add_column("c", StringType())
