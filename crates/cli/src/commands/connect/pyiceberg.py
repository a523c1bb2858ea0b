from pyiceberg.catalog import load_catalog

catalog = load_catalog("headwater", type="rest", uri="{url}/iceberg")
# Where tokens are demanded: load_catalog(…, token="hw_…")
table = catalog.load_table("{table}")
print(table.scan().to_arrow())
