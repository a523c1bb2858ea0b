from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID


def _same(value: Any) -> Any:
    return value


def _value(value: Any) -> Any:
    return value.value


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
    head, _, fraction = value.removesuffix("Z").removesuffix("+00:00").partition(".")
    moment = datetime.fromisoformat(f"{head}.{fraction:0<6}"[:26])
    return moment.replace(tzinfo=timezone.utc)


def _datetime_text(value: datetime) -> str:
    return value.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")

