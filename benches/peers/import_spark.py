"""Spark with Iceberg's runtime: one CSV file into a table in 16 buckets, sorted."""

import glob
import json
import os
import sys

given = json.loads(sys.argv[1])
jars = glob.glob(os.path.join(os.environ.get("HEADWATER_BENCH_JARS", "."), "iceberg-spark-runtime*.jar"))
try:
    from pyspark.sql import SparkSession
except ImportError:
    sys.exit("the peer is absent: pyspark is not installed")
if not jars:
    sys.exit("the peer is absent: there is no iceberg-spark-runtime")

spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.jars", jars[0])
    .config("spark.driver.memory", "6g")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.shuffle.partitions", "16")
    .config("spark.sql.catalog.peer", "org.apache.iceberg.spark.SparkCatalog")
    .config("spark.sql.catalog.peer.type", "hadoop")
    .config("spark.sql.catalog.peer.warehouse", f"file://{given['warehouse']}")
    .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
    .getOrCreate()
)
columns = "userId BIGINT, filmId BIGINT, at TIMESTAMP, seconds INT, rating DOUBLE, country STRING"
spark.sql(f"CREATE TABLE peer.bench.plays ({columns}) USING iceberg PARTITIONED BY (bucket(16, userId)) "
          "TBLPROPERTIES ('write.parquet.compression-codec'='zstd')")
spark.sql("ALTER TABLE peer.bench.plays WRITE DISTRIBUTED BY PARTITION LOCALLY ORDERED BY userId, at")
spark.read.option("header", True).schema(columns).csv(given["file"]).writeTo("peer.bench.plays").append()
assert spark.table("peer.bench.plays").count() == given["rows"]
gateway = spark.sparkContext._gateway
spark.stop()
# The time of the virtual machine counts only when its end is waited for.
gateway.shutdown()
gateway.proc.stdin.close()
gateway.proc.wait()
