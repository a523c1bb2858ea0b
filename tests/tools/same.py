"""Whether two tables are the same: every row by value, every column by name and type.

In: Arrow tables of any producer. Out: a canonical form that two of them share exactly when their rows
and their columns are equal, whatever the width of offsets, the unit of a timestamp's storage or the
order of the rows.
"""

import datetime
import decimal
import hashlib
import json
import uuid

import pyarrow as pa


def kind(data_type):
    """A type's name, the same for every way in which Arrow can store it."""
    if pa.types.is_string(data_type) or pa.types.is_large_string(data_type) or pa.types.is_string_view(data_type):
        return "string"
    if pa.types.is_dictionary(data_type):
        return kind(data_type.value_type)
    if isinstance(data_type, pa.BaseExtensionType):
        return "uuid" if "uuid" in str(data_type).lower() else kind(data_type.storage_type)
    if pa.types.is_fixed_size_binary(data_type) and data_type.byte_width == 16:
        return "uuid"
    if pa.types.is_binary(data_type) or pa.types.is_large_binary(data_type) or pa.types.is_binary_view(data_type):
        return "bytes"
    if pa.types.is_timestamp(data_type):
        return "timestamptz" if data_type.tz else "timestamp"
    if pa.types.is_list(data_type) or pa.types.is_large_list(data_type) or pa.types.is_fixed_size_list(data_type):
        return f"list<{kind(data_type.value_type)}>"
    if pa.types.is_struct(data_type):
        fields = [data_type.field(index) for index in range(data_type.num_fields)]
        return "struct<" + ",".join(f"{field.name}:{kind(field.type)}" for field in fields) + ">"
    return str(data_type)


def value(given):
    """A value in a form that is equal exactly when the value is."""
    if isinstance(given, uuid.UUID):
        return ["bytes", given.bytes.hex()]
    if isinstance(given, (bytes, bytearray, memoryview)):
        return ["bytes", bytes(given).hex()]
    if isinstance(given, decimal.Decimal):
        return ["decimal", str(given.normalize())]
    if isinstance(given, datetime.datetime):
        if given.tzinfo is not None:
            given = given.astimezone(datetime.timezone.utc)
        return ["time", given.isoformat()]
    if isinstance(given, datetime.date):
        return ["date", given.isoformat()]
    if isinstance(given, dict):
        return {name: value(part) for name, part in given.items()}
    if isinstance(given, (list, tuple)):
        return [value(part) for part in given]
    return given


def rows(table, columns=None):
    """The hash of every row, sorted."""
    names = sorted(columns or table.column_names)
    hashes = []
    for row in table.select(names).to_pylist():
        text = json.dumps(value(row), sort_keys=True, ensure_ascii=True)
        hashes.append(hashlib.sha256(text.encode()).hexdigest())
    return sorted(hashes)


def columns(table, loose=()):
    """Names and types of the columns; the types of `loose` ones are not looked at."""
    return {field.name: "?" if field.name in loose else kind(field.type) for field in table.schema}


def empty_for_null(table, name):
    """The table with empty lists in the place of null ones in a column."""
    column = table.column(name)
    lists = pa.array([[] if one is None else one for one in column.to_pylist()], column.type)
    return table.set_column(table.column_names.index(name), table.schema.field(name), lists)


def uuids_as_text(table, name="uuid"):
    """The table with UUIDs written out, as tools have them that know no such type."""
    texts = [
        None if one is None else str(one if isinstance(one, uuid.UUID) else uuid.UUID(bytes=one))
        for one in table.column(name).to_pylist()
    ]
    return table.set_column(table.column_names.index(name), name, pa.array(texts, pa.string()))


def assert_same(found, expected, loose=()):
    assert columns(found, loose) == columns(expected, loose)
    same = rows(found) == rows(expected)
    if not same:
        left = sorted(found.to_pylist(), key=str)
        right = sorted(expected.to_pylist(), key=str)
        raise AssertionError(f"rows differ:\n{left}\n{right}")
