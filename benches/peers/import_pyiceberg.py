"""PyIceberg: one CSV file into a table in 16 buckets, sorted, as its documentation does it."""

import json
import sys

import pyarrow as pa
import pyarrow.csv as csv
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import BucketTransform, IdentityTransform
from pyiceberg.types import DoubleType, IntegerType, LongType, NestedField, StringType, TimestamptzType

given = json.loads(sys.argv[1])
types = {
    "userId": pa.int64(),
    "filmId": pa.int64(),
    "at": pa.timestamp("us", tz="UTC"),
    "seconds": pa.int32(),
    "rating": pa.float64(),
    "country": pa.string(),
}
rows = csv.read_csv(given["file"], convert_options=csv.ConvertOptions(column_types=types))
rows = rows.sort_by([("userId", "ascending"), ("at", "ascending")])
rows = rows.cast(pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()]))

warehouse = given["warehouse"]
catalog = SqlCatalog("peer", uri=f"sqlite:///{warehouse}/catalog.db", warehouse=f"file://{warehouse}")
catalog.create_namespace("bench")
schema = Schema(
    NestedField(1, "userId", LongType(), required=True),
    NestedField(2, "filmId", LongType(), required=True),
    NestedField(3, "at", TimestamptzType(), required=True),
    NestedField(4, "seconds", IntegerType(), required=True),
    NestedField(5, "rating", DoubleType(), required=True),
    NestedField(6, "country", StringType(), required=True),
)
table = catalog.create_table(
    "bench.plays",
    schema,
    partition_spec=PartitionSpec(PartitionField(1, 1000, BucketTransform(16), "userId_bucket")),
    sort_order=SortOrder(SortField(1, IdentityTransform()), SortField(3, IdentityTransform())),
    properties={"write.parquet.compression-codec": "zstd"},
)
table.append(rows)
assert table.scan().count() == given["rows"]
