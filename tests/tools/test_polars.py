"""Polars reads Iceberg tables through PyIceberg's catalog, and objects through the S3 subset."""

import polars as pl
import pytest
from pyiceberg.catalog import load_catalog

from same import assert_same

# Polars keeps a UUID as its bytes.
LOOSE = ("uuid",)


@pytest.fixture(scope="module")
def catalog(lab):
    return load_catalog("headwater", **{"type": "rest", "uri": lab.uri})


def test_every_type_is_read_as_headwater_exports_it(lab, catalog):
    found = scan(catalog, "lab.things").collect().to_arrow()
    assert_same(found, lab.export("Thing"), LOOSE)


def scan(catalog, name):
    """A table for Polars' own reader, which does not ask the catalog for credentials by itself."""
    table = catalog.load_table(name)
    reach = {name: value for name, value in table.io.properties.items() if name.startswith("s3.")}
    return pl.scan_iceberg(table, storage_options=reach)


def test_filters_see_the_same_rows(lab, catalog):
    found = scan(catalog, "lab.events").filter(pl.col("who") == "ann").select("who", "count").collect().to_arrow()
    assert_same(found, lab.rows("SELECT who, count FROM events WHERE who = 'ann'"))


def test_written_rows_are_read_by_headwater(lab, catalog):
    catalog.create_namespace("polar")
    frame = pl.DataFrame({"id": [1, 2], "name": ["x", None]})
    table = catalog.create_table("polar.bears", frame.to_arrow().schema)
    frame.write_iceberg(table, mode="append")
    assert_same(lab.rows("SELECT * FROM polar.bears"), frame.to_arrow())
    frame.head(1).write_iceberg(catalog.load_table("polar.bears"), mode="overwrite")
    assert_same(lab.rows("SELECT * FROM polar.bears"), frame.head(1).to_arrow())
