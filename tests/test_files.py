"""Files of tensors: layout, round trips, damage of every kind, and writes that fail."""

import errno
import io
import json
import math
import os
import re
import resource
import stat
import threading
from fractions import Fraction

import numpy as np
import pytest
from damage import ENTRY, edit_bytes, edit_header, file_of, nested, parts_of
from peak_memory import peak

import cylstm
from cylstm import _files, _json
from cylstm._files import check_tensors, read_stream, read_tensors, write_tensors

TENSORS = {
    "bias": np.arange(3, dtype=np.float32),
    "mask": np.array([True, False, True, True, False]),
    "moments": np.linspace(-1, 1, 8).reshape(2, 4),
    "weights": np.arange(-6, 6, dtype=np.float32).reshape(3, 4),
    "codes": np.arange(-3, 4, dtype=np.int8),
    "none": np.zeros((0, 4), np.int32),
}
METADATA = {"epoch": 7, "losses": [0.5, math.nan, -math.inf], "name": "größe", "seed": 2**127}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def same(a, b):
    """Whether values of metadata are equal; NaN is NaN."""
    if isinstance(a, dict):
        return (
            isinstance(b, dict)
            and list(a) == list(b)
            and all(same(a[key], b[key]) for key in a)
        )
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or (a != a and b != b))


def assert_same(read, expected):
    assert read.keys() == expected.keys()
    for name, tensor in expected.items():
        assert read[name].dtype == tensor.dtype
        assert read[name].shape == tensor.shape
        assert read[name].tobytes() == tensor.tobytes()


# Layout


def test_bytes(path, monkeypatch):
    """The format itself: whoever changes it needs a new FORMAT_VERSION."""
    monkeypatch.setattr(cylstm, "__version__", "0.1.0")
    tensors = {
        "a": np.array([1, -2], np.int8),
        "b": np.array([[1.5, -2]], np.float32),
        "c": np.array(3, np.uint64),
    }
    write_tensors(path, tensors, {"x": [1, math.nan, "é", None, True]})
    header = (
        b'{"__metadata__":{"format":"cylstm","format_version":"1",'
        b'"library_version":"0.1.0",'
        rb'"cylstm":"{\"x\":[1,{\"__float__\":\"nan\"},\"\\u00e9\",null,true]}"},'
        b'"c":{"dtype":"U64","shape":[],"data_offsets":[0,8]},'
        b'"b":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]},'
        b'"a":{"dtype":"I8","shape":[2],"data_offsets":[16,18]}}'
    )
    header = header.ljust(376)
    assert path.read_bytes() == (
        b"\x78\x01\0\0\0\0\0\0" + header + b"\x03\0\0\0\0\0\0\0\0\0\xc0\x3f\0\0\0\xc0\x01\xfe"
    )


@pytest.mark.parametrize("n_letters", range(1, 66))
def test_alignment(path, n_letters):
    """Of the first tensor to 64 bytes, of each to its elements, for any length of header."""
    tensors = {"n" * n_letters: np.zeros(3, bool), **TENSORS}
    write_tensors(path, tensors, METADATA)
    entries, data = parts_of(path.read_bytes())
    start = os.path.getsize(path) - len(data)
    assert start % 64 == 0
    for name, tensor in tensors.items():
        assert (start + entries[name]["data_offsets"][0]) % tensor.itemsize == 0
        mapped = read_tensors(path, mmap=True)[0][name]
        assert mapped.ctypes.data % tensor.itemsize == 0


def test_safetensors_package_reads_it(path):
    safetensors_numpy = pytest.importorskip("safetensors.numpy")
    write_tensors(path, TENSORS, METADATA)
    assert_same(safetensors_numpy.load_file(path), TENSORS)


def test_reads_what_the_safetensors_package_writes(path):
    safetensors_numpy = pytest.importorskip("safetensors.numpy")
    write_tensors(path, TENSORS, METADATA)
    strings = parts_of(path.read_bytes())[0]["__metadata__"]
    safetensors_numpy.save_file(TENSORS, path, metadata=strings)
    tensors, metadata = read_tensors(path, mmap=True)
    assert_same(tensors, TENSORS)
    assert same(metadata, METADATA)


