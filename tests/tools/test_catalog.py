"""What a catalog does beside single tables: registering, commits of several tables, the format's versions.

PyIceberg does what it can; commits of several tables, for which it has no call, are made of its own
requests, with data files that it wrote.
"""

import json

import pyarrow as pa
import pytest
import requests
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import (
    BadRequestError,
    CommitFailedException,
    ForbiddenError,
    NoSuchTableError,
    RESTError,
    TableAlreadyExistsError,
)

from same import assert_same

ROWS = pa.table({"id": pa.array([1, 2, 3], pa.int64()), "word": ["x", "y", None]})


@pytest.fixture(scope="module")
def catalog(lab):
    made = load_catalog("headwater", **{"type": "rest", "uri": lab.uri})
    made.create_namespace("free")
    return made


def made(catalog, name, rows=ROWS):
    table = catalog.create_table(name, rows.schema)
    table.append(rows)
    return table


def test_a_table_that_was_let_go_is_registered_with_its_rows(lab, catalog):
    table = made(catalog, "free.gone")
    catalog.drop_table("free.gone")
    with pytest.raises(NoSuchTableError):
        catalog.load_table("free.gone")
    back = catalog.register_table("free.back", table.metadata_location)
    assert (back.metadata.table_uuid, back.metadata_location) == (table.metadata.table_uuid, table.metadata_location)
    assert_same(back.scan().to_arrow(), ROWS)
    back.append(ROWS)
    assert lab.rows("SELECT count(*) AS n FROM free.back").to_pylist() == [{"n": 6}]


def test_an_older_state_is_registered_and_the_name_goes_over_to_it(lab, catalog):
    table = made(catalog, "free.moved")
    older = table.metadata_location
    table.append(ROWS)
    with pytest.raises(TableAlreadyExistsError, match="Table already exists: free.moved"):
        catalog.register_table("free.moved", older)
    assert lab.rows("SELECT count(*) AS n FROM free.moved").to_pylist() == [{"n": 6}]
    catalog.register_table("free.moved", older, overwrite=True)
    assert lab.rows("SELECT count(*) AS n FROM free.moved").to_pylist() == [{"n": 3}]


def test_metadata_that_is_not_the_tools_own_is_not_registered(lab, catalog):
    ours = catalog.load_table("lab.things")
    with pytest.raises(ForbiddenError, match="belongs to Headwater"):
        catalog.register_table("free.stolen", ours.metadata_location)
    table = made(catalog, "free.source")
    folder = table.location()
    with pytest.raises(Exception, match="Failed to open input stream for file: .*/metadata/never.metadata.json"):
        catalog.register_table("free.never", f"{folder}/metadata/never.metadata.json")
    with pytest.raises(Exception, match="no location in the warehouse|outside the warehouse|warehouse"):
        catalog.register_table("free.away", "s3://elsewhere/t/metadata/1.metadata.json")
    # Metadata that says it lies in a table of ours, below a name that is free.
    told = json.loads(table.io.new_input(table.metadata_location).open().read())
    told["location"] = ours.location()
    forged = f"{folder}/metadata/forged.metadata.json"
    with table.io.new_output(forged).create() as out:
        out.write(json.dumps(told).encode())
    with pytest.raises(ForbiddenError, match="belongs to Headwater"):
        catalog.register_table("free.forged", forged)
    with table.io.new_output(f"{folder}/metadata/none.metadata.json").create() as out:
        out.write(b"{}")
    with pytest.raises(Exception, match="no table metadata that can be read"):
        catalog.register_table("free.none", f"{folder}/metadata/none.metadata.json")
    with pytest.raises(ForbiddenError, match="follow"):
        catalog.register_table("lab.taken", table.metadata_location)
    assert [name for _, name in catalog.list_tables("free") if name in ("stolen", "never", "away", "forged", "none")] == []


def staged(table, rows):
    """The requirements and updates of an append that is not committed; its files are written."""
    transaction = table.transaction()
    transaction.append(rows)
    return {
        "identifier": {"namespace": list(table.name()[:-1]), "name": table.name()[-1]},
        "requirements": [one.model_dump(mode="json", by_alias=True) for one in transaction._requirements],
        "updates": [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in transaction._updates],
    }


def commit(lab, *changes):
    return requests.post(f"{lab.uri}/v1/transactions/commit", json={"table-changes": list(changes)}, timeout=60)


def counts(lab, *names):
    return [lab.rows(f"SELECT count(*) AS n FROM {name}").to_pylist()[0]["n"] for name in names]


