import polars as pl
from pyiceberg.catalog import load_catalog

catalog = load_catalog("headwater", type="rest", uri="{url}/iceberg")
# Where tokens are demanded: load_catalog(…, token="hw_…")
print(pl.scan_iceberg(catalog.load_table("{table}")).collect())