# Round trips


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (5,), (2, 3), (0, 3), (3, 0), (2, 3, 4)])
@pytest.mark.parametrize("dtype", _files.DTYPES.values(), ids=_files.DTYPES)
def test_dtypes_and_shapes(path, dtype, shape, mmap):
    random = np.random.default_rng(0).bytes(math.prod(shape) * dtype.itemsize)
    if dtype.kind == "b":
        random = bytes(byte & 1 for byte in random)
    tensor = np.ndarray(shape, dtype, random)
    write_tensors(path, {"a": tensor}, {})
    tensors, metadata = read_tensors(path, mmap=mmap)
    assert_same(tensors, {"a": tensor})
    assert metadata == {}
    assert tensors["a"].flags.writeable != mmap
    assert tensors["a"].flags.aligned
    assert tensors["a"].flags.c_contiguous


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize(
    "tensor",
    [
        np.arange(6, dtype=">f4"),
        np.arange(6, dtype=">i8").reshape(2, 3).T,
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12.0).reshape(3, 4)[::-2, 1::2],
        np.broadcast_to(np.float32(3), (2, 3)),
        np.frombuffer(b"x" + np.arange(3.0).tobytes(), np.uint8)[1:].view(np.float64),
        np.arange(3, dtype=np.longlong),
        np.float32(3),
    ],
    ids=["big", "big-T", "F", "strided", "broadcast", "unaligned", "longlong", "scalar"],
)
def test_memory_layouts(path, tensor, mmap):
    write_tensors(path, {"a": tensor}, {})
    read = read_tensors(path, mmap=mmap)[0]["a"]
    assert read.dtype == tensor.dtype.newbyteorder("=")
    assert read.shape == tensor.shape
    np.testing.assert_array_equal(read, tensor)


def test_own_arrays(path):
    """What is read without mapping can be changed, and does not change the file."""
    write_tensors(path, TENSORS, METADATA)
    tensors, _ = read_tensors(path)
    for tensor in tensors.values():
        tensor[...] = 0
    assert_same(read_tensors(path)[0], TENSORS)


def test_mapped_arrays_are_the_file(path):
    write_tensors(path, TENSORS, METADATA)
    tensors, metadata = read_tensors(path, mmap=True)
    assert_same(tensors, TENSORS)
    assert same(metadata, METADATA)
    with pytest.raises(ValueError, match="WRITEABLE"):
        tensors["bias"].flags.writeable = True
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x55")
    assert tensors["codes"][-1] == 0x55


def test_mapped_arrays_outlive_the_file(path):
    write_tensors(path, TENSORS, METADATA)
    tensors, _ = read_tensors(path, mmap=True)
    write_tensors(path, {"bias": np.ones(1000)}, {})
    path.unlink()
    assert_same(tensors, TENSORS)


def test_no_tensors(path):
    write_tensors(path, {}, {"a": 1})
    for mmap in (False, True):
        assert read_tensors(path, mmap=mmap) == ({}, {"a": 1})


def test_names(path):
    tensors = {name: np.ones(2) for name in ("a.b/c[0]", "größe 字 😀", "__float__", '"\\')}
    write_tensors(path, tensors, {})
    assert list(read_tensors(path)[0]) == list(tensors)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        [0, -1, 2**128, -(10**99)],
        [0.1, -0.0, 5e-324, 1.7976931348623157e308, 1e16],
        [math.nan, math.inf, -math.inf],
        ["", "größe", "字", "😀", "\0\n\x7f", "\ud800", "\udc00\ud800", "nan", "</script>"],
        {"": {}, "é": [], "\ud800": [[{"a": [None]}]], "nan": math.nan},
        [0.5] * 1000,
    ],
)
def test_metadata(path, value):
    write_tensors(path, {}, {"value": value})
    read = read_tensors(path)[1]["value"]
    assert same(read, value)
    assert repr(read) == repr(value)  # the sign of zero, too


def test_metadata_of_other_types(path):
    metadata = {
        "tuple": (1, 2),
        "float32": np.float32(0.1),
        "float64": np.float64("nan"),
        "int64": np.int64(-3),
        "bool": np.bool_(True),
        "str": np.str_("é"),
    }
    write_tensors(path, {}, metadata)
    expected = {
        "tuple": [1, 2],
        "float32": float(np.float32(0.1)),
        "float64": math.nan,
        "int64": -3,
        "bool": True,
        "str": "é",
    }
    assert same(read_tensors(path)[1], expected)


