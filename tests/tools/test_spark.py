"""Spark with Iceberg's runtime reads and writes through the catalog."""

import os
import pathlib
import shutil
import time

import pytest

from same import assert_same, columns, uuids_as_text

JARS = pathlib.Path(os.environ.get("HEADWATER_JARS", pathlib.Path(__file__).resolve().parents[2] / ".tools/jars"))
FOUND = sorted(JARS.glob("iceberg-*.jar")) if JARS.is_dir() else []

pytestmark = pytest.mark.skipif(
    not FOUND or shutil.which("java") is None,
    reason="Spark needs Java 17 and its jars: `cargo xtask setup` fetches them by Maven",
)

def assert_same_in_spark(frame, expected):
    """As `assert_same`; Spark's own way to Arrow fails on null structs whose parts are required."""
    import pyarrow as pa

    types = dict(frame.dtypes)
    assert list(types) == expected.column_names
    for name, data_type in columns(expected).items():
        assert types[name] == spark_type(data_type), name
    rows = [row.asDict(recursive=True) for row in frame.collect()]
    assert_same(pa.Table.from_pylist(rows, schema=expected.schema), expected)


def spark_type(kind):
    """A type as Spark spells it."""
    for ours, theirs in (
        ("list<", "array<"), ("timestamptz", "timestamp"), ("int32", "int"), ("int64", "bigint"),
        ("bool", "boolean"), ("bytes", "binary"), ("date32[day]", "date"), ("decimal128(20, 4)", "decimal(20,4)"),
    ):
        kind = kind.replace(ours, theirs)
    return kind


def session(lab, catalog="hw", **how):
    """A session whose catalog is the lab's; `how` are more settings of that catalog, which Spark keeps."""
    from pyspark.sql import SparkSession

    # Rows come to Python in the time zone of the process.
    os.environ["TZ"] = "UTC"
    time.tzset()
    name = f"spark.sql.catalog.{catalog}"
    settings = {"header.X-Iceberg-Access-Delegation": "vended-credentials"} | how
    builder = (
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
    )
    for key, value in settings.items():
        builder = builder.config(f"{name}.{key}", value)
    return builder.getOrCreate()


@pytest.fixture(scope="module")
def spark(lab):
    made = session(lab)
    yield made
    made.stop()


def test_every_type_is_read_as_headwater_exports_it(lab, spark):
    assert_same_in_spark(spark.table("hw.lab.things"), uuids_as_text(lab.export("Thing")))


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


def test_version_3_of_the_format_is_kept_with_its_deletion_vectors(lab, spark):
    spark.sql("CREATE NAMESPACE hw.third")
    spark.sql("CREATE TABLE hw.third.made USING iceberg TBLPROPERTIES ('format-version' = '3', "
              "'write.delete.mode' = 'merge-on-read', 'write.update.mode' = 'merge-on-read') AS "
              "SELECT id, CAST(id AS STRING) AS text FROM range(0, 1000, 1, 1)")
    spark.sql("DELETE FROM hw.third.made WHERE id % 3 = 0")
    spark.sql("UPDATE hw.third.made SET text = 'changed' WHERE id = 100")
    formats = {row.file_format for row in spark.sql("SELECT file_format FROM hw.third.made.delete_files").collect()}
    assert formats == {"PUFFIN"}
    left = spark.table("hw.third.made").toArrow()
    assert left.num_rows == 666
    assert_same(lab.rows("SELECT * FROM third.made"), left)
    assert lab.rows("SELECT text FROM third.made WHERE id IN (99, 100)").to_pylist() == [{"text": "changed"}]
    # Rows have numbers that stay, which the catalog hands out.
    numbers = spark.sql("SELECT count(DISTINCT _row_id) AS n FROM hw.third.made").collect()[0].n
    assert numbers == 666
    # A table of version 2 becomes one of version 3, and never one of version 2 again.
    spark.sql("CREATE TABLE hw.third.older USING iceberg TBLPROPERTIES ('write.delete.mode' = 'merge-on-read') AS "
              "SELECT id FROM range(0, 10, 1, 1)")
    spark.sql("DELETE FROM hw.third.older WHERE id = 1")
    spark.sql("ALTER TABLE hw.third.older SET TBLPROPERTIES ('format-version' = '3')")
    spark.sql("DELETE FROM hw.third.older WHERE id = 2")
    assert_same(lab.rows("SELECT * FROM third.older"), spark.table("hw.third.older").toArrow())
    with pytest.raises(Exception, match="Cannot downgrade v3 table to v2"):
        spark.sql("ALTER TABLE hw.third.older SET TBLPROPERTIES ('format-version' = '2')")
    with pytest.raises(Exception, match="follow the central schema"):
        spark.sql("ALTER TABLE hw.lab.events SET TBLPROPERTIES ('format-version' = '3')")
