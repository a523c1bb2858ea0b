"""pylance reads and writes Lance tables through the S3 subset."""

import json

import lance
import pyarrow as pa
import pytest

from same import assert_same


@pytest.fixture(scope="module")
def notes(lab):
    """Where the table is, and the options to reach it."""
    told = json.loads(lab.run("connect", "pylance", "--table", "lab.notes", "--server-url", lab.origin, "--write", "--json"))
    return told["location"], told["options"]


def test_rows_are_read_as_headwater_exports_them(lab, notes):
    location, options = notes
    found = lance.dataset(location, storage_options=options).to_table()
    assert_same(found, lab.export("Note"))


def test_versions_follow_headwaters(lab, notes):
    location, options = notes
    before = lance.dataset(location, storage_options=options)
    lab.query('mutation { upsertNote(input: {id: "4", text: "fourth"}) { node { id } } }')
    after = lance.dataset(location, storage_options=options)
    assert after.version == before.version + 1
    assert_same(after.to_table(), lab.export("Note"))
    assert lance.dataset(location, version=before.version, storage_options=options).count_rows() == 3


def rows(*given):
    schema = pa.schema([
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("stars", pa.int32()),
    ])
    return pa.Table.from_pylist(list(given), schema=schema)


def test_written_rows_are_read_by_headwater(lab, notes):
    location, options = notes
    lance.write_dataset(rows({"id": "5", "text": "fifth", "stars": 2}), location, mode="append", storage_options=options)
    assert_same(lance.dataset(location, storage_options=options).to_table(), lab.export("Note"))
    dataset = lance.dataset(location, storage_options=options)
    dataset.delete("id = '2'")
    assert_same(lance.dataset(location, storage_options=options).to_table(), lab.export("Note"))
    dataset = lance.dataset(location, storage_options=options)
    changed = rows({"id": "5", "text": "changed", "stars": None}, {"id": "6", "text": "sixth", "stars": 1})
    dataset.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(changed)
    assert_same(lance.dataset(location, storage_options=options).to_table(), lab.export("Note"))
    found = lab.rows("SELECT text FROM notes WHERE id = '5'").to_pylist()
    assert found == [{"text": "changed"}]


def test_a_key_that_is_there_is_refused_and_nothing_changes(lab, notes):
    location, options = notes
    before = lab.export("Note")
    with pytest.raises(Exception, match="two rows have the key"):
        again = rows({"id": "1", "text": "again", "stars": None})
        lance.write_dataset(again, location, mode="append", storage_options=options)
    assert_same(lab.export("Note"), before)


def test_other_columns_are_refused(lab, notes):
    location, options = notes
    dataset = lance.dataset(location, storage_options=options)
    with pytest.raises(Exception, match="headwater plan"):
        dataset.add_columns({"twice": "stars * 2"})
    assert lab.export("Note").column_names == ["id", "text", "stars"]


def scraps(*given, mood=pa.string()):
    fields = [("id", pa.string()), ("text", pa.string()), ("mood", mood), ("at", pa.timestamp("us", "UTC"))]
    return pa.Table.from_pylist(list(given), schema=pa.schema(fields))


def test_the_first_rows_of_a_table_may_be_another_tools(lab):
    told = json.loads(lab.run("connect", "pylance", "--table", "lab.scraps", "--server-url", lab.origin, "--write", "--json"))
    location, options = told["location"], told["options"]
    row = {"id": "1", "text": "first", "mood": "GLAD", "at": None}
    with pytest.raises(Exception, match="columns of type `Scrap` would change"):
        lance.write_dataset(scraps({**row, "mood": 1}, mood=pa.int32()), location, storage_options=options)
    with pytest.raises(Exception, match="`WILD` is no value of the enum `Mood`"):
        lance.write_dataset(scraps({**row, "mood": "WILD"}), location, storage_options=options)
    lance.write_dataset(scraps(row), location, storage_options=options)
    lab.query('mutation { upsertScrap(input: {id: "2", text: "second"}) { node { id } } }')
    found = lab.rows("SELECT id, text, mood FROM scraps ORDER BY id").to_pylist()
    assert found == [
        {"id": "1", "text": "first", "mood": "GLAD"},
        {"id": "2", "text": "second", "mood": None},
    ]
    assert lance.dataset(location, storage_options=options).count_rows() == 2