def endless():
    value = []
    value += [value, value]
    return value


def test_depth(path):
    value = nested(_json.MAX_DEPTH - 1)
    write_tensors(path, {}, {"value": value})
    assert read_tensors(path)[1] == {"value": value}


# What is not written


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ({1: 2}, TypeError, "metadata['value'] has the key 1, which is not a str"),
        ({"a": [0, {1}]}, TypeError, "metadata['value']['a'][1] is of type set"),
        (np.zeros(2), TypeError, "is of type ndarray"),
        (b"a", TypeError, "is of type bytes"),
        (1j, TypeError, "is of type complex"),
        (Fraction(1, 3), TypeError, "is of type Fraction"),
        ({"__float__": "nan"}, ValueError, "the key '__float__', which stands for a float"),
        ("\ud83d\ude00", ValueError, "two surrogates in a row"),
        ({"\ud83d\ude00": 1}, ValueError, "two surrogates in a row"),
        (10**100, ValueError, "an integer of more than 100 digits"),
        (-(10**4000), ValueError, "an integer of more than 100 digits"),
        (nested(_json.MAX_DEPTH), ValueError, "nested more than 100 deep"),
        (endless(), ValueError, "nested more than 100 deep"),
    ],
)
def test_metadata_that_is_refused(path, value, error, message):
    with pytest.raises(error, match=f"^Cannot write {path}: .*{re.escape(message)}"):
        write_tensors(path, TENSORS, {"value": value})
    assert not os.listdir(path.parent)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"": np.ones(2)}, "'' cannot be the name of a tensor"),
        ({"__metadata__": np.ones(2)}, "'__metadata__' cannot be the name of a tensor"),
        ({1: np.ones(2)}, "1 cannot be the name of a tensor"),
        ({"\ud800": np.ones(2)}, r"'\ud800' cannot be the name of a tensor"),
        ({"a\0": np.ones(2)}, r"'a\x00' cannot be the name of a tensor"),
        ({"a": np.ones(2, np.complex64)}, "'a' has dtype complex64, but only F64, I64, U64,"),
        ({"a": np.ones(2, complex)}, "'a' has dtype complex128, but only"),
        ({"a": np.array([None])}, "'a' has dtype object, but only"),
        ({"a": np.array(["b"])}, "'a' has dtype <U1, but only"),
        ({"a": np.zeros(2, "f4,f4")}, "'a' has dtype [('f0', '<f4'), ('f1', '<f4')], but"),
        ({"a": np.zeros(2, "m8[s]")}, "'a' has dtype timedelta64[s], but only"),
    ],
)
def test_tensors_that_are_refused(path, tensors, message):
    with pytest.raises(ValueError, match=f"^Cannot write {path}: {re.escape(message)}"):
        write_tensors(path, tensors, {})
    assert not os.listdir(path.parent)


def test_header_that_is_too_long(path, monkeypatch):
    monkeypatch.setattr(_files, "MAX_HEADER", 1000)
    with pytest.raises(ValueError, match="the header has 1[0-9]* bytes; 1000 are allowed"):
        write_tensors(path, {}, {"a": "b" * 1300})
    assert not os.listdir(path.parent)


# Damaged and other files

STRINGS = {"format": "cylstm", "format_version": "1", "library_version": "0", "cylstm": "{}"}


def with_entry(data=bytes(8), **changes):
    return with_entries({"a": {**ENTRY, **changes}}, data)


