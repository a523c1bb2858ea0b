"""Tools on a server that demands a token and speaks TLS alone, with an authority that only we know."""

import shutil
import subprocess

import duckdb
import pyarrow as pa
import pytest
import requests
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import ForbiddenError, UnauthorizedError

from conftest import EVENTS, Lab, SCHEMA, THINGS
from same import assert_same, empty_for_null, uuids_as_text
from test_duckdb import load
from test_s3 import client, refused

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made by openssl")

KIND = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def certify(folder):
    """An authority, and a certificate of it for this machine's loopback; gives the authority's file."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder, timeout=60)

    openssl("req", "-x509", *KIND, "-days", "2", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=tests")
    openssl("req", *KIND, "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-out", "chain.pem", "-copy_extensions", "copy")
    return str(folder / "ca.pem")


@pytest.fixture(scope="module")
def secured(tmp_path_factory, backend):
    folder = tmp_path_factory.mktemp("certificates")
    authority = certify(folder)
    server = (
        f'[server]\nrequire_tokens = true\n'
        f'tls_certificate = "{folder}/chain.pem"\ntls_key = "{folder}/key.pem"\n'
    )
    stands = backend | {"settings": backend.get("settings", "") + server}
    made = Lab(tmp_path_factory.mktemp("secured"), **stands)
    made.write_schema(SCHEMA)
    made.apply()
    made.load("Thing", "things.jsonl", THINGS)
    made.load("Event", "events.csv", EVENTS)
    made.authority = authority
    made.reader, made.writer = made.token("reader", "lab", "read"), made.token("writer", "lab", "write")
    made.stranger = made.token("stranger", "others", "write")
    made.start()
    assert made.origin.startswith("https://")
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def no_other_authority(monkeypatch):
    """What a machine trusts otherwise would go before what a program says."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def trusting(secured, monkeypatch):
    """What Amazon's library trusts beside its own list."""
    monkeypatch.setenv("AWS_CA_BUNDLE", secured.authority)
    return secured


def by_pyiceberg(lab, **how):
    settings = {"type": "rest", "uri": lab.uri, "ssl": {"cabundle": lab.authority}}
    # PyArrow's client of S3 takes no authority from PyIceberg; the other one does from Amazon's library.
    settings["py-io-impl"] = "pyiceberg.io.fsspec.FsspecFileIO"
    return load_catalog("headwater", **settings | how)


def test_who_shows_no_token_or_trusts_nobody_is_turned_away(secured):
    with pytest.raises(UnauthorizedError):
        by_pyiceberg(secured).list_namespaces()
    with pytest.raises(UnauthorizedError):
        by_pyiceberg(secured, token=f"{secured.reader}x").list_namespaces()
    with pytest.raises(requests.exceptions.SSLError):
        by_pyiceberg(secured, token=secured.reader, ssl={}).list_namespaces()
    with pytest.raises(requests.exceptions.ConnectionError):
        by_pyiceberg(secured, token=secured.reader, uri=secured.uri.replace("https", "http")).list_namespaces()


def test_pyiceberg_reads_with_one_token_and_writes_with_another(trusting):
    pytest.importorskip("s3fs")
    reads = by_pyiceberg(trusting, token=trusting.reader)
    table = reads.load_table("lab.things")
    assert table.io.properties["s3.endpoint"] == trusting.origin
    assert_same(table.scan().to_arrow(), empty_for_null(trusting.export("Thing"), "sizes"))
    rows = pa.table({"id": pa.array([1, 2], pa.int64())})
    with pytest.raises(ForbiddenError, match="`reader` may read but not write"):
        reads.create_namespace("free")
    # A token may also be exchanged, as OAuth2 has it.
    writes = by_pyiceberg(trusting, credential=f"writer:{trusting.writer}")
    writes.create_namespace("free")
    made = writes.create_table("free.rows", rows.schema)
    made.append(rows)
    assert_same(trusting.rows("SELECT * FROM free.rows"), rows)
    # Whoever only reads gets credentials that only read, and no commit.
    with pytest.raises(Exception, match="only read|ACCESS_DENIED|Access"):
        reads.load_table("free.rows").append(rows)
    assert_same(reads.load_table("free.rows").scan().to_arrow(), rows)


