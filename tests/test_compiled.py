"""What the compiler made of the kernels."""

import platform
import re
import shutil
import subprocess

import pytest

from cylstm import _simd

INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*?)\s*(?:#.*)?$")

# A tile of 6 rows by 4 vectors: the multiply-adds of one of its terms.
TILE = 6 * 4


@pytest.fixture(scope="module")
def instructions():
    """(address, name, operands) of all instructions of the kernels, by address."""
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip(f"there is no AVX-512 on {platform.machine()}")
    if shutil.which("objdump") is None:
        pytest.skip("there is no objdump")
    listing = subprocess.run(
        ["objdump", "--disassemble", "--no-show-raw-insn", _simd.__file__],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    matches = map(INSTRUCTION.match, listing.splitlines())
    return [(int(m[1], 16), m[2], m[3]) for m in matches if m]


def innermost_loops(instructions):
    """From the target of each jump back to the jump, where no other jump back is between."""
    place = {address: k for k, (address, _, _) in enumerate(instructions)}
    loops, last_start = [], -1
    for k, (address, name, operands) in enumerate(instructions):
        target = re.match(r"[0-9a-f]+", operands)
        if not name.startswith("j") or not target or int(target[0], 16) >= address:
            continue
        start = place.get(int(target[0], 16))
        if start is not None and start > last_start:
            loops.append(instructions[start : k + 1])
            last_start = start
    return loops


def count_multiply_adds(loop, suffix):
    return sum(
        name.startswith("vfmadd") and name.endswith(suffix) and "zmm" in operands
        for _, name, operands in loop
    )


def touches_the_stack(operands):
    return "zmm" in operands and re.search(r"\(%r[sb]p", operands) is not None


def stores_a_vector(operands):
    return "zmm" in operands and operands.endswith(")")


@pytest.mark.parametrize("suffix", ["ps", "pd"])
def test_the_largest_tile_of_avx512_stays_in_its_registers(suffix, instructions):
    tiles = [
        loop
        for loop in innermost_loops(instructions)
        if count_multiply_adds(loop, suffix) == TILE
    ]
    assert tiles, "no loop has the multiply-adds of a whole tile in zmm registers"
    for loop in tiles:
        operands = [operands for _, _, operands in loop]
        assert not any(map(stores_a_vector, operands)), loop
        assert not any(map(touches_the_stack, operands)), loop
    # Some of them fetch the weights that are multiplied next.
    assert any(name == "prefetcht1" for loop in tiles for _, name, _ in loop)


@pytest.mark.parametrize("suffix", ["ps", "pd"])
def test_the_peak_of_avx512_is_of_as_many_multiply_adds_as_are_counted(suffix, instructions):
    loops = [
        loop
        for loop in innermost_loops(instructions)
        # Nothing else than these, the count and the jump.
        if count_multiply_adds(loop, suffix) >= len(loop) - 3 > 8
    ]
    assert [count_multiply_adds(loop, suffix) for loop in loops] == [12]
