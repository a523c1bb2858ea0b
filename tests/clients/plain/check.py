"""A program on the generated client: it asks a transport that knows recorded answers only, that knows no
document before it was sent once, and that streams."""

import asyncio
import json
from datetime import datetime, timezone
from typing import Any

from operations import (
    UNSET,
    AsyncClient,
    By,
    Client,
    FindSearch,
    FindSearchOnBook,
    FindSearchOnNote,
    FindSearchOnPerson,
    FindSearchOnPersonFriendOnPerson,
    Kind,
    Reply,
    Request,
    RequestError,
    Tree,
    WholeOnPerson,
    _read_Whole,
)

RECORDED: list[dict[str, Any]] = json.load(open("answers.json"))
KNOWN: set[str] = set()
CLOSED: list[str] = []
STREAM: list[bytes] = []


def recorded(request: Request) -> Reply:
    body = json.loads(request.body)
    if request.headers["accept"] == "text/event-stream":
        assert request.timeout is None
        return Reply(200, "text/event-stream", list(STREAM), lambda: CLOSED.append("stream"))
    sha = body["extensions"]["persistedQuery"]["sha256Hash"]
    if "query" not in body and sha not in KNOWN:
        error = {"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}
        return Reply(200, "application/json", [json.dumps({"errors": [error]}).encode()], lambda: None)
    assert ("query" in body) != (sha in KNOWN), "a text is sent once"
    KNOWN.add(sha)
    for asked in RECORDED:
        if [asked["operation"], asked["variables"]] == [body["operationName"], body["variables"]]:
            return Reply(200, "application/json", [json.dumps(asked["answer"]).encode()], lambda: None)
    raise AssertionError(body)


client = Client("http://recorded/graphql", transport=recorded)


def told(found: FindSearch) -> str:
    if isinstance(found, FindSearchOnBook):
        assert found.owner is not None and isinstance(found.owner.whole, WholeOnPerson)
        tags = "-" if found.tags is None or found.tags[0] is None else "+".join(found.tags[0])
        return f"{found.kind.value} of {found.pages} by {found.owner.whole.name}, {tags}"
    if isinstance(found, FindSearchOnPerson):
        friend = found.friend
        age = friend.age if isinstance(friend, FindSearchOnPersonFriendOnPerson) else None
        return f"{found.name} is {found.age}, friend {age}"
    if isinstance(found, FindSearchOnNote):
        return str(found.text)
    return found.typename


found = client.find(more=True).search
assert [told(one) for one in found] == ["E_BOOK of 7 by Ada, a+b", "Bo is 9, friend None", "None is None, friend 4", "hello"]
tree = Tree(name=None, self_=Tree(others=[Tree(class_=Kind.mro_)]), count=2)
fewer = client.find(more=False, by=By(tree=tree), kinds=[Kind.E_BOOK], limit=1).search
assert isinstance(fewer[1], FindSearchOnPerson) and fewer[1].age is None

node = client.node(id="p")
assert node.node is not None and node.node.id == "p" and node.node.owner is not None and node.node.owner.id == "t"
assert node.other is not None and isinstance(node.other.whole, WholeOnPerson) and node.other.whole.age == 36
assert client.node(id="p", yes=False, no=True).node is None

named = client.class_(self_=Tree(by=By(id="7")), class_="p")
assert named.type == 'a "tree"' and named.counted == 9007199254740993
assert named.client is not None and named.client.list_ == [1, None] and named.client.v1 == 1
assert named.client.date_ == datetime(2026, 11, 30, 10, tzinfo=timezone.utc)
assert named.now == datetime(2026, 11, 30, 10, 0, 0, 1, tzinfo=timezone.utc)
assert client.client_(in_=None).class_ is True

# What came later is kept.
later = Kind("SCROLL")
assert later.value == "SCROLL" and later == "SCROLL" and later not in list(Kind)
assert _read_Whole({"__typename": "Map", "id": "m", "name": None}).typename == "Map"
for wrong in ({}, {"id": "1", "name": "x"}, {"id": None}):
    try:
        By(**wrong)
        raise AssertionError(wrong)
    except ValueError as error:
        assert "exactly one" in str(error)
assert Tree().to_json() == {} and Tree(name=None).to_json() == {"name": None} and Tree().name is UNSET


def lines(ids: str, end: bytes) -> None:
    STREAM.clear()
    for id in ids:
        data = b'data: {"id": "' + id.encode() + b'", "at": "7", "node": null}}}\r\n'
        STREAM.extend([b": alive\n", b"\n", b"event: next\r\n", b'data: {"data": {"changed":\r\n', data, b"\r\n"])
    STREAM.extend(end.splitlines(keepends=True))


lines("12", b"event: complete\ndata:\n\n")
assert [data.changed.id for data in client.changed()] == ["1", "2"] and CLOSED == ["stream"]
lines("1", b"")
try:
    for data in client.changed(kind=Kind.PAPER):
        assert data.changed.at == 7
    raise AssertionError("the stream was whole")
except RequestError as error:
    assert error.retryable
lines("123", b"")
changes = client.changed()
assert next(changes).changed.id == "1"
getattr(changes, "close")()
assert len(CLOSED) == 3


async def listen() -> None:
    ids = [data.changed.id async for data in AsyncClient("http://recorded", transport=recorded).changed()]
    assert ids == ["1", "2"]


lines("12", b"event: complete\ndata:\n\n")
asyncio.run(listen())
assert len(CLOSED) == 4
