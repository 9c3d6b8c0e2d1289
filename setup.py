"""The compiled extensions; all other metadata is in pyproject.toml."""

import os
import sys
import tempfile
from pathlib import Path

import scipy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCE = Path("src")
GENERATED = Path("build") / "cython"

COMPILE_ARGS = [
    "-O3",
    "-g0",  # symbols would triple the size of what is installed
    # The kernels never read errno and never trap: without these two, gcc vectorises
    # neither sqrt nor the selects in tanh. NaN and infinity keep their meaning, so
    # this is not -ffast-math.
    "-fno-math-errno",
    "-fno-trapping-math",
    # `#pragma omp simd` in the headers, also where there is no OpenMP.
    "-fopenmp-simd",
]


def write_blas_int():
    """SciPy from 1.18 names its BLAS integer; before, it is int."""
    declarations = Path(scipy.__file__).parent / "linalg" / "cython_blas.pxd"
    GENERATED.mkdir(parents=True, exist_ok=True)
    (GENERATED / "_blas_int.pxd").write_text(
        "from scipy.linalg.cython_blas cimport blas_int\n"
        if " blas_int\n" in declarations.read_text()
        else "ctypedef int blas_int\n"
    )


class BuildExtensions(build_ext):
    """Adds OpenMP where the compiler has it, unless CYLSTM_NO_OPENMP is set."""

    def build_extensions(self):
        serial = bool(os.environ.get("CYLSTM_NO_OPENMP"))
        self.force = self.force or serial  # what stands there was built otherwise
        flags = [] if serial else self.openmp_flags()
        for extension in self.extensions:
            extension.extra_compile_args += COMPILE_ARGS + flags
            extension.extra_link_args += flags
        super().build_extensions()

    def openmp_flags(self):
        flags = ["-fopenmp"]
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "program.c"
            program.write_text(
                "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
            )
            try:
                objects = self.compiler.compile(
                    [str(program)], output_dir=folder, extra_postargs=flags
                )
                self.compiler.link_executable(
                    objects, "program", output_dir=folder, extra_postargs=flags
                )
            except Exception:
                print("cylstm: no OpenMP here, building for one thread", file=sys.stderr)
                return []
        return flags


write_blas_int()
setup(
    ext_modules=cythonize(
        [
            Extension(
                f"cylstm.{source.stem}",
                [str(source)],
                include_dirs=[str(SOURCE)],
                depends=[str(h) for h in [*SOURCE.glob("*.h"), *SOURCE.glob("*.pxd")]],
            )
            for source in sorted(SOURCE.glob("*.pyx"))
        ],
        include_path=[str(SOURCE), str(GENERATED)],
        build_dir=str(GENERATED),
    ),
    cmdclass={"build_ext": BuildExtensions},
    # A plain path entry: the default finder loses to a directory of this name, such as the
    # clone itself seen from the directory above it.
    options={"editable_wheel": {"mode": "compat"}},
)
