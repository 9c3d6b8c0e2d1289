"""Files of named arrays and metadata, in the layout of safetensors.

    8 bytes     length of the header, little-endian
    the header  JSON in UTF-8, then spaces, so that it ends at a multiple of 64
    the data    elements of all arrays, little-endian, in C order

The header maps each name to `{"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}`,
with offsets from the end of the header, and "__metadata__" to strings: "format" ("cylstm"),
"format_version", "library_version", and "cylstm", the metadata as JSON (as `_json` has it).

The layout allows no byte between arrays. So those with the largest elements come first: each
then starts at a multiple of its element's size, the first one at a multiple of 64, and can be
used where it lies in a mapped file.
"""

from __future__ import annotations

import glob
import io
import json
import math
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from mmap import ACCESS_READ
from mmap import mmap as MappedFile
from typing import Any, NamedTuple

import numpy as np

import cylstm

from . import _json
from ._arguments import shown

FORMAT = "cylstm"
FORMAT_VERSION = 1

DTYPES: dict[str, np.dtype] = {
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
    "U64": np.dtype("<u8"),
    "F32": np.dtype("<f4"),
    "I32": np.dtype("<i4"),
    "U32": np.dtype("<u4"),
    "F16": np.dtype("<f2"),
    "I16": np.dtype("<i2"),
    "U16": np.dtype("<u2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_CODES = {dtype: code for code, dtype in DTYPES.items()}

ALIGNMENT = 64

# Python takes a hundred times as much memory to read it.
MAX_HEADER = 10_000_000

# What every NumPy that is supported can hold.
MAX_DIMENSIONS = 32
MAX_BYTES = 2**63 - 1

# Of the names of temporary files, in bytes; the age of those that nobody writes any more.
N_RANDOM = 8
LEFTOVER_SECONDS = 600

PathLike = str | os.PathLike[str]


class _Place(NamedTuple):
    """What the header says of an array."""

    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


class _Header(NamedTuple):
    places: dict[str, _Place]
    metadata: dict[str, Any]
    n_bytes: int  # of the file up to the data
    size: int  # of the file


def write_tensors(
    path: PathLike, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> None:
    """Write arrays and metadata to a file, which appears as a whole or not at all.

    A file that is there already is replaced, and keeps its permissions; who has it open or
    mapped keeps the old contents. The new ones are on the disk when this returns.

    Parameters
    ----------
    path : str or path-like
    tensors : mapping of str to arrays
        Of any shape and order; their dtypes, in any byte order, are among DTYPES.
    metadata : mapping of str to values
        That `_json.dumps` accepts: numbers, also NaN, str, lists and mappings.

    Raises
    ------
    TypeError
        If the metadata holds something else.
    ValueError
        If read_tensors would refuse the file, or the path is that of something other than a
        file.
    OSError
        If the file cannot be written.
    """
    with explained(f"Cannot write {os.fsdecode(path)}"):
        header, arrays = _laid_out(tensors, metadata)
        with replacing(path) as file:
            file.write(header)
            for array in arrays:
                # Converted one by one, so that there is one copy at a time at most.
                dtype = array.dtype.newbyteorder("<")
                file.write(np.asarray(array, dtype, order="C").data)


def read_tensors(
    path: PathLike, *, mmap: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and metadata of a file that write_tensors made.

    All that the file says is checked before it is used: it may come from anyone. Reading
    takes the memory of the arrays and that of the header's JSON.

    Parameters
    ----------
    path : str or path-like
    mmap : bool, default=False
        Whether to map the file: arrays are then read-only views of it. It must not be
        changed in place meanwhile; write_tensors does not.

    Returns
    -------
    tensors : dict of str to arrays
    metadata : dict

    Raises
    ------
    FileNotFoundError
    ValueError
        If it is not such a file, is damaged, or was written by a newer cylstm.
    """
    with explained(f"Cannot read {os.fsdecode(path)}"):
        _check_kind(os.stat(path))
        with open(path, "rb") as file:
            if not mmap:
                return read_stream(file)
            header = read_header(file)
            # Of this size: if the file became shorter, an error now and no signal later.
            mapped = MappedFile(file.fileno(), header.size, access=ACCESS_READ)
        data = np.frombuffer(mapped, np.uint8)[header.n_bytes :]
        return _arrays(header, data), header.metadata


def check_tensors(
    path: PathLike,
    tensors: Mapping[str, np.ndarray],
    expected: Mapping[str, tuple[tuple[int, ...], Any]],
) -> None:
    """Refuse arrays of a file that are not those that its reader needs.

    Parameters
    ----------
    path : str or path-like
        Of the file, for the error.
    tensors : mapping of str to arrays
    expected : mapping of str to (shape, dtype)

    Raises
    ------
    ValueError
        If one is missing, is not expected, or has another shape or dtype.
    """
    with explained(f"Cannot use {os.fsdecode(path)}"):
        for name, (shape, dtype) in expected.items():
            if name not in tensors:
                raise ValueError(f"it has no tensor {shown(name)}")
            tensor = tensors[name]
            if tensor.shape != tuple(shape):
                raise ValueError(
                    f"{shown(name)} has shape {tensor.shape}, but {tuple(shape)} is expected"
                )
            if tensor.dtype != dtype:
                raise ValueError(
                    f"{shown(name)} has dtype {tensor.dtype}, but {np.dtype(dtype)} is "
                    "expected"
                )
        for name in tensors:
            if name not in expected:
                raise ValueError(f"it has a tensor {shown(name)}, which is not expected")


def read_stream(file: io.BufferedIOBase) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """read_tensors, without mapping, from a file that is open for reading.

    Raises
    ------
    ValueError
        Without the file's name.
    """
    header = read_header(file)
    # As far from a multiple of the alignment as in the file, where arrays are aligned.
    ahead = header.n_bytes % ALIGNMENT
    data = np.empty(ahead + header.size - header.n_bytes, np.uint8)[ahead:]
    file.seek(header.n_bytes)
    if file.readinto(data.data) < len(data):
        raise ValueError("it became shorter while it was read")
    return _arrays(header, data), header.metadata


def joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The elements of arrays of one dtype, one array after the other: a view where this is how
    they lie in what was read, else a copy."""
    flat = [array.reshape(-1) for array in arrays]
    ends = [array.ctypes.data + array.nbytes for array in flat]
    starts = [array.ctypes.data for array in flat]
    if starts[1:] != ends[:-1] or any(x.base is not flat[0].base for x in flat):
        return np.concatenate(flat)
    n = sum(map(len, flat))
    return np.lib.stride_tricks.as_strided(
        flat[0], (n,), writeable=bool(flat[0].flags.writeable)
    )


def _arrays(header: _Header, data: np.ndarray) -> dict[str, np.ndarray]:
    """Views of the data as what the header says."""
    tensors = {
        name: data[place.begin : place.end].view(place.dtype).reshape(place.shape)
        for name, place in header.places.items()
    }
    _check_booleans(tensors)
    return tensors


def read_header(file: io.BufferedIOBase) -> _Header:
    """The header of a file that is open for reading, checked against the file's size.

    Raises
    ------
    ValueError
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size < 8:
        raise ValueError(f"it has {size} bytes, too few for the length of a header")
    length = int.from_bytes(file.read(8), "little")
    if length > MAX_HEADER:
        raise ValueError(
            "it was not written by cylstm, or is damaged: its header would be of "
            f"{length} bytes; {MAX_HEADER} are allowed"
        )
    if length > size - 8:
        raise ValueError(f"its header would be of {length} bytes, but {size - 8} follow")
    return _checked_header(file.read(length), size - 8 - length)


def _laid_out(
    tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> tuple[bytes, list[np.ndarray]]:
    """The bytes before the data, and the arrays in the order of their data."""
    arrays = {name: np.asarray(tensor) for name, tensor in tensors.items()}
    strings = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "library_version": cylstm.__version__,
        FORMAT: _json.dumps(metadata, "metadata"),
    }
    entries: dict[str, Any] = {}
    begin = 0
    # Arrays with elements of equal size stay in the order of the mapping.
    for name, array in sorted(arrays.items(), key=lambda item: -item[1].itemsize):
        if not isinstance(name, str) or name == "__metadata__":
            raise ValueError(f"{shown(name)} cannot be the name of a tensor")
        code = _CODES.get(array.dtype.newbyteorder("<"))
        if code is None:
            raise ValueError(
                f"{shown(name)} has dtype {array.dtype}, but only {', '.join(DTYPES)} are "
                "stored"
            )
        end = begin + array.nbytes
        entries[name] = {"dtype": code, "shape": array.shape, "data_offsets": (begin, end)}
        begin = end
    header = json.dumps({"__metadata__": strings, **entries}, separators=(",", ":")).encode()
    header += b" " * (-(8 + len(header)) % ALIGNMENT)
    if len(header) > MAX_HEADER:
        raise ValueError(f"the header has {len(header)} bytes; {MAX_HEADER} are allowed")
    # What could not be read later is refused now.
    _checked_header(header, begin)
    return len(header).to_bytes(8, "little") + header, [arrays[name] for name in entries]


def _checked_header(header: bytes, n_data: int) -> _Header:
    """What a header says, where it describes a file with n_data bytes of data."""
    try:
        entries = _json.parse(str(header, "utf-8"))
    except ValueError as error:
        raise ValueError(f"its header is not valid JSON: {error}") from error
    if not isinstance(entries, dict):
        raise ValueError(f"its header is {shown(entries)}, not an object")
    # First of all: a newer format may have anything else.
    metadata = _checked_metadata(entries.pop("__metadata__", {}))
    places = {name: _checked_place(name, entry) for name, entry in entries.items()}

    position = 0
    for name, place in sorted(places.items(), key=lambda item: item[1][2:]):
        if place.begin != position:
            what = "overlap" if place.begin < position else "leave a hole"
            raise ValueError(f"its tensors {what} before {shown(name)}")
        position = place.end
    if position != n_data:
        raise ValueError(f"its tensors have {position} bytes, but {n_data} follow the header")
    n_bytes = 8 + len(header)
    for name, place in places.items():
        if (n_bytes + place.begin) % place.dtype.itemsize:
            raise ValueError(
                f"{shown(name)} starts at byte {n_bytes + place.begin}, which is not a "
                f"multiple of {place.dtype.itemsize}"
            )
    return _Header(places, metadata, n_bytes, n_bytes + n_data)


def _checked_metadata(strings: Any) -> dict[str, Any]:
    """The metadata among the strings of "__metadata__"."""
    if not isinstance(strings, dict) or not all(isinstance(s, str) for s in strings.values()):
        raise ValueError("its __metadata__ is not an object of strings")
    if strings.get("format") != FORMAT:
        raise ValueError("it was not written by cylstm")
    version = strings.get("format_version", "")
    if not re.fullmatch("[1-9][0-9]{0,8}", version):
        raise ValueError(f"its format_version is {shown(version)}, not a positive number")
    if int(version) > FORMAT_VERSION:
        raise ValueError(
            f"it was written by a newer cylstm (format {version}); this one reads up to "
            f"{FORMAT_VERSION}"
        )
    if FORMAT not in strings:
        raise ValueError("it has no metadata")
    try:
        metadata = _json.loads(strings[FORMAT])
    except ValueError as error:
        raise ValueError(f"its metadata is not valid JSON: {error}") from error
    if not isinstance(metadata, dict):
        raise ValueError(f"its metadata is {shown(metadata)}, not an object")
    return metadata


def _checked_place(name: str, entry: Any) -> _Place:
    """What the header says of a tensor, where that makes sense by itself."""
    # UTF-8 has no surrogates; control characters would garble messages.
    if not name or not name.isprintable():
        raise ValueError(f"{shown(name)} cannot be the name of a tensor")
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(
            f"{shown(name)} is {shown(entry)}, not dtype, shape and data_offsets of a tensor"
        )
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES:
        raise ValueError(
            f"{shown(name)} has the dtype {shown(code)}, which is none of {', '.join(DTYPES)}"
        )
    if not _are_sizes(shape) or len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"{shown(name)} has the shape {shown(shape)}, which no array has")
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"{shown(name)} has data_offsets {shown(offsets)}, not begin and end")
    dtype = DTYPES[code]
    # NumPy multiplies the other dimensions also where one is 0.
    if math.prod(max(n, 1) for n in shape) * dtype.itemsize > MAX_BYTES:
        raise ValueError(f"{shown(name)} has the shape {shown(shape)}, which is too large")
    begin, end = offsets
    n_bytes = math.prod(shape) * dtype.itemsize
    if end - begin != n_bytes:
        raise ValueError(
            f"{shown(name)} of shape {tuple(shape)} and dtype {code} has {n_bytes} bytes, but "
            f"data_offsets {shown(offsets)}"
        )
    return _Place(dtype, tuple(shape), begin, end)


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(n) is int and n >= 0 for n in values)


def _check_booleans(tensors: Mapping[str, np.ndarray]) -> None:
    """NumPy takes for granted that a bool is 0 or 1."""
    for name, tensor in tensors.items():
        if tensor.dtype == bool and tensor.view(np.uint8).max(initial=0) > 1:
            raise ValueError(f"{shown(name)} of dtype BOOL has bytes other than 0 and 1")


def _check_kind(status: os.stat_result) -> None:
    """A pipe would be waited for; a device would be replaced by a file."""
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Say in ValueErrors and TypeErrors what they kept from happening."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{what}: {str(error).rstrip('.')}.") from error


def remove_leftovers(path: PathLike) -> None:
    """Remove what killed writers of a file have left. Who has written within the last minutes
    may be alive."""
    folder, name = os.path.split(os.path.realpath(path))
    pattern = _temporary_name(glob.escape(name), "?" * 2 * N_RANDOM)
    for temporary in glob.glob(pattern, root_dir=folder, include_hidden=True):
        temporary = os.path.join(folder, temporary)
        with suppress(OSError):
            if os.stat(temporary).st_mtime < time.time() - LEFTOVER_SECONDS:
                os.unlink(temporary)


def _temporary_name(name, unique):
    return f".{name}.{unique}.tmp"


@contextmanager
def replacing(path: PathLike) -> Iterator[io.BufferedIOBase]:
    """A new file that takes the place of the one at a path when all is written."""
    target = os.path.realpath(path)  # a link stays a link
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, _temporary_name(name, secrets.token_hex(N_RANDOM)))
    try:
        with open(temporary, "xb") as file:
            with suppress(FileNotFoundError):
                _check_kind(os.stat(target))
                shutil.copymode(target, temporary)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.filename == temporary:
            error.filename = os.fspath(path)
        raise
    # After a power cut, too, the path is that of the new file. Not every platform and file
    # system can do this; the file is whole in any case.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
