"""Files of tensors that are damaged, at random."""

import copy
import json
import math

ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def file_of(header, data=b""):
    """A file with any header: an object of JSON, or its bytes."""
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    return len(header).to_bytes(8, "little") + header + data


def parts_of(contents):
    """Header, as JSON, and data of a file."""
    end = 8 + int.from_bytes(contents[:8], "little")
    return json.loads(contents[8:end]), contents[end:]


def nested(depth):
    value = 0
    for k in range(depth):
        value = [value] if k % 2 else {"a": value}
    return value


ODD_VALUES = [
    None, True, False, 0, 1, 2, 8, -1, 2**31, 2**63, 2**64, 10**99, 10**100, 0.5, 1e308,
    math.nan, math.inf, "", "F32", "BOOL", "BF16", "1", "2", "{}", "[]", "cylstm", "\ud800",
    [], [0], [0, 0], [0, 8], [2, 2], [-1], [2**62, 4], {}, {"__float__": "nan"}, ENTRY,
    nested(200),
]  # fmt: skip
ODD_INTEGERS = [0, 1, 2, -1, 7, 100, 10**6, 2**31, 2**40, -(2**63), 2**63 - 1]
ODD_KEYS = ["a", "", "__metadata__", "dtype", "shape", "data_offsets", "format", "\n"]
ODD_BYTES = [
    b"[",
    b"]",
    b"{",
    b"}",
    b'"',
    b"\\",
    b",",
    b"0",
    b"9" * 30,
    b"\0",
    b"\xff",
    b"[" * 99,
]


def edit_json(value, rng):
    """Change one thing somewhere in a value."""
    if isinstance(value, (dict, list)) and value and rng.random() < 0.95:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = keys[rng.integers(len(keys))]
        choice = rng.integers(8)
        if choice == 0:
            del value[key]
        elif choice == 1 and isinstance(value, dict):
            value[ODD_KEYS[rng.integers(len(ODD_KEYS))]] = value.pop(key)
        elif choice == 2 and isinstance(value, dict):
            value[ODD_KEYS[rng.integers(len(ODD_KEYS))]] = copy.deepcopy(value[key])
        elif choice == 3 and isinstance(value, list):
            value.extend([copy.deepcopy(value[key])] * int(rng.choice([1, 1, 1000])))
        else:
            value[key] = edit_json(value[key], rng)
        return value
    if type(value) is int and rng.random() < 0.6:
        return value + int(rng.integers(-9, 10))
    if isinstance(value, str) and value.startswith("{") and rng.random() < 0.8:
        return json.dumps(edit_json(json.loads(value), rng))
    return copy.deepcopy(ODD_VALUES[rng.integers(len(ODD_VALUES))])


def edit_header(contents, rng):
    header, data = parts_of(contents)
    for _ in range(rng.integers(1, 3)):
        if isinstance(header, dict):
            header = edit_json(header, rng)
    text = json.dumps(header).encode()
    if rng.random() < 0.9:
        text += b" " * (-(8 + len(text)) % 64)
    if rng.random() < 0.2:
        data += bytes(rng.integers(1, 20))
    return file_of(text, data)


def edit_bytes(contents, rng):
    """Flip bits, cut, remove or insert; mostly where the header is."""
    edited = bytearray(contents)
    for _ in range(rng.integers(1, 4)):
        n = len(edited) if rng.random() < 0.3 else min(len(edited), 400)
        at = int(rng.integers(n + 1))
        choice = rng.integers(6)
        if choice <= 1 and at < len(edited):
            edited[at] ^= 1 << rng.integers(8)
        elif choice == 2:
            edited[at : at + rng.integers(20)] = b""
        elif choice == 3:
            edited[at:at] = ODD_BYTES[rng.integers(len(ODD_BYTES))]
        elif choice == 4:
            end = at + len(inserted := ODD_BYTES[rng.integers(len(ODD_BYTES))])
            edited[at:end] = inserted
        elif rng.random() < 0.2:
            del edited[at:]
    if rng.random() < 0.5 and len(edited) >= 8:  # so that what is behind is seen
        end = bytes(edited).rfind(b"}") + 1
        edited[:8] = max(0, -(-end // 64) * 64 - 8).to_bytes(8, "little")
    return bytes(edited)


def edit_data(contents, rng):
    """Put odd integers somewhere into the data."""
    edited = bytearray(contents)
    start = 8 + int.from_bytes(contents[:8], "little")
    for _ in range(rng.integers(1, 4)):
        at = start + 4 * int(rng.integers(max((len(edited) - start) // 4, 1)))
        odd = ODD_INTEGERS[rng.integers(len(ODD_INTEGERS))]
        n_bytes = int(rng.choice([4, 8]))
        edited[at : at + n_bytes] = odd.to_bytes(8, "little", signed=True)[:n_bytes]
    return bytes(edited[: len(contents)])
