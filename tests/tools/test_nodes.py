"""Two nodes that share a database and an object store: what one of them began, the other one ends.

Tools that were served by the first node go on through the second one while the first is down: with
credentials and signatures of either, with files that were written through the first, and with uploads
that it began.
"""

import uuid

import pyarrow as pa
import pytest
import requests
from pyiceberg.catalog import load_catalog

from conftest import EVENTS, Lab, SCHEMA
from same import assert_same
from servers import MISSING
from test_catalog import commit, staged
from test_s3 import client

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"`cargo xtask setup` installs {MISSING}")

ROWS = pa.table({"id": pa.array([1, 2, 3], pa.int64())})


@pytest.fixture
def pair(tmp_path, servers):
    """Two nodes of one project, each in a folder of its own."""
    stands = servers.project()
    first, second = (Lab(tmp_path / name, **stands) for name in ("first", "second"))
    for one in (first, second):
        one.write_schema(SCHEMA)
    first.apply()
    first.load("Event", "events.csv", EVENTS)
    first.start()
    second.start()
    yield first, second
    first.stop()
    second.stop()


def by(lab, **how):
    return load_catalog("headwater", **{"type": "rest", "uri": lab.uri} | how)


def reach(table):
    """Credentials of a loaded table, as boto3 takes them."""
    told = table.io.properties
    return {"aws_access_key_id": told["s3.access-key-id"], "aws_secret_access_key": told["s3.secret-access-key"],
            "aws_session_token": told["s3.session-token"]}


def test_tools_go_on_through_the_second_node_while_the_first_is_down(pair):
    first, second = pair
    one = by(first)
    one.create_namespace("free")
    table = one.create_table("free.rows", ROWS.schema)
    table.append(ROWS)
    # The second node knows at once what the first has committed.
    assert_same(by(second).load_table("free.rows").scan().to_arrow(), ROWS)
    events = one.load_table("lab.events")
    written = staged(table.refresh(), ROWS)
    owned = staged(events, events.scan(limit=1).to_arrow().cast(events.schema().as_arrow()))
    mine, folder = reach(table), table.location().removeprefix("s3://headwater/")
    key = {"Bucket": "headwater", "Key": f"{folder}/parts"}
    upload = client(first, mine).create_multipart_upload(**key)["UploadId"]
    part = client(first, mine).upload_part(**key, UploadId=upload, PartNumber=1, Body=b"begun")["ETag"]
    first.kill()
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(f"{first.uri}/v1/config", timeout=10)
    # Files that were written through the first node are committed by the second, in one transaction.
    before = second.export("Event").num_rows
    done = commit(second, written, owned)
    assert done.status_code == 204, done.text
    assert second.export("Event").num_rows == before + 1
    other = by(second)
    assert_same(other.load_table("free.rows").scan().to_arrow(), pa.concat_tables([ROWS, ROWS]))
    # Credentials that the first has lent are the project's, and so is the upload.
    s3 = client(second, mine)
    listed = s3.list_objects_v2(Bucket="headwater", Prefix=f"{folder}/data/")["Contents"]
    assert len(listed) == 2
    s3.complete_multipart_upload(
        **key, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]}
    )
    assert s3.get_object(**key)["Body"].read() == b"begun"
    other.load_table("free.rows").append(ROWS)
    other.load_table("lab.events").delete("who == 'bob'")
    # Started again, the first one has all of it.
    first.start()
    assert_same(by(first).load_table("free.rows").scan().to_arrow(), pa.concat_tables([ROWS] * 3))
    assert_same(by(first).load_table("lab.events").scan().to_arrow(), first.export("Event"))
    assert first.rows("SELECT count(*) AS n FROM events WHERE who = 'bob'").to_pylist() == [{"n": 0}]


def test_a_request_that_is_said_again_to_the_other_node_is_made_once(pair):
    first, second = pair
    key = {"Idempotency-Key": str(uuid.UUID(int=7 << 76 | 2 << 62 | 5))}
    said = {"namespace": ["once"], "properties": {"a": "b"}}
    done = requests.post(f"{first.uri}/v1/namespaces", json=said, headers=key, timeout=30)
    assert done.status_code == 200, done.text
    first.kill()
    again = requests.post(f"{second.uri}/v1/namespaces", json=said, headers=key, timeout=30)
    assert (again.status_code, again.json()) == (200, done.json())
    assert by(second).load_namespace_properties("once") == {"a": "b"}


def test_requests_are_signed_by_whichever_node_is_there(pair):
    pytest.importorskip("s3fs")
    first, second = pair
    signed = {"header.X-Iceberg-Access-Delegation": "remote-signing"}
    catalog = by(first, **signed)
    catalog.create_namespace("free")
    catalog.create_table("free.signed", ROWS.schema).append(ROWS)
    first.kill()
    table = by(second, **signed).load_table("free.signed")
    assert type(table.io).__name__ == "FsspecFileIO"
    table.append(ROWS)
    assert_same(by(second, **signed).load_table("free.signed").scan().to_arrow(), pa.concat_tables([ROWS, ROWS]))
