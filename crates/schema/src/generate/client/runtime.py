from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import Enum
from typing import Any, Callable, Generic, Literal, TypeVar, Union
from uuid import UUID

Data = TypeVar("Data")


class Unset(Enum):
    """What stands for a value that is not given, which is not the same as null."""

    UNSET = "UNSET"


UNSET: Literal[Unset.UNSET] = Unset.UNSET


class _Open(str, Enum):
    """An enum that keeps values which the schema got later."""

    @classmethod
    def _missing_(cls, value: object) -> Any:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member


def _same(value: Any) -> Any:
    return value


def _value(value: Any) -> Any:
    return value.value


def _input(value: Any) -> Any:
    return value.to_json()


def _maybe(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


def _list(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda values: [convert(value) for value in values]


def _decimal(value: Any) -> Decimal:
    return Decimal(str(value))


def _decimal_text(value: Decimal) -> str:
    return format(value, "f")


def _bytes(value: str) -> bytes:
    return b64decode(value, validate=True)


def _bytes_text(value: bytes) -> str:
    return b64encode(value).decode("ascii")


def _datetime(value: str) -> datetime:
    # Python before 3.11 reads neither `Z` nor fractions of other than three or six digits.
    text = value[:-1] if value.endswith("Z") else value.replace("+00:00", "")
    head, _, fraction = text.partition(".")
    moment = datetime.fromisoformat(f"{head}.{fraction:0<6}"[:26])
    return moment.replace(tzinfo=timezone.utc)


def _datetime_text(value: datetime) -> str:
    return value.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _put(target: dict[str, Any], name: str, value: Any, convert: Callable[[Any], Any]) -> None:
    if value is not UNSET:
        target[name] = convert(value)


def _one_of(name: str, values: list[Any]) -> None:
    given = [value for value in values if value is not UNSET]
    if len(given) != 1 or given[0] is None:
        raise ValueError(f"{name} takes exactly one of its fields, and not as null")


@dataclass(frozen=True)
class GraphqlError:
    """One error of an answer."""

    message: str
    path: list[str | int] = field(default_factory=list)
    locations: list[dict[str, int]] = field(default_factory=list)
    extensions: dict[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str | None:
        """For instance `NOT_FOUND`, `STALE`, `DENIED`, `LIMIT_EXCEEDED`, `UNAVAILABLE`."""
        code = self.extensions.get("code")
        return code if isinstance(code, str) else None

    @property
    def owner(self) -> str | None:
        """The team to ask."""
        owner = self.extensions.get("owner")
        return owner if isinstance(owner, str) else None

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.extensions.get("retryable") is True


class RequestError(Exception):
    """An answer with errors; `data` holds, as JSON, what could be answered all the same."""

    def __init__(self, errors: list[GraphqlError], status: int, data: Any = None) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors
        self.status = status
        self.data = data

    @property
    def code(self) -> str | None:
        """The code of the first error that has one."""
        return next((error.code for error in self.errors if error.code is not None), None)

    @property
    def retryable(self) -> bool:
        """Whether all that went wrong may go well later."""
        return all(error.retryable for error in self.errors)


@dataclass(frozen=True)
class Operation(Generic[Data]):
    """An operation with its document, and how its data are read."""

    kind: str
    name: str
    #: The SHA-256 of the text.
    id: str
    #: Empty where the server knows the document by its id.
    text: str
    read: Callable[[Any], Data]


@dataclass(frozen=True)
class Answer(Generic[Data]):
    """An answer, whole or not: where `errors` is empty, `data` is all there."""

    data: Data | None
    errors: list[GraphqlError]
    status: int
    #: The data as they came.
    json: Any


@dataclass(frozen=True)
class Request:
    """What is sent by HTTP."""

    url: str
    headers: dict[str, str]
    body: bytes
    #: Seconds without a byte after which the request fails; none for a stream.
    timeout: float | None


@dataclass(frozen=True)
class Reply:
    """What came by HTTP; `lines` are read as they arrive."""

    status: int
    content_type: str
    lines: Iterable[bytes]
    close: Callable[[], None]


def urllib_transport(request: Request) -> Reply:
    """Sends a request by the standard library."""
    asked = urllib.request.Request(request.url, request.body, request.headers, method="POST")
    try:
        answer = urllib.request.urlopen(asked, timeout=request.timeout)
    except urllib.error.HTTPError as error:
        # A refusal has a body like any other answer.
        answer = error
    return Reply(answer.status, answer.headers.get("content-type", ""), answer, answer.close)


def _error(error: Any) -> GraphqlError:
    return GraphqlError(
        error.get("message", ""), error.get("path") or [], error.get("locations") or [], error.get("extensions") or {}
    )


def _answer(operation: Operation[Data], text: bytes, status: int) -> Answer[Data]:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = {"message": f"the server answered {status} without JSON"}
    errors = [_error(error) for error in answer.get("errors") or []]
    if not errors and "data" not in answer:
        # The request was refused as a whole, for instance because this schema is not served any more.
        known = {name: answer[name] for name in ("code", "hint") if answer.get(name) is not None}
        message = answer.get("message", f"the server answered {status} without data")
        errors = [GraphqlError(message, extensions=known)]
    data = answer.get("data")
    return Answer(None if data is None else operation.read(data), errors, status, data)


def _whole(answer: Answer[Data]) -> Data:
    if answer.errors or answer.data is None:
        raise RequestError(answer.errors, answer.status, answer.json)
    return answer.data


class _Events:
    """Events out of lines, by the rules of server-sent events."""

    def __init__(self) -> None:
        self.name = ""
        self.data: list[bytes] = []

    def line(self, line: bytes) -> tuple[str, bytes] | None:
        line = line.rstrip(b"\r\n")
        if line == b"":
            event = (self.name, b"\n".join(self.data))
            is_empty = self.name == "" and not self.data
            self.name, self.data = "", []
            return None if is_empty else event
        name, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if name == b"event":
            self.name = value.decode()
        elif name == b"data":
            self.data.append(value)
        return None


class Transport:
    """Sends operations and gives typed answers."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        client: str = CLIENT,
        headers: dict[str, str] | None = None,
        timeout: float | None = 60.0,
        transport: Callable[[Request], Reply] = urllib_transport,
    ) -> None:
        """`client` is what the program calls itself, as `web` or `web/3.1`."""
        self._url = url
        self._headers = {"content-type": "application/json", **(headers or {})}
        if SCHEMA:
            self._headers["headwater-schema"] = SCHEMA
        if client:
            self._headers["headwater-client"] = client
        if token is not None:
            self._headers["authorization"] = f"Bearer {token}"
        self._timeout = timeout
        self._transport = transport

    def _ask(self, operation: Operation[Data], asked: dict[str, Any]) -> Answer[Data]:
        reply = self._post(asked, "application/graphql-response+json, application/json", self._timeout)
        try:
            return _answer(operation, b"".join(reply.lines), reply.status)
        finally:
            reply.close()

    def _post(self, asked: dict[str, Any], accept: str, timeout: float | None) -> Reply:
        headers = {**self._headers, "accept": accept}
        return self._transport(Request(self._url, headers, json.dumps(asked).encode(), timeout))

    def _open(self, operation: Operation[Data], variables: dict[str, Any]) -> Reply:
        reply = self._post(_body(operation, variables, True), "text/event-stream", None)
        if reply.content_type.startswith("text/event-stream"):
            return reply
        try:
            _whole(_answer(operation, b"".join(reply.lines), reply.status))
        finally:
            reply.close()
        message = "the server answered a subscription without a stream"
        raise RequestError([GraphqlError(message)], reply.status)

    def _execute(self, operation: Operation[Data], variables: dict[str, Any]) -> Answer[Data]:
        answer = self._ask(operation, _body(operation, variables, False))
        if SENDING != "persisted":
            return answer
        codes = {error.code for error in answer.errors}
        if "PERSISTED_QUERY_NOT_FOUND" in codes:
            return self._ask(operation, _body(operation, variables, True))
        if "PERSISTED_QUERY_NOT_SUPPORTED" in codes:
            # A server that keeps no documents wants the text alone.
            text = {"query": operation.text, "operationName": operation.name, "variables": variables}
            return self._ask(operation, text)
        return answer


def _body(operation: Operation[Any], variables: dict[str, Any], whole: bool) -> dict[str, Any]:
    asked: dict[str, Any] = {"operationName": operation.name, "variables": variables}
    if SENDING == "id":
        return {"documentId": f"sha256:{operation.id}", **asked}
    if SENDING == "text":
        return {"query": operation.text, **asked}
    asked["extensions"] = {"persistedQuery": {"version": 1, "sha256Hash": operation.id}}
    return {"query": operation.text, **asked} if whole else asked


def _ended(status: int) -> RequestError:
    message = "the stream ended before it was complete"
    return RequestError([GraphqlError(message, extensions={"retryable": True})], status)


class SyncTransport(Transport):
    """Waits for answers."""

    def execute(self, operation: Operation[Data], variables: dict[str, Any]) -> Answer[Data]:
        """The answer to a question or a change, whole or not; variables are as they travel."""
        return self._execute(operation, variables)

    def run(self, operation: Operation[Data], variables: dict[str, Any]) -> Data:
        """The data of a question or a change; raises a `RequestError` when any of it failed."""
        return _whole(self._execute(operation, variables))

    def listen(self, operation: Operation[Data], variables: dict[str, Any]) -> Iterator[Data]:
        """What a subscription says, until it is complete; closing the iterator ends it."""
        reply = self._open(operation, variables)
        events = _Events()
        try:
            for line in reply.lines:
                event = events.line(line)
                if event is not None and event[0] == "complete":
                    return
                if event is not None and event[0] == "next":
                    yield _whole(_answer(operation, event[1], reply.status))
            raise _ended(reply.status)
        finally:
            reply.close()


class AsyncTransport(Transport):
    """Lets other tasks run while threads wait for answers."""

    async def execute(self, operation: Operation[Data], variables: dict[str, Any]) -> Answer[Data]:
        """The answer to a question or a change, whole or not; variables are as they travel."""
        return await asyncio.to_thread(self._execute, operation, variables)

    async def run(self, operation: Operation[Data], variables: dict[str, Any]) -> Data:
        """The data of a question or a change; raises a `RequestError` when any of it failed."""
        return _whole(await self.execute(operation, variables))

    async def listen(self, operation: Operation[Data], variables: dict[str, Any]) -> AsyncIterator[Data]:
        """What a subscription says, until it is complete."""
        reply = await asyncio.to_thread(self._open, operation, variables)
        lines = iter(reply.lines)
        events = _Events()
        pending: asyncio.Future[bytes | None] | None = None
        try:
            while True:
                pending = asyncio.ensure_future(asyncio.to_thread(next, lines, None))
                line = await asyncio.shield(pending)
                pending = None
                if line is None:
                    raise _ended(reply.status)
                event = events.line(line)
                if event is not None and event[0] == "complete":
                    return
                if event is not None and event[0] == "next":
                    yield _whole(_answer(operation, event[1], reply.status))
        finally:
            if pending is None:
                reply.close()
            else:
                # A thread still waits for a line: the stream is closed when it comes.
                pending.add_done_callback(lambda _: reply.close())
