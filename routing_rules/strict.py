"""Strict reading of data files: every fault is found, and each one says where, which field, what value, what to do."""

import tomllib
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

Row = TypeVar("Row", bound=msgspec.Struct)


class DataFault(ValueError):
    """One fault of a data file. ``where`` is the file and the row, ``remedy`` is what its owner should do."""

    def __init__(self, where: str, field: str, value: object, remedy: str) -> None:
        self.where = where
        self.field = field
        self.value = value
        self.remedy = remedy
        super().__init__(f"{where}: {field} = {value!r}: {remedy}")


def tables_of(
    name: str, content: bytes, known: Mapping[str, type], faults: list[DataFault]
) -> dict[str, list[tuple[str, Any]]]:
    """Split one TOML file into its named rows: ``{"division": [("qinghai.toml division 1", row), ...]}``.

    ``known`` maps each top-level key to ``list`` (an array of tables) or ``str`` / ``dict`` (a single value, given
    back as one row). What is not TOML, or not known, is a fault and is left out.
    """
    found: dict[str, list[tuple[str, Any]]] = {key: [] for key in known}
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as err:
        faults.append(DataFault(name, "file", f"byte {err.start}", "save the file as UTF-8"))
        return found
    except tomllib.TOMLDecodeError as err:
        faults.append(DataFault(name, "file", str(err), "mend the TOML syntax at this place"))
        return found
    for key, value in document.items():
        shape = known.get(key)
        if shape is None:
            faults.append(DataFault(name, key, "…", f"unknown key; known are {', '.join(sorted(known))}"))
        elif not isinstance(value, shape):
            faults.append(DataFault(name, key, value, f"must be a {shape.__name__}"))
        elif isinstance(value, list):
            found[key] = [(f"{name} {key} {number}", row) for number, row in enumerate(value, start=1)]
        else:
            found[key] = [(f"{name} {key}", value)]
    return found


def read_row(shape: type[Row], row: object, where: str, faults: list[DataFault]) -> Row | None:
    """Read one table into ``shape``; on any fault add all of them to ``faults`` and give None."""
    try:
        return msgspec.convert(row, shape)
    except msgspec.ValidationError as err:
        before = len(faults)
        # msgspec stops at the first fault, the owner of a list wants them all: ask again field by field
        if not isinstance(row, dict):
            faults.append(DataFault(where, "row", row, "must be a table of fields"))
            return None
        fields = {field.encode_name: field for field in msgspec.structs.fields(shape)}
        for key, value in row.items():
            if key not in fields:
                faults.append(DataFault(where, str(key), value, f"unknown; fields are {', '.join(fields)}"))
                continue
            try:
                msgspec.convert(value, fields[key].type)
            except msgspec.ValidationError as field_err:
                faults.append(DataFault(where, str(key), value, str(field_err)))
        for key, field in fields.items():
            if field.required and key not in row:
                faults.append(DataFault(where, key, None, "is missing and has no default"))
        if len(faults) == before:
            faults.append(DataFault(where, "row", row, str(err)))
        return None


def refuse(what: str, faults: list[DataFault]) -> None:
    """Raise all collected faults as one group; do nothing when there are none."""
    if faults:
        raise ExceptionGroup(f"{what}: {len(faults)} fault(s)", faults)
