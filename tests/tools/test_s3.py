"""The S3 subset as Amazon's own client speaks it."""

import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError


def client(lab, told, **changes):
    options = told | changes
    return boto3.client(
        "s3",
        endpoint_url=lab.origin,
        region_name="us-east-1",
        aws_access_key_id=options["aws_access_key_id"],
        aws_secret_access_key=options["aws_secret_access_key"],
        aws_session_token=options["aws_session_token"],
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def told(lab, *arguments):
    text = lab.run("connect", "pylance", "--server-url", lab.origin, "--json", *arguments)
    return json.loads(text)


@pytest.fixture(scope="module")
def free(lab):
    """Credentials for a folder of a table that another tool owns."""
    from pyiceberg.catalog import load_catalog
    from pyiceberg.schema import Schema
    from pyiceberg.types import LongType, NestedField

    catalog = load_catalog("headwater", **{"type": "rest", "uri": lab.uri})
    catalog.create_namespace("store")
    table = catalog.create_table("store.t", Schema(NestedField(1, "id", LongType())))
    return table.location().removeprefix("s3://headwater/"), told(lab, "--table", "store.t", "--write")["options"]


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error.get("Message", "")


def test_objects_are_put_read_by_range_listed_copied_and_deleted(lab, free):
    folder, options = free
    s3 = client(lab, options)
    for name in ("a", "b/one", "b/two"):
        s3.put_object(Bucket="headwater", Key=f"{folder}/x/{name}", Body=f"body of {name}".encode())
    got = s3.get_object(Bucket="headwater", Key=f"{folder}/x/a")
    assert got["Body"].read() == b"body of a"
    part = s3.get_object(Bucket="headwater", Key=f"{folder}/x/a", Range="bytes=5-6")
    assert (part["Body"].read(), part["ContentRange"]) == (b"of", "bytes 5-6/9")
    last = s3.get_object(Bucket="headwater", Key=f"{folder}/x/a", Range="bytes=-1")
    assert last["Body"].read() == b"a"
    assert refused(s3.get_object, Bucket="headwater", Key=f"{folder}/x/a", Range="bytes=99-")[0] == "InvalidRange"
    assert s3.head_object(Bucket="headwater", Key=f"{folder}/x/a")["ContentLength"] == 9
    listed = s3.list_objects_v2(Bucket="headwater", Prefix=f"{folder}/x/", Delimiter="/")
    assert [one["Key"] for one in listed["Contents"]] == [f"{folder}/x/a"]
    assert [one["Prefix"] for one in listed["CommonPrefixes"]] == [f"{folder}/x/b/"]
    first = s3.list_objects_v2(Bucket="headwater", Prefix=f"{folder}/x/b", MaxKeys=1)
    second = s3.list_objects_v2(
        Bucket="headwater", Prefix=f"{folder}/x/b", ContinuationToken=first["NextContinuationToken"]
    )
    assert [page["Contents"][0]["Key"][-3:] for page in (first, second)] == ["one", "two"]
    assert not second["IsTruncated"]
    old = s3.list_objects(Bucket="headwater", Prefix=f"{folder}/x/b")
    assert len(old["Contents"]) == 2
    s3.copy_object(Bucket="headwater", Key=f"{folder}/x/c", CopySource=f"headwater/{folder}/x/a")
    assert s3.get_object(Bucket="headwater", Key=f"{folder}/x/c")["Body"].read() == b"body of a"
    keys = [{"Key": f"{folder}/x/{name}"} for name in ("a", "b/one", "b/two", "c", "never")]
    assert len(s3.delete_objects(Bucket="headwater", Delete={"Objects": keys})["Deleted"]) == 5
    assert refused(s3.get_object, Bucket="headwater", Key=f"{folder}/x/a")[0] == "NoSuchKey"


def test_conditions_hold(lab, free):
    folder, options = free
    s3 = client(lab, options)
    key = f"{folder}/conditional"
    first = s3.put_object(Bucket="headwater", Key=key, Body=b"1", IfNoneMatch="*")
    assert refused(s3.put_object, Bucket="headwater", Key=key, Body=b"2", IfNoneMatch="*")[0] == "PreconditionFailed"
    assert refused(s3.put_object, Bucket="headwater", Key=key, Body=b"2", IfMatch='"other"')[0] == "PreconditionFailed"
    s3.put_object(Bucket="headwater", Key=key, Body=b"22", IfMatch=first["ETag"])
    assert s3.get_object(Bucket="headwater", Key=key)["Body"].read() == b"22"
    tag = s3.head_object(Bucket="headwater", Key=key)["ETag"]
    assert refused(s3.get_object, Bucket="headwater", Key=key, IfNoneMatch=tag)[0] == "304"
    assert refused(s3.get_object, Bucket="headwater", Key=key, IfMatch=first["ETag"])[0] == "PreconditionFailed"


def test_uploads_in_parts_appear_whole(lab, free):
    folder, options = free
    s3 = client(lab, options)
    key = f"{folder}/parts"
    upload = s3.create_multipart_upload(Bucket="headwater", Key=key)["UploadId"]
    big = bytes(range(256)) * 20480 * 2
    tags = {}
    for number, body in ((2, b"end"), (1, big)):
        done = s3.upload_part(Bucket="headwater", Key=key, UploadId=upload, PartNumber=number, Body=body)
        tags[number] = done["ETag"]
    assert refused(s3.get_object, Bucket="headwater", Key=key)[0] == "NoSuchKey"
    parts = s3.list_parts(Bucket="headwater", Key=key, UploadId=upload)["Parts"]
    assert [(part["PartNumber"], part["Size"]) for part in parts] == [(1, len(big)), (2, 3)]
    pending = s3.list_multipart_uploads(Bucket="headwater", Prefix=key)["Uploads"]
    assert [one["Key"] for one in pending] == [key]
    wrong = [{"PartNumber": 1, "ETag": tags[1]}, {"PartNumber": 2, "ETag": '"other"'}]
    code, _ = refused(
        s3.complete_multipart_upload, Bucket="headwater", Key=key, UploadId=upload, MultipartUpload={"Parts": wrong}
    )
    assert code == "InvalidPart"
    all_parts = [{"PartNumber": number, "ETag": tags[number]} for number in (1, 2)]
    s3.complete_multipart_upload(Bucket="headwater", Key=key, UploadId=upload, MultipartUpload={"Parts": all_parts})
    assert s3.get_object(Bucket="headwater", Key=key)["Body"].read() == big + b"end"
    again = s3.create_multipart_upload(Bucket="headwater", Key=key)["UploadId"]
    s3.abort_multipart_upload(Bucket="headwater", Key=key, UploadId=again)
    assert refused(s3.list_parts, Bucket="headwater", Key=key, UploadId=again)[0] == "NoSuchUpload"


def test_presigned_addresses_work_and_changed_ones_do_not(lab, free):
    import requests

    folder, options = free
    s3 = client(lab, options)
    key = f"{folder}/presigned"
    s3.put_object(Bucket="headwater", Key=key, Body=b"signed")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "headwater", "Key": key}, ExpiresIn=60)
    assert requests.get(url, timeout=30).content == b"signed"
    changed = requests.get(url.replace("presigned?", "presignee?"), timeout=30)
    assert (changed.status_code, "SignatureDoesNotMatch" in changed.text) == (403, True)