def test_two_appends_are_committed_at_one_moment_or_not_at_all(lab, catalog):
    one, two = made(catalog, "free.one"), made(catalog, "free.two")
    events = catalog.load_table("lab.events")
    more = events.scan(limit=1).to_arrow().cast(events.schema().as_arrow())
    was = counts(lab, "events")[0]
    done = commit(lab, staged(one, ROWS), staged(two, ROWS), staged(events, more))
    assert (done.status_code, done.text) == (204, "")
    assert counts(lab, "free.one", "free.two", "events") == [6, 6, was + 1]
    # Both were read before somebody else changed the second.
    first, second, third = staged(one.refresh(), ROWS), staged(two.refresh(), ROWS), staged(events.refresh(), more)
    catalog.load_table("free.two").append(ROWS)
    lost = commit(lab, first, third, second)
    assert (lost.status_code, lost.json()["error"]["type"]) == (409, "CommitFailedException")
    assert counts(lab, "free.one", "free.two", "events") == [6, 9, was + 1]
    assert one.refresh().current_snapshot().snapshot_id != first["updates"][0]["snapshot"]["snapshot-id"]
    # A key that is there already, in one of two tables, keeps the other back, too.
    things = catalog.load_table("lab.things")
    again = things.scan(row_filter="id == 'a'").to_arrow().cast(things.schema().as_arrow())
    refused = commit(lab, staged(one.refresh(), ROWS), staged(things, again))
    assert (refused.status_code, "two rows of the table would have the key" in refused.text) == (400, True), refused.text
    assert counts(lab, "free.one", "things") == [6, 4]
    # Said again on what is there now, it is committed.
    again = commit(lab, staged(one.refresh(), ROWS), staged(two.refresh(), ROWS), staged(events.refresh(), more))
    assert again.status_code == 204, again.text
    assert counts(lab, "free.one", "free.two", "events") == [9, 12, was + 2]


def said(lab, path, body):
    answer = requests.post(f"{lab.uri}/v1/{path}", json=body, timeout=30)
    error = answer.json().get("error", {})
    return answer.status_code, error.get("type"), error.get("message")


def schema_of(kind, **field):
    return {"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "a", "required": False, "type": kind} | field]}


def test_versions_of_the_format_are_judged_as_the_reference_judges_them(lab, catalog):
    def create(name, schema, version):
        body = {"name": name, "schema": schema, "properties": {"format-version": version}}
        return said(lab, "namespaces/free/tables", body)

    def upgrade(namespace, name, version):
        update = {"action": "upgrade-format-version", "format-version": version}
        return said(lab, f"namespaces/{namespace}/tables/{name}", {"requirements": [], "updates": [update]})

    argument = (400, "IllegalArgumentException")
    assert create("v4", schema_of("long"), "4") == (*argument, "Unsupported format version: v4 (supported: v3)")
    assert create("v2", schema_of("long"), "2")[0] == 200
    assert upgrade("free", "v2", 4) == (*argument, "Cannot upgrade table to unsupported format version: v4 (supported: v3)")
    assert upgrade("free", "v2", 3)[0] == 200
    assert catalog.load_table("free.v2").metadata.format_version == 3
    assert upgrade("free", "v2", 3)[0] == 200
    assert upgrade("free", "v2", 2) == (*argument, "Cannot downgrade v3 table to v2")
    # What only version 3 has is no part of version 2.
    assert create("nanos", schema_of("timestamp_ns"), "3")[0] == 200
    assert create("no-nanos", schema_of("timestamp_ns"), "2") == (
        400, "ValidationException", "Invalid schema for v2:\n- Invalid type for a: timestamp_ns is not supported until v3")
    five = {"initial-default": 5, "write-default": 5}
    assert create("five", schema_of("long", **five), "3")[0] == 200
    assert create("no-five", schema_of("long", **five), "2")[2] == (
        "Invalid schema for v2:\n- Invalid initial default for a: non-null default (5) is not supported until v3")
    assert create("variant", schema_of("variant"), "3")[:2] == argument
    assert catalog.table_exists("free.variant") is False
    # Tables of the schema are of version 2, which every tool reads.
    assert upgrade("lab", "things", 3)[:2] == (403, "ForbiddenException")
    assert upgrade("lab", "things", 2)[0] == 200


def test_a_default_of_version_3_stands_for_rows_that_were_there_before(lab, catalog):
    made(catalog, "free.defaults")
    table = catalog.load_table("free.defaults")
    schema = table.metadata.schemas[-1].model_dump(mode="json", by_alias=True, exclude_none=True)
    column = {"id": 3, "name": "added", "required": False, "type": "long", "initial-default": 7, "write-default": 8}
    schema = schema | {"schema-id": 1, "fields": [*schema["fields"], column]}
    updates = [
        {"action": "upgrade-format-version", "format-version": 3},
        {"action": "add-schema", "schema": schema, "last-column-id": 3},
        {"action": "set-current-schema", "schema-id": -1},
    ]
    assert said(lab, "namespaces/free/tables/defaults", {"requirements": [], "updates": updates})[0] == 200
    assert lab.rows("SELECT id, added FROM free.defaults ORDER BY id").to_pylist() == [{"id": n, "added": 7} for n in (1, 2, 3)]
    assert lab.rows("SELECT count(*) AS n FROM free.defaults WHERE added = 7").to_pylist() == [{"n": 3}]