def with_entries(entries, data):
    header = json.dumps({"__metadata__": STRINGS, **entries}).encode()
    return file_of(header.ljust(-(-len(header) // 64) * 64 - 8), data)


def with_strings(**changes):
    strings = {key: value for key, value in {**STRINGS, **changes}.items() if value != ()}
    return file_of({"__metadata__": strings})


def entry(code, shape, begin, end):
    return {"dtype": code, "shape": shape, "data_offsets": [begin, end]}


VALID = with_entry()

DAMAGE = {
    "empty": (b"", "it has 0 bytes, too few for the length of a header"),
    "7 bytes": (bytes(7), "it has 7 bytes, too few"),
    "8 zeros": (bytes(8), "its header is not valid JSON: Expecting value"),
    "only a length": (VALID[:8], "its header would be of 184 bytes, but 0 follow"),
    "cut in the header": (VALID[:100], "its header would be of 184 bytes, but 92 follow"),
    "cut at the end of the header": (VALID[:188], "would be of 184 bytes, but 180 follow"),
    "cut in the data": (VALID[:-1], "its tensors have 8 bytes, but 7 follow the header"),
    "longer": (VALID + b"\0", "its tensors have 8 bytes, but 9 follow the header"),
    "length beyond the file": (b"\xff\xff\1\0" + VALID[4:], "would be of 131071 bytes, but"),
    "endless length": (
        b"\xff" * 8 + VALID[8:],
        "its header would be of 18446744073709551615 bytes; 10000000 are allowed",
    ),
    "pickle": (b"\x80\x04\x95" + bytes(50), "its header would be of"),
    "not UTF-8": (file_of(b'{"\xff":1}'), "not valid JSON: 'utf-8' codec can't decode byte"),
    "UTF-16": (file_of('{"a":1}'.encode("utf-16")), "not valid JSON: 'utf-8' codec"),
    "not JSON": (file_of(b"{'a': 1}"), "not valid JSON: Expecting property name"),
    "zeros behind": (file_of(b"{}\0\0"), "not valid JSON: Extra data"),
    "key twice": (file_of(b'{"a":1,"a":2}'), "not valid JSON: the key 'a' occurs twice"),
    "key twice in a tensor": (
        file_of(b'{"a":{"shape":1,"shape":2}}'),
        "not valid JSON: the key 'shape' occurs twice",
    ),
    "nested arrays": (file_of(b"[" * 10**6), "not valid JSON: values are nested more than"),
    "nested objects": (file_of(b'{"a":' * 10**6), "values are nested more than 100 deep"),
    "600 deep": (file_of(b"[" * 600 + b"]" * 600), "values are nested more than 100 deep"),
    "huge integer": (file_of(b"9" * 10**6), "an integer has more than 100 digits"),
    "huge float": (file_of(b"1e999"), "a number is too long or too large: '1e999'"),
    "long float": (file_of(b"1." + b"1" * 10**6), "a number is too long or too large"),
    "NaN": (file_of(b'{"a":NaN}'), "NaN is not a JSON number"),
    "list": (file_of([]), "its header is [], not an object"),
    "number": (file_of(1), "its header is 1, not an object"),
    "no metadata": (file_of({"a": ENTRY}, bytes(8)), "it was not written by cylstm"),
    "metadata null": (file_of({"__metadata__": None}), "its __metadata__ is not an object of"),
    "metadata of numbers": (
        file_of({"__metadata__": {"a": 1}}),
        "is not an object of strings",
    ),
    "of others": (with_strings(format="pt"), "it was not written by cylstm"),
    "of a newer cylstm": (
        with_strings(format_version="2", cylstm="?"),
        "it was written by a newer cylstm (format 2); this one reads up to 1",
    ),
    "no version": (
        with_strings(format_version=()),
        "its format_version is '', not a positive",
    ),
    "version 0": (
        with_strings(format_version="0"),
        "its format_version is '0', not a positive",
    ),
    "version 1.0": (with_strings(format_version="1.0"), "its format_version is '1.0', not"),
    "version ²": (with_strings(format_version="²"), "its format_version is '²', not"),
    "version 1\\n": (with_strings(format_version="1\n"), r"its format_version is '1\n', not"),
    "long version": (with_strings(format_version="1" * 5000), "not a positive number"),
    "no own metadata": (with_strings(cylstm=()), "it has no metadata"),
    "own metadata list": (with_strings(cylstm="[]"), "its metadata is [], not an object"),
    "own metadata cut": (
        with_strings(cylstm='{"a":'),
        "its metadata is not valid JSON: Expect",
    ),
    "own metadata NaN": (with_strings(cylstm='{"a":NaN}'), "NaN is not a JSON number"),
    "own metadata deep": (
        with_strings(cylstm="[" * 10**5),
        "metadata is not valid JSON: values",
    ),
    "own metadata twice": (with_strings(cylstm='{"a":1,"a":1}'), "the key 'a' occurs twice"),
    "other float": (
        with_strings(cylstm='{"a":{"__float__":"1"}}'),
        "{'__float__': '1'} is not a float",
    ),
    "float of a list": (with_strings(cylstm='{"a":{"__float__":[]}}'), "is not a float"),
    "float and more": (
        with_strings(cylstm='{"a":{"__float__":"nan","b":1}}'),
        "{'__float__': 'nan', 'b': 1} is not a float",
    ),
    "own metadata a float": (
        with_strings(cylstm='{"__float__":"nan"}'),
        "its metadata is nan, not an object",
    ),
    "no name": (with_entries({"": ENTRY}, bytes(8)), "'' cannot be the name of a tensor"),
    "surrogate": (with_entries({"\ud800": ENTRY}, bytes(8)), r"'\ud800' cannot be the name"),
    "control": (with_entries({"a\n": ENTRY}, bytes(8)), r"'a\n' cannot be the name of a"),
    "tensor a list": (with_entries({"a": []}, b""), "'a' is [], not dtype, shape and"),
    "tensor deep": (
        with_entries({"a": nested(95)}, b""),
        "'a' is {'a': [{'a': [{'a': [",
    ),
    "no shape": (
        with_entries({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, bytes(8)),
        "'a' is {'dtype': 'F32', 'data_offsets': [0, 8]}, not dtype, shape and data_offsets",
    ),
    "more": (with_entry(strides=[1]), "not dtype, shape and data_offsets of a tensor"),
    "dtype BF16": (with_entry(dtype="BF16"), "'a' has the dtype 'BF16', which is none of"),
    "dtype f32": (with_entry(dtype="f32"), "'a' has the dtype 'f32', which is none of F64,"),
    "dtype list": (with_entry(dtype=["F32"]), "'a' has the dtype ['F32'], which is none of"),
    "dtype null": (with_entry(dtype=None), "'a' has the dtype None, which is none of F64,"),
    "shape number": (with_entry(shape=2), "'a' has the shape 2, which no array has"),
    "shape text": (with_entry(shape="2"), "'a' has the shape '2', which no array has"),
    "shape negative": (with_entry(shape=[-1, -2]), "the shape [-1, -2], which no array has"),
    "shape float": (with_entry(shape=[2.0]), "'a' has the shape [2.0], which no array has"),
    "shape bool": (with_entry(shape=[2, True]), "the shape [2, True], which no array has"),
    "33 dimensions": (with_entry(shape=[2] + [1] * 32), "which no array has"),
    "shape huge": (with_entry(shape=[10**99]), "which is too large"),
    "shape wraps": (with_entry(shape=[2**32, 2**32, 2]), "which is too large"),
    "shape wraps to 8": (with_entry(shape=[2**62 + 2]), "which is too large"),
    "huge and empty": (
        with_entry(b"", shape=[0, 2**62], data_offsets=[0, 0]),
        "'a' has the shape [0, 4611686018427387904], which is too large",
    ),
    "shape beyond the file": (
        with_entry(shape=[2**40]),
        "'a' of shape (1099511627776,) and dtype F32 has 4398046511104 bytes, but "
        "data_offsets [0, 8]",
    ),
    "offsets beyond the file": (
        with_entry(shape=[2**40], data_offsets=[0, 2**42]),
        "its tensors have 4398046511104 bytes, but 8 follow the header",
    ),
    "offsets of one": (with_entry(data_offsets=[0]), "data_offsets [0], not begin and end"),
    "offsets of three": (with_entry(data_offsets=[0, 8, 8]), "[0, 8, 8], not begin and end"),
    "offsets text": (with_entry(data_offsets="08"), "data_offsets '08', not begin and end"),
    "offsets null": (with_entry(data_offsets=None), "data_offsets None, not begin and end"),
    "offsets negative": (with_entry(data_offsets=[-8, 0]), "[-8, 0], not begin and end"),
    "offsets float": (with_entry(data_offsets=[0, 8.0]), "[0, 8.0], not begin and end"),
    "offsets swapped": (
        with_entry(data_offsets=[8, 0]),
        "has 8 bytes, but data_offsets [8, 0]",
    ),
    "dtype of other size": (
        with_entry(dtype="F64"),
        "dtype F64 has 16 bytes, but data_offsets",
    ),
    "more bytes than elements": (
        with_entry(bytes(12), data_offsets=[0, 12]),
        "dtype F32 has 8 bytes, but data_offsets [0, 12]",
    ),
    "hole at the start": (
        with_entry(bytes(16), data_offsets=[8, 16]),
        "its tensors leave a hole before 'a'",
    ),
    "hole": (
        with_entries(
            {"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 8, 12)}, data=bytes(12)
        ),
        "its tensors leave a hole before 'b'",
    ),
    "overlap": (
        with_entries(
            {"b": entry("F32", [2], 4, 12), "a": entry("F32", [2], 0, 8)}, data=bytes(12)
        ),
        "its tensors overlap before 'b'",
    ),
    "same bytes": (
        with_entries({"a": ENTRY, "b": ENTRY}, bytes(8)),
        "its tensors overlap before 'b'",
    ),
    "empty inside another": (
        with_entries({"a": ENTRY, "b": entry("F32", [0], 4, 4)}, bytes(8)),
        "its tensors overlap before 'b'",
    ),
    "not aligned": (
        with_entries(
            {"a": entry("I8", [1], 0, 1), "b": entry("F32", [1], 1, 5)}, data=bytes(5)
        ),
        "which is not a multiple of 4",
    ),
    "header of odd length": (
        file_of(
            (json.dumps({"__metadata__": STRINGS, "a": ENTRY}).encode() + b" ").ljust(249),
            bytes(8),
        ),
        "'a' starts at byte 257, which is not a multiple of 4",
    ),
    "bool of 2": (
        with_entry(b"\0\1\2\1", dtype="BOOL", shape=[4], data_offsets=[0, 4]),
        "'a' of dtype BOOL has bytes other than 0 and 1",
    ),
}


@pytest.mark.parametrize("mmap", [False, True])
def test_hand_made_file(path, mmap):
    """The table below differs from it in one thing at a time."""
    path.write_bytes(VALID)
    tensors, metadata = read_tensors(path, mmap=mmap)
    assert_same(tensors, {"a": np.zeros(2, np.float32)})
    assert metadata == {}


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize(("contents", "message"), DAMAGE.values(), ids=DAMAGE)
def test_damage(path, contents, message, mmap):
    path.write_bytes(contents)
    with pytest.raises(
        ValueError, match=f"^Cannot read {path}: .*{re.escape(message)}"
    ) as caught:
        read_tensors(path, mmap=mmap)
    assert len(str(caught.value)) < 1000


def test_every_length(path):
    """A file cut anywhere is refused."""
    write_tensors(path, TENSORS, METADATA)
    contents = path.read_bytes()
    for length in range(len(contents)):
        with pytest.raises(ValueError, match="bytes"):
            read_stream(io.BytesIO(contents[:length]))


def test_file_that_becomes_shorter_while_it_is_read():
    class Shrinking(io.BytesIO):
        def readinto(self, buffer):
            self.truncate(len(VALID) - 4)
            return super().readinto(buffer)

    with pytest.raises(ValueError, match="it became shorter while it was read"):
        read_stream(Shrinking(VALID))


def test_file_that_becomes_shorter_before_it_is_mapped(path, monkeypatch):
    path.write_bytes(VALID)
    read_header = _files.read_header

    def shrinking(file):
        header = read_header(file)
        os.truncate(path, len(VALID) - 4)
        return header

    monkeypatch.setattr(_files, "read_header", shrinking)
    with pytest.raises(ValueError, match="Cannot read .* length is greater than file size"):
        read_tensors(path, mmap=True)


@pytest.mark.parametrize("mmap", [False, True])
def test_missing_file(path, mmap):
    with pytest.raises(FileNotFoundError, match="model.safetensors"):
        read_tensors(path, mmap=mmap)


def test_not_a_regular_file(path):
    """Nothing waits for the other end of a pipe, and no device becomes a file."""
    os.mkfifo(path)
    for other in (path, path.parent, os.devnull):
        for mmap in (False, True):
            with pytest.raises(ValueError, match="Cannot read .*: it is not a regular file"):
                read_tensors(other, mmap=mmap)
        with pytest.raises(ValueError, match="Cannot write .*: it is not a regular file"):
            write_tensors(other, TENSORS, METADATA)
    assert os.listdir(path.parent) == [path.name]
    assert not stat.S_ISREG(os.stat(os.devnull).st_mode)


# Any damage


def some_files(folder):
    """Contents of valid files."""
    files = []
    for tensors, metadata in [
        (TENSORS, METADATA),
        ({"a": np.arange(4, dtype=np.uint8)}, {}),
        ({}, {"nested": nested(20), "text": "\ud800" * 9}),
        ({f"layer{k}": np.full((2, k), k, np.float32) for k in range(8)}, {"x": [0.5] * 20}),
    ]:
        write_tensors(folder / "some", tensors, metadata)
        files.append((folder / "some").read_bytes())
    return files


def assert_consistent(contents, tensors, metadata):
    """Every byte of the data belongs to one tensor, as the header has it."""
    header, data = parts_of(contents)
    strings = header.pop("__metadata__")
    assert same(_json.loads(_json.dumps(metadata, "metadata")), metadata)
    assert (strings["format"], strings["format_version"]) == ("cylstm", "1")
    assert list(tensors) == list(header)
    assert sum(tensor.nbytes for tensor in tensors.values()) == len(data)
    for name, tensor in tensors.items():
        begin, end = header[name]["data_offsets"]
        assert list(tensor.shape) == header[name]["shape"]
        assert tensor.dtype == _files.DTYPES[header[name]["dtype"]]
        assert tensor.tobytes() == data[begin:end]
        assert tensor.flags.writeable
        assert tensor.flags.aligned


@pytest.mark.parametrize(
    "n_files", [pytest.param(4_000), pytest.param(100_000, marks=pytest.mark.slow)]
)
def test_any_damage(tmp_path, n_files):
    """A damaged file is refused by a ValueError or means what it says."""
    files = some_files(tmp_path)
    rng = np.random.default_rng(n_files)
    n_read, reasons = 0, set()
    for k in range(n_files):
        edit = edit_header if k % 2 else edit_bytes
        contents = edit(files[rng.integers(len(files))], rng)
        try:
            tensors, metadata = read_stream(io.BytesIO(contents))
        except ValueError as error:
            reasons.add(str(error)[:12])
        else:
            assert_consistent(contents, tensors, metadata)
            n_read += 1
    # The damage is of many kinds, and some leaves a valid file.
    assert n_files / 50 < n_read < n_files / 2
    assert len(reasons) > 10


# Memory


def test_memory_of_reading(path):
    """The arrays once; a mapped file takes none."""
    tensors = {"a": np.zeros(500_000), "b": np.zeros((1000, 1000), np.float32)}
    write_tensors(path, tensors, {})
    n_bytes = sum(tensor.nbytes for tensor in tensors.values())
    assert n_bytes <= peak(lambda: read_tensors(path)) < n_bytes + 200_000
    assert peak(lambda: read_tensors(path, mmap=True)) < 200_000


def test_memory_of_writing(path):
    """No copy of what lies as the file has it, else one at a time."""
    tensors = {name: np.zeros((1000, 1000), np.float32) for name in "abc"}
    assert peak(lambda: write_tensors(path, tensors, {})) < 300_000
    transposed = {name: tensor.T for name, tensor in tensors.items()}
    assert peak(lambda: write_tensors(path, transposed, {})) < 2 * 4_000_000 + 300_000


@pytest.mark.parametrize(
    "name",
    [
        "endless length",
        "length beyond the file",
        "shape beyond the file",
        "offsets beyond the file",
        "huge and empty",
        "nested arrays",
        "huge integer",
        "long float",
    ],
)
def test_memory_of_refusing(path, name):
    """No allocation follows what a file claims."""
    contents, _ = DAMAGE[name]
    path.write_bytes(contents)

    def read():
        with pytest.raises(ValueError, match="Cannot read"):
            read_tensors(path)

    read()  # whatever Python keeps from the first time
    assert peak(read) < 5 * len(contents) + 200_000


# Writes that fail


def fail(error):
    def function(*args, **kwargs):
        raise error

    return function


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "no disk"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_write_that_is_interrupted(path, monkeypatch, call, error, there):
    """What was there stays, and nothing else does."""
    if there:
        write_tensors(path, TENSORS, METADATA)
    monkeypatch.setattr(os, call, fail(error))
    with pytest.raises(type(error)):
        write_tensors(path, {"a": np.ones(1000)}, {})
    assert os.listdir(path.parent) == [path.name] * there
    if there:
        assert_same(read_tensors(path)[0], TENSORS)


def test_disk_that_is_full(path):
    write_tensors(path, TENSORS, METADATA)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_tensors(path, {"a": np.ones(100_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(path.parent) == [path.name]
    assert_same(read_tensors(path)[0], TENSORS)


def test_order_of_a_write(path, monkeypatch):
    """All is on the disk before the file has its name, and then the name itself."""
    calls = []

    def recorded(name, function):
        def call(*args):
            if name == "fsync":
                status = os.fstat(args[0])
                what = "directory" if stat.S_ISDIR(status.st_mode) else status.st_size
                calls.append((name, what))
            else:
                calls.append((name,))
            return function(*args)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, recorded(name, getattr(os, name)))
    write_tensors(path, TENSORS, METADATA)
    assert calls == [("fsync", path.stat().st_size), ("replace",), ("fsync", "directory")]


def test_directory_that_cannot_be_synchronized(path, monkeypatch):
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not on this file system")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_tensors(path, TENSORS, METADATA)
    assert_same(read_tensors(path)[0], TENSORS)


def test_error_of_the_system_names_the_path(tmp_path):
    missing = tmp_path / "missing" / "model.safetensors"
    with pytest.raises(FileNotFoundError) as caught:
        write_tensors(missing, TENSORS, METADATA)
    assert caught.value.filename == str(missing)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions(path, umask, mode):
    """As open() has them: from the umask, of a file that is there its own."""
    before = os.umask(umask)
    try:
        write_tensors(path, TENSORS, METADATA)
        assert stat.S_IMODE(path.stat().st_mode) == mode
        path.chmod(0o640)
        write_tensors(path, TENSORS, METADATA)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_link(tmp_path, path):
    """The file that a link points to is replaced, and the link stays."""
    link = tmp_path / "latest"
    link.symlink_to(path.name)
    write_tensors(link, TENSORS, METADATA)
    assert link.is_symlink()
    assert_same(read_tensors(path)[0], TENSORS)


def test_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tensors("a", TENSORS, METADATA)
    assert os.listdir(tmp_path) == ["a"]
    assert_same(read_tensors("a")[0], TENSORS)


@pytest.mark.parametrize("mmap", [False, True])
def test_readers_while_it_is_written(path, mmap):
    """See the old file or the new one."""
    versions = [{"a": np.full(3000 + 500 * k, k)} for k in range(4)]
    write_tensors(path, versions[0], {"version": 0})
    done = threading.Event()

    def write():
        for k in range(100):
            write_tensors(path, versions[k % 4], {"version": k % 4})
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not done.is_set():
            tensors, metadata = read_tensors(path, mmap=mmap)
            assert_same(tensors, versions[metadata["version"]])
    finally:
        writer.join()
    assert os.listdir(path.parent) == [path.name]


# What a reader needs


def test_expected_tensors(path):
    expected = {"a": ((2, 3), np.float32), "b": ((), "i8")}
    tensors = {"a": np.zeros((2, 3), np.float32), "b": np.int64(1)}
    check_tensors(path, tensors, expected)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "it has no tensor 'weights'"),
        ({"weights": np.zeros((3, 4))}, "'weights' has shape (3, 4), but (3, 5) is expected"),
        (
            {"weights": np.zeros((3, 5), np.float32)},
            "'weights' has dtype float32, but float64 is expected",
        ),
        (
            {"weights": np.zeros((3, 5)), "bias": np.zeros(5)},
            "it has a tensor 'bias', which is not expected",
        ),
    ],
)
def test_unexpected_tensors(path, tensors, message):
    with pytest.raises(ValueError, match=re.escape(f"Cannot use {path}: {message}.")):
        check_tensors(path, tensors, {"weights": ((3, 5), float)})
