"""Tools that have no credentials at all: the catalog signs each of their requests.

PyIceberg's own signer, through fsspec, and Iceberg's Java one, in Spark, read and write tables of a
project whose objects are in an S3 server of its own. What is signed is a request for one table's files.
"""

import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor

import boto3
import pyarrow as pa
import pytest
import requests
from botocore import UNSIGNED
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import SignError
from pyiceberg.io.fsspec import S3V4RestSigner
from pyiceberg.utils.concurrent import ExecutorFactory

from conftest import EVENTS, Lab, SCHEMA, THINGS
from same import assert_same, empty_for_null, uuids_as_text
from servers import MISSING
from test_spark import FOUND, assert_same_in_spark, session

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"`cargo xtask setup` installs {MISSING}")

SIGNED = {"header.X-Iceberg-Access-Delegation": "remote-signing"}


@pytest.fixture(scope="module")
def remote(tmp_path_factory, servers):
    """A project whose objects are in an S3 server, and two tokens of it."""
    stands = servers.project()
    stands["settings"] += "[server]\nrequire_tokens = true\n"
    made = Lab(tmp_path_factory.mktemp("remote"), **stands)
    made.write_schema(SCHEMA)
    made.apply()
    made.load("Thing", "things.jsonl", THINGS)
    made.load("Event", "events.csv", EVENTS)
    made.reader, made.writer = made.token("reader", "lab", "read"), made.token("writer", "lab", "write")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def one_worker(monkeypatch):
    """PyIceberg with one thread beside the caller's, as `PYICEBERG_MAX_WORKERS=1` makes it.

    fsspec gives every thread the same file system, and PyIceberg takes the signer off and puts it on
    again for each thread: what another thread asks for meanwhile goes out unsigned
    (apache/iceberg-python#3896).
    """
    ExecutorFactory.get_or_create()
    with ThreadPoolExecutor(max_workers=1) as one:
        monkeypatch.setattr(ExecutorFactory, "_instance", one)
        yield


def load(lab, token):
    return load_catalog("headwater", **{"type": "rest", "uri": lab.uri, "token": token} | SIGNED)


def test_a_catalog_that_signs_lends_nothing(remote):
    table = load(remote, remote.reader).load_table("lab.things")
    told = table.io.properties
    assert told["s3.remote-signing-enabled"] == "true"
    assert not any("secret" in name or "session" in name for name in told)


@pytest.mark.usefixtures("one_worker")
def test_pyiceberg_reads_and_writes_with_signatures_alone(remote):
    pytest.importorskip("s3fs")
    catalog = load(remote, remote.writer)
    table = catalog.load_table("lab.things")
    assert type(table.io).__name__ == "FsspecFileIO"
    assert_same(table.scan().to_arrow(), empty_for_null(remote.export("Thing"), "sizes"))
    catalog.create_namespace("signed")
    rows = pa.table({"id": pa.array(range(1000), pa.int64()), "text": [str(uuid.UUID(int=one)) for one in range(1000)]})
    free = catalog.create_table("signed.rows", rows.schema)
    free.append(rows)
    free.delete("id < 10")
    assert_same(remote.rows("SELECT * FROM signed.rows"), rows.slice(10))
    assert_same(catalog.load_table("signed.rows").scan().to_arrow(), rows.slice(10))
    events = catalog.load_table("lab.events")
    events.append(pa.Table.from_pylist(remote.export("Event").to_pylist()[:1], schema=events.schema().as_arrow()))
    assert_same(catalog.load_table("lab.events").scan().to_arrow(), remote.export("Event"))


def signing_client(lab, table):
    """Amazon's client whose requests the catalog signs, as PyIceberg asks for that."""
    signer = S3V4RestSigner(table.io.properties)
    made = boto3.client(
        "s3", endpoint_url=lab.origin, region_name="us-east-1",
        config=Config(signature_version=UNSIGNED, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    made.meta.events.register_last("before-sign.s3", signer)
    return made


def refused_to_sign(call, **arguments):
    with pytest.raises(SignError, match="Failed to sign request 403"):
        call(**arguments)


def test_no_request_about_another_table_is_signed(remote):
    catalog = load(remote, remote.writer)
    things, events = catalog.load_table("lab.things"), catalog.load_table("lab.events")
    s3 = signing_client(remote, things)
    mine = things.location().removeprefix("s3://headwater/")
    other = events.metadata_location.removeprefix("s3://headwater/")
    s3.put_object(Bucket="headwater", Key=f"{mine}/data/signed", Body=b"signed")
    assert s3.get_object(Bucket="headwater", Key=f"{mine}/data/signed")["Body"].read() == b"signed"
    listed = s3.list_objects_v2(Bucket="headwater", Prefix=f"{mine}/data/")["Contents"]
    assert f"{mine}/data/signed" in [one["Key"] for one in listed]
    s3.delete_object(Bucket="headwater", Key=f"{mine}/data/signed")
    refused_to_sign(s3.get_object, Bucket="headwater", Key=other)
    refused_to_sign(s3.put_object, Bucket="headwater", Key=f"{other}.new", Body=b"")
    refused_to_sign(s3.delete_object, Bucket="headwater", Key=other)
    refused_to_sign(s3.list_objects_v2, Bucket="headwater", Prefix="")
    refused_to_sign(s3.get_object, Bucket="headwater", Key="headwater.toml")
    # Who only reads gets no signature for anything else.
    reads = signing_client(remote, load(remote, remote.reader).load_table("lab.things"))
    present = things.metadata_location.removeprefix("s3://headwater/")
    assert reads.get_object(Bucket="headwater", Key=present)["ContentLength"] > 0
    refused_to_sign(reads.put_object, Bucket="headwater", Key=f"{mine}/data/never", Body=b"")
    # A signature is for one request: with other bytes, another name or another method it is none.
    said = AWSRequest("GET", f"{remote.origin}/headwater/{present}", headers={})
    said.context["client_region"] = "us-east-1"
    S3V4RestSigner(things.io.properties)(said)
    headers = dict(said.headers.items())
    assert requests.get(said.url, headers=headers, timeout=30).status_code == 200
    for method, url in (("GET", f"{remote.origin}/headwater/{other}"), ("DELETE", said.url)):
        answer = requests.request(method, url, headers=headers, timeout=30)
        assert (answer.status_code, "SignatureDoesNotMatch" in answer.text) == (403, True)


@pytest.mark.skipif(not FOUND or shutil.which("java") is None, reason="Spark needs Java and its jars")
def test_spark_reads_and_writes_with_signatures_alone(remote):
    spark = session(remote, "signed", **SIGNED, token=remote.writer)
    try:
        assert_same_in_spark(spark.table("signed.lab.things"), uuids_as_text(remote.export("Thing")))
        spark.sql("CREATE NAMESPACE signed.sparks")
        spark.sql("CREATE TABLE signed.sparks.made USING iceberg AS SELECT id, CAST(id AS STRING) AS text FROM range(100)")
        spark.sql("DELETE FROM signed.sparks.made WHERE id < 10")
        spark.sql("INSERT INTO signed.lab.events VALUES ('spark', TIMESTAMP '2025-07-07 07:00:00', 4)")
        assert_same(remote.rows("SELECT * FROM sparks.made"), spark.table("signed.sparks.made").toArrow())
        found = remote.rows("SELECT count FROM events WHERE who = 'spark'").to_pylist()
        assert found == [{"count": 4}]
    finally:
        spark.stop()
