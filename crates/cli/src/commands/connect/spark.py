from pyspark.sql import SparkSession

# Start with: --packages org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:1.10.0,org.apache.iceberg:iceberg-aws-bundle:1.10.0
spark = (
    SparkSession.builder
    .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
    .config("spark.sql.catalog.headwater", "org.apache.iceberg.spark.SparkCatalog")
    .config("spark.sql.catalog.headwater.type", "rest")
    .config("spark.sql.catalog.headwater.uri", "{url}/iceberg")
    .config("spark.sql.catalog.headwater.io-impl", "org.apache.iceberg.aws.s3.S3FileIO")
    .config("spark.sql.catalog.headwater.header.X-Iceberg-Access-Delegation", "vended-credentials")
    .config("spark.sql.session.timeZone", "UTC")
    # Where tokens are demanded: .config("spark.sql.catalog.headwater.token", "hw_…")
    .getOrCreate()
)
spark.table("headwater.{table}").show()
