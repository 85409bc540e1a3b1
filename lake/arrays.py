"""The bytes of binary tensors, and values as a datatype holds them. Stands apart for NumPy, which few requests need."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from lake.errors import InvalidInput, Problem
from lake.explanation import shown
from lake.input_schema import INT64_MAXIMUM, Field
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


def numbers_of(chunk: bytes, datatype: str, rows: int, field: Field, path: str) -> tuple[list[Any], bool]:
    """The values in the bytes of a tensor of numbers, or of BOOL, and whether each is one of the field.

    Raises InvalidInput when they are not as many as the rows.
    """
    dtype = np.dtype(_DTYPES[datatype])
    if len(chunk) != rows * dtype.itemsize:
        expected = f"{rows * dtype.itemsize}, {dtype.itemsize} for each of {rows} values of {datatype}"
        raise InvalidInput([Problem(path=f"{path}.parameters.{BINARY_SIZE}", found=str(len(chunk)), expected=expected)])
    array: npt.NDArray[Any] = np.frombuffer(chunk, dtype)
    if field.type == "boolean":
        return [bool(value) if value <= 1 else value for value in array.tolist()], bool(array.max() <= 1)
    if field.type == "number":
        array = array.astype(np.float64, copy=False)
    least, greatest = array.min().item(), array.max().item()  # NaN, if there is one
    return array.tolist(), _is_within(least, greatest, field)


def _is_within(least: float, greatest: float, field: Field) -> bool:
    """Whether all from the least to the greatest are values of the field."""
    if field.type == "integer" and greatest > INT64_MAXIMUM:
        return False
    finite = math.isfinite(least) and math.isfinite(greatest)
    return finite and (field.minimum is None or least >= field.minimum) and (field.maximum is None or greatest <= field.maximum)


def texts_of(chunk: bytes, rows: int, path: str) -> list[str]:
    """The texts in the bytes of a tensor of BYTES, each behind its length. Raises InvalidInput, also when they are too many."""
    texts: list[str] = []
    position, end = 0, len(chunk)
    while position < end:
        if len(texts) == rows:
            found, expected = f"{end - position} bytes behind its values", f"{rows} values, as its shape says"
            raise InvalidInput([Problem(path=f"{path}.data", found=found, expected=expected)])
        begin = position + _LENGTH_BYTES
        position = begin + int.from_bytes(chunk[position:begin], "little")
        if position > end or begin > end:
            found, expected = "the end of the tensor's bytes", "the length of a text in four bytes, then the text"
            raise InvalidInput([Problem(path=f"{path}.data[{len(texts)}]", found=found, expected=expected)])
        try:
            texts.append(chunk[begin:position].decode())
        except UnicodeDecodeError as error:
            place = f"{path}.data[{len(texts)}]"
            raise InvalidInput([Problem(path=place, found="bytes that are not UTF-8", expected="text")]) from error
    return texts


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
