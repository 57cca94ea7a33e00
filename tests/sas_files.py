"""Write small .sas7bdat and .sas7bcat files, with the C library inside pyreadstat, which itself only reads them."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyreadstat import _readstat_writer

_TEXT, _NUMBER = 0, 5
_WITHOUT_RESULT = ("label_double_value", "variable_set_format", "writer_free")
_Writer = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)


class _Library:
    def __init__(self) -> None:
        self._library = ctypes.CDLL(_readstat_writer.__file__)

    def __call__(self, name: str, *arguments: object, pointer: bool = False) -> int:
        function = getattr(self._library, f"readstat_{name}")
        function.restype = ctypes.c_void_p if pointer else ctypes.c_int
        function.argtypes = None
        result = int(function(*arguments) or 0)
        if not pointer and name not in _WITHOUT_RESULT:
            assert result == 0, f"{name}: error {result}"
        return result


def write_sas(
    path: Path,
    columns: Mapping[str, Sequence[str | float | None]],
    *,
    formats: Mapping[str, str] | None = None,
    labels: Mapping[str, Mapping[float, str]] | None = None,
) -> None:
    """Write a .sas7bdat file; or, given a path with .sas7bcat, a catalog of the label sets.

    Args:
        columns: of texts or of numbers; None is missing.
        formats: of columns, such as DATE9; a column with the format of a label set is labelled.
        labels: name of a label set → its values and labels.
    """
    call = _Library()
    out = bytearray()

    @_Writer
    def take(data: int, size: int, _: int) -> int:
        out.extend(ctypes.string_at(data, size))
        return size

    writer = ctypes.c_void_p(call("writer_init", pointer=True))
    call("set_data_writer", writer, take)
    for name, values in (labels or {}).items():
        label_set = ctypes.c_void_p(call("add_label_set", writer, _NUMBER, name.encode(), pointer=True))
        for value, text in values.items():
            call("label_double_value", label_set, ctypes.c_double(value), text.encode())
    if path.suffix == ".sas7bcat":
        call("begin_writing_sas7bcat", writer, None)
    else:
        variables = []
        for name, cells in columns.items():
            kind = _TEXT if any(isinstance(cell, str) for cell in cells) else _NUMBER
            width = ctypes.c_size_t(20 if kind == _TEXT else 8)
            variable = ctypes.c_void_p(call("add_variable", writer, name.encode(), kind, width, pointer=True))
            if name in (formats or {}):
                call("variable_set_format", variable, (formats or {})[name].encode())
            variables.append((variable, kind))
        call("begin_writing_sas7bdat", writer, None, ctypes.c_long(len(next(iter(columns.values())))))
        for row in zip(*columns.values(), strict=True):
            call("begin_row", writer)
            for (variable, kind), cell in zip(variables, row, strict=True):
                if cell is None:
                    call("insert_missing_value", writer, variable)
                elif kind == _TEXT:
                    call("insert_string_value", writer, variable, str(cell).encode())
                else:
                    call("insert_double_value", writer, variable, ctypes.c_double(float(cell)))
            call("end_row", writer)
    call("end_writing", writer)
    call("writer_free", writer)
    path.write_bytes(bytes(out))
