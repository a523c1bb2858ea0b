"""DuckDB attaches the catalog and reads and writes through it."""

import duckdb
import pytest

from same import assert_same, uuids_as_text


def connect(lab):
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for extension in ("httpfs", "avro", "iceberg"):
        load(connection, extension)
    connection.execute(
        f"ATTACH 'headwater' AS hw (TYPE iceberg, ENDPOINT '{lab.uri}', AUTHORIZATION_TYPE 'none')"
    )
    return connection


def load(connection, extension):
    """The extension out of its wheel."""
    import importlib
    import pathlib

    package = importlib.import_module(f"duckdb_extension_{extension}")
    found = sorted(pathlib.Path(package.__path__[0]).rglob(f"{extension}.duckdb_extension"))
    connection.execute(f"LOAD '{found[0]}'")


@pytest.fixture(scope="module")
def duck(lab):
    return connect(lab)


def test_every_type_is_read_as_headwater_exports_it(lab, duck):
    found = duck.execute("SELECT * FROM hw.lab.things").to_arrow_table()
    assert_same(found, uuids_as_text(lab.export("Thing")))


def test_filters_and_groups_see_the_same_rows(lab, duck):
    question = "SELECT who, count(*) AS n FROM {} GROUP BY who ORDER BY who"
    found = duck.execute(question.format("hw.lab.events")).to_arrow_table()
    assert found.to_pylist() == lab.rows(question.format("events")).to_pylist()


def test_inserted_rows_are_read_by_headwater(lab, duck):
    # DuckDB cannot sort what it inserts; the order inside a file is no promise to anybody.
    duck.execute("SET unsafe_iceberg_ignore_sort_order = true")
    duck.execute("INSERT INTO hw.lab.events VALUES ('duck', TIMESTAMPTZ '2025-06-06 06:00:00+00', 3)")
    found = lab.rows("SELECT who, count FROM events WHERE who = 'duck'").to_pylist()
    assert found == [{"who": "duck", "count": 3}]


def test_tables_of_a_free_namespace_are_made_and_read(lab, duck):
    duck.execute("CREATE SCHEMA hw.ducks")
    duck.execute("CREATE TABLE hw.ducks.pond (id BIGINT, name VARCHAR)")
    duck.execute("INSERT INTO hw.ducks.pond VALUES (1, 'a'), (2, NULL)")
    found = duck.execute("SELECT * FROM hw.ducks.pond").to_arrow_table()
    assert_same(lab.rows("SELECT * FROM ducks.pond"), found)
    duck.execute("DELETE FROM hw.ducks.pond WHERE id = 1")
    assert lab.rows("SELECT id FROM ducks.pond").to_pylist() == [{"id": 2}]
