"""The bytes of binary tensors, and values as a datatype holds them. Stands apart for NumPy, which few requests need."""

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lake.errors import InvalidInput, Problem
from lake.explanation import shown
from lake.input_schema import INT64_MAXIMUM, MAXIMUM_TEXT, Field
from lake.protocol import BINARY_SIZE, INTEGERS

_DTYPES = {
    "FP64": "<f8",
    "FP32": "<f4",
    "FP16": "<f2",
    "INT64": "<i8",
    "INT32": "<i4",
    "INT16": "<i2",
    "INT8": "<i1",
    "UINT64": "<u8",
    "UINT32": "<u4",
    "UINT16": "<u2",
    "UINT8": "<u1",
    "BOOL": "<u1",
}
# What is as great as this is infinite when it is rounded to the datatype.
_INFINITE = {"FP32": 2.0**128 - 2.0**103, "FP16": 65_520.0}
_LENGTH_BYTES = 4
_LAST_ASCII = 0x7F
_MANY = 32  # from so many on it is worth looking whether all are of one length
_length_at = struct.Struct("<I").unpack_from


def numbers_of(chunk: bytes, datatype: str, rows: int, field: Field, path: str) -> tuple[npt.NDArray[Any], bool]:
    """The values in the bytes of a tensor of numbers, or of BOOL, and whether each is one of the field.

    Raises InvalidInput when they are not as many as the rows.
    """
    dtype = np.dtype(_DTYPES[datatype])
    if len(chunk) != rows * dtype.itemsize:
        expected = f"{rows * dtype.itemsize}, {dtype.itemsize} for each of {rows} values of {datatype}"
        raise InvalidInput([Problem(path=f"{path}.parameters.{BINARY_SIZE}", found=str(len(chunk)), expected=expected)])
    array: npt.NDArray[Any] = np.frombuffer(chunk, dtype)
    if field.type == "boolean":
        return (array.view(np.bool_), True) if array.max() <= 1 else (array, False)
    if field.type == "number":
        array = array.astype(np.float64, copy=False)
    least, greatest = array.min().item(), array.max().item()  # NaN, if there is one
    return array, _is_within(least, greatest, field)


def values_of(array: npt.NDArray[Any], field: Field) -> list[Any]:
    """The values of an array that does not fit its field, each that does as the field has it."""
    values: list[Any] = array.tolist()
    return [bool(value) if value <= 1 else value for value in values] if field.type == "boolean" else values


def _is_within(least: float, greatest: float, field: Field) -> bool:
    """Whether all from the least to the greatest are values of the field."""
    if field.type == "integer" and greatest > INT64_MAXIMUM:
        return False
    finite = math.isfinite(least) and math.isfinite(greatest)
    return finite and (field.minimum is None or least >= field.minimum) and (field.maximum is None or greatest <= field.maximum)


def texts_of(chunk: bytes, rows: int, field: Field, path: str) -> tuple[list[str], bool]:
    """The texts in the bytes of a tensor of BYTES, each behind its length, and whether each is known to be one of the field.

    Raises InvalidInput, also when they are too many.
    """
    texts = None if rows < _MANY else _of_one_length(chunk, rows)
    if texts is None:
        return _decoded(_of_any_length(chunk, rows, path), path), False
    return texts, field.takes_any_text and len(texts[0]) <= MAXIMUM_TEXT


def _decoded(encoded: Sequence[bytes], path: str) -> list[str]:
    """The texts in UTF-8."""
    try:
        return list(map(bytes.decode, encoded))
    except UnicodeDecodeError:
        wrong = next(index for index, text in enumerate(encoded) if not _is_text(text))
        problem = Problem(path=f"{path}.data[{wrong}]", found="bytes that are not UTF-8", expected="text")
        raise InvalidInput([problem]) from None


def _is_text(encoded: bytes) -> bool:
    try:
        encoded.decode()
    except UnicodeDecodeError:
        return False
    return True


def _of_one_length(chunk: bytes, rows: int) -> list[str] | None:
    """The texts where all are as long as the first and in ASCII, as codes and times are, and none ends in a zero; None where not.

    What is in ASCII has its bytes for code points, of which NumPy's texts have four bytes each.
    """
    width, rest = divmod(len(chunk), rows)
    length = width - _LENGTH_BYTES
    if rest or length < 1:
        return None
    table = np.frombuffer(chunk, np.uint8).reshape(rows, width)
    texts = table[:, _LENGTH_BYTES:]
    lengths = np.frombuffer(chunk, np.dtype({"names": ["length"], "formats": ["<u4"], "itemsize": width}))["length"]
    is_plain = (lengths == length).all() and texts.max() <= _LAST_ASCII and texts[:, -1].all()  # NumPy drops zeros at an end
    return texts.astype("<u4").view(f"<U{length}").ravel().tolist() if is_plain else None


def _of_any_length(chunk: bytes, rows: int, path: str) -> list[bytes]:
    texts: list[bytes] = []
    position, end = 0, len(chunk)
    while position < end:
        begin = position + _LENGTH_BYTES
        following = end + 1 if begin > end else begin + _length_at(chunk, position)[0]
        if len(texts) == rows or following > end:
            _decoded(texts, path)  # what is wrong further ahead is named first
            raise InvalidInput([_no_text(end - position, rows, len(texts), path)])
        texts.append(chunk[begin:following])
        position = following
    return texts


def _no_text(left: int, rows: int, count: int, path: str) -> Problem:
    """What is wrong with the bytes that are left behind so many texts."""
    if count == rows:
        return Problem(path=f"{path}.data", found=f"{left} bytes behind its values", expected=f"{rows} values, as its shape says")
    found, expected = "the end of the tensor's bytes", "the length of a text in four bytes, then the text"
    return Problem(path=f"{path}.data[{count}]", found=found, expected=expected)


def narrowed(values: list[Any], datatype: str, path: str) -> list[Any]:
    """Values of JSON as the datatype holds them; null stays null. Raises InvalidInput for those that it cannot hold."""
    holds = _holder(datatype)
    wrong = [index for index, value in enumerate(values) if value is not None and not holds(value)]
    if wrong:
        expected = f"a value of {datatype}"
        raise InvalidInput(
            Problem(path=f"{path}.data[{index}]", found=shown(values[index]), expected=expected) for index in wrong
        )
    if datatype in INTEGERS:
        return values
    rounded = np.dtype(_DTYPES[datatype]).type
    return [None if value is None else float(rounded(value)) for value in values]


def _holder(datatype: str) -> Callable[[Any], bool]:
    if datatype in INTEGERS:
        limits = np.iinfo(_DTYPES[datatype])
        least, greatest = int(limits.min), int(limits.max)
        return lambda value: type(value) is int and least <= value <= greatest
    infinite = _INFINITE[datatype]
    return lambda value: type(value) in (int, float) and -infinite < value < infinite
