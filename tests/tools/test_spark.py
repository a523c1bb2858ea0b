"""Spark with Iceberg's runtime reads and writes through the catalog."""

import os
import pathlib
import shutil

import pytest

from same import assert_same

JARS = pathlib.Path(os.environ.get("HEADWATER_JARS", pathlib.Path(__file__).resolve().parents[2] / ".tools/jars"))
FOUND = sorted(JARS.glob("iceberg-*.jar")) if JARS.is_dir() else []

pytestmark = pytest.mark.skipif(
    not FOUND or shutil.which("java") is None,
    reason="Spark needs Java 17 and its jars: `cargo xtask setup` fetches them by Maven",
)

# Spark has no UUID and reads it as its text.
LOOSE = ("uuid",)


@pytest.fixture(scope="module")
def spark(lab):
    from pyspark.sql import SparkSession

    name = "spark.sql.catalog.hw"
    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.jars", ",".join(str(jar) for jar in FOUND))
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
        .config(name, "org.apache.iceberg.spark.SparkCatalog")
        .config(f"{name}.type", "rest")
        .config(f"{name}.uri", lab.uri)
        .config(f"{name}.io-impl", "org.apache.iceberg.aws.s3.S3FileIO")
        .config(f"{name}.header.X-Iceberg-Access-Delegation", "vended-credentials")
        .getOrCreate()
    )
    yield session
    session.stop()


def test_every_type_is_read_as_headwater_exports_it(lab, spark):
    import uuid

    import pyarrow as pa

    found = spark.table("hw.lab.things").toArrow()
    expected = lab.export("Thing")
    texts = [None if one is None else str(uuid.UUID(bytes=one) if isinstance(one, bytes) else one)
             for one in expected.column("uuid").to_pylist()]
    position = expected.column_names.index("uuid")
    expected = expected.set_column(position, "uuid", pa.array(texts, pa.string()))
    assert_same(found, expected, LOOSE)


def test_changes_are_read_by_headwater(lab, spark):
    spark.sql("INSERT INTO hw.lab.events VALUES ('spark', TIMESTAMP '2025-07-07 07:00:00', 4)")
    found = lab.rows("SELECT who, count FROM events WHERE who = 'spark'").to_pylist()
    assert found == [{"who": "spark", "count": 4}]
    spark.sql("UPDATE hw.lab.things SET name = 'sparkled' WHERE id = 'b'")
    spark.sql("DELETE FROM hw.lab.things WHERE id = 'c'")
    found = lab.rows("SELECT id, name FROM things WHERE id IN ('b', 'c')").to_pylist()
    assert found == [{"id": "b", "name": "sparkled"}]
    spark.sql(
        "MERGE INTO hw.lab.events e USING (SELECT 'spark' AS who) s ON e.who = s.who "
        "WHEN MATCHED THEN UPDATE SET count = 5"
    )
    found = lab.rows("SELECT count FROM events WHERE who = 'spark'").to_pylist()
    assert found == [{"count": 5}]


def test_columns_follow_the_schema(spark):
    with pytest.raises(Exception, match="headwater plan"):
        spark.sql("ALTER TABLE hw.lab.things ADD COLUMN extra STRING")


def test_a_free_namespace_holds_tables_and_views(lab, spark):
    spark.sql("CREATE NAMESPACE hw.sparks")
    spark.sql("CREATE TABLE hw.sparks.made USING iceberg PARTITIONED BY (bucket(2, id)) AS "
              "SELECT id, CAST(id AS STRING) AS text FROM range(10)")
    spark.sql("ALTER TABLE hw.sparks.made ADD COLUMN more INT")
    spark.sql("DELETE FROM hw.sparks.made WHERE id > 7")
    assert_same(lab.rows("SELECT * FROM sparks.made"), spark.table("hw.sparks.made").toArrow())
    spark.sql("CREATE VIEW hw.sparks.seen AS SELECT id FROM hw.sparks.made WHERE id < 3")
    assert spark.sql("SELECT count(*) AS n FROM hw.sparks.seen").collect()[0].n == 3
    spark.sql("DROP VIEW hw.sparks.seen")
    spark.sql("DROP TABLE hw.sparks.made PURGE")
    spark.sql("DROP NAMESPACE hw.sparks")