def test_secrets_tokens_and_folders_are_checked(lab, free):
    folder, options = free
    key = {"Bucket": "headwater", "Key": f"{folder}/conditional"}
    assert refused(client(lab, options, aws_secret_access_key="other").get_object, **key)[0] == "SignatureDoesNotMatch"
    assert refused(client(lab, options, aws_session_token=None).get_object, **key)[0] == "InvalidToken"
    other = told(lab, "--table", "lab.things")["options"]
    assert refused(client(lab, options, aws_session_token=other["aws_session_token"]).get_object, **key)[0] == "InvalidToken"
    code, words = refused(client(lab, other).get_object, **key)
    assert (code, "do not reach" in words) == ("AccessDenied", True)
    assert refused(client(lab, options).get_object, Bucket="elsewhere", Key="x")[0] == "NoSuchBucket"


def test_files_of_the_schema_are_added_and_never_replaced(lab):
    reads = told(lab, "--table", "lab.things")
    folder = reads["location"].removeprefix("s3://headwater/")
    s3 = client(lab, reads["options"])
    listed = s3.list_objects_v2(Bucket="headwater", Prefix=f"{folder}/data/")["Contents"]
    present = listed[0]["Key"]
    code, words = refused(s3.put_object, Bucket="headwater", Key=f"{folder}/data/new", Body=b"")
    assert (code, "only read" in words) == ("AccessDenied", True)
    writes = client(lab, told(lab, "--table", "lab.things", "--write")["options"])
    assert refused(writes.put_object, Bucket="headwater", Key=present, Body=b"")[0] == "PreconditionFailed"
    code, words = refused(writes.delete_object, Bucket="headwater", Key=present)
    assert (code, "may belong to the table" in words) == ("AccessDenied", True)
    writes.put_object(Bucket="headwater", Key=f"{folder}/data/own", Body=b"mine")
    writes.delete_object(Bucket="headwater", Key=f"{folder}/data/own")
    assert refused(s3.get_object, Bucket="headwater", Key=f"{folder}/data/own")[0] == "NoSuchKey"


def test_what_a_table_needs_is_never_removed_however_old_the_credentials(lab):
    from pyiceberg.catalog import load_catalog

    before = told(lab, "--table", "lab.events", "--write")
    folder = before["location"].removeprefix("s3://headwater/")
    writes = client(lab, before["options"])
    table = load_catalog("headwater", **{"type": "rest", "uri": lab.uri}).load_table("lab.events")
    table.append(table.scan(limit=1).to_arrow().cast(table.schema().as_arrow()))
    # All of it is younger than the credentials, and committed.
    snapshot = table.current_snapshot()
    manifests = snapshot.manifests(table.io)
    files = [entry.data_file.file_path for entry in manifests[0].fetch_manifest_entry(table.io)]
    needed = [snapshot.manifest_list, table.metadata_location, manifests[0].manifest_path, *files]
    assert len(needed) == 4
    keys = [one.removeprefix("s3://headwater/") for one in needed]
    for key in keys:
        code, words = refused(writes.delete_object, Bucket="headwater", Key=key)
        assert (code, "may belong to the table" in words) == ("AccessDenied", True)
    own = f"{folder}/data/never-committed"
    writes.put_object(Bucket="headwater", Key=own, Body=b"mine")
    done = writes.delete_objects(Bucket="headwater", Delete={"Objects": [{"Key": key} for key in (*keys, own)]})
    assert [one["Key"] for one in done["Deleted"]] == [own]
    assert sorted((one["Key"], one["Code"]) for one in done["Errors"]) == sorted((key, "AccessDenied") for key in keys)
    assert table.refresh().scan().to_arrow().num_rows == lab.export("Event").num_rows
