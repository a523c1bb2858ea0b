import polars as pl
from pyiceberg.catalog import load_catalog

catalog = load_catalog("headwater", type="rest", uri="{url}/iceberg")
# Where tokens are demanded: load_catalog(…, token="hw_…")
table = catalog.load_table("{table}")
reach = {name: value for name, value in table.io.properties.items() if name.startswith("s3.")}
print(pl.scan_iceberg(table, storage_options=reach).collect())