def test_duckdb_reads_and_writes_with_a_token(secured):
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for extension in ("httpfs", "avro", "iceberg"):
        load(connection, extension)
    connection.execute(f"SET ca_cert_file = '{secured.authority}'")
    connection.execute(f"CREATE SECRET headwater (TYPE iceberg, TOKEN '{secured.writer}')")
    connection.execute(f"ATTACH 'headwater' AS hw (TYPE iceberg, ENDPOINT '{secured.uri}', SECRET headwater)")
    found = connection.execute("SELECT * FROM hw.lab.things").to_arrow_table()
    assert_same(found, uuids_as_text(secured.export("Thing")))
    connection.execute("CREATE SCHEMA hw.ducks")
    connection.execute("CREATE TABLE hw.ducks.pond (id BIGINT)")
    connection.execute("INSERT INTO hw.ducks.pond VALUES (1), (2)")
    assert_same(secured.rows("SELECT * FROM ducks.pond"), connection.execute("SELECT * FROM hw.ducks.pond").to_arrow_table())


def lent(lab, token, table):
    """Credentials for one table's files, as boto3 takes them, and the folder that they reach."""
    answer = requests.get(
        f"{lab.uri}/v1/namespaces/lab/tables/{table}/credentials",
        headers={"authorization": f"Bearer {token}"}, verify=lab.authority, timeout=30,
    ).json()["storage-credentials"][0]
    config = answer["config"]
    names = {"aws_access_key_id": "s3.access-key-id", "aws_secret_access_key": "s3.secret-access-key",
             "aws_session_token": "s3.session-token"}
    return {ours: config[theirs] for ours, theirs in names.items()}, answer["prefix"].removeprefix("s3://headwater/")


def test_credentials_are_one_callers_and_one_tables(trusting):
    mine, folder = lent(trusting, trusting.writer, "things")
    theirs, _ = lent(trusting, trusting.stranger, "things")
    other, elsewhere = lent(trusting, trusting.writer, "events")
    reads, _ = lent(trusting, trusting.reader, "things")
    s3 = client(trusting, mine)
    present = s3.list_objects_v2(Bucket="headwater", Prefix=f"{folder}/data/")["Contents"][0]["Key"]
    key = {"Bucket": "headwater", "Key": present}
    assert s3.head_object(**key)["ContentLength"] > 0
    # The token of another team, or of another table, does not go with my key.
    for token in (theirs, other):
        borrowed = mine | {"aws_session_token": token["aws_session_token"]}
        assert refused(client(trusting, borrowed).get_object, **key)[0] == "InvalidToken"
        stolen = token | {"aws_session_token": mine["aws_session_token"]}
        assert refused(client(trusting, stolen).get_object, **key)[0] == "InvalidToken"
    # Another table's credentials end at its folder, in every kind of request.
    strange = client(trusting, other)
    assert refused(strange.get_object, **key)[0] == "AccessDenied"
    assert refused(strange.put_object, **key, Body=b"")[0] == "AccessDenied"
    assert refused(strange.delete_object, **key)[0] == "AccessDenied"
    assert refused(strange.create_multipart_upload, **key)[0] == "AccessDenied"
    copy = {"Bucket": "headwater", "Key": f"{elsewhere}/data/copied"}
    assert refused(strange.copy_object, **copy, CopySource=key)[0] == "AccessDenied"
    assert refused(strange.list_objects_v2, Bucket="headwater", Prefix=f"{folder}/")[0] == "AccessDenied"
    for prefix in ("", "lab/", f"{elsewhere}/"):
        listed = strange.list_objects_v2(Bucket="headwater", Prefix=prefix)["Contents"]
        assert listed and all(one["Key"].startswith(f"{elsewhere}/") for one in listed), prefix
    gone = strange.delete_objects(Bucket="headwater", Delete={"Objects": [{"Key": present}]})
    assert [one["Code"] for one in gone["Errors"]] == ["AccessDenied"]
    # Who reads, only reads.
    assert refused(client(trusting, reads).put_object, Bucket="headwater", Key=f"{folder}/data/new", Body=b"")[0] == "AccessDenied"
    unsigned = requests.get(f"{trusting.origin}/headwater/{present}", verify=trusting.authority, timeout=30)
    assert unsigned.status_code in (401, 404)
    assert s3.head_object(**key)["ContentLength"] > 0
