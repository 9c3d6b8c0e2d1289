"""The compiled extensions; all other metadata is in pyproject.toml.

A source is compiled again only where its text, that of a header it includes or the command
changed, on all cores. In the environment:

    CYLSTM_NO_OPENMP=1                  build for one thread
    CYLSTM_DEBUG=1                      -O0 -g, bounds and initialisation checks
    CYLSTM_SYMBOLS=1                    with the names of functions, for profilers
    CYLSTM_SANITIZE=address,undefined   with these sanitizers of the compiler
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCE = Path("src")
BUILD = Path("build")
# Relative, so that the command is the same wherever pip builds.
INCLUDE_DIRS = [str(SOURCE)]

DEBUG = bool(os.environ.get("CYLSTM_DEBUG"))
SANITIZE = os.environ.get("CYLSTM_SANITIZE", "")
SYMBOLS = DEBUG or SANITIZE or os.environ.get("CYLSTM_SYMBOLS")

# Modules, and the C files that are linked into each.
EXTENSIONS = {
    "_simd": ["kernels/*.c"],
    "_plan": ["network/plan.c"],
    "_engine": [
        "network/schedule.c",
        "network/float.c",
        "network/double.c",
        "network/decode.c",
    ],
    "_updates": [],
}

# What Cython needs for memoryviews: in a module that the others share, not in each of them.
SHARED = "_cyutility"


def c_files(name):
    return sorted(path for pattern in EXTENSIONS[name] for path in SOURCE.glob(pattern))


# On Linux what only profilers and debuggers read is left out, 8% of what is installed: names
# of functions and tables for unwinding the stack; and padding between parts of the file.
STRIPPED = sys.platform == "linux" and not SYMBOLS
STRIP_FLAGS = ["-Wl,-s", "-Wl,-z,noseparate-code"] if STRIPPED else []
UNWIND_FLAGS = ["-fno-asynchronous-unwind-tables", "-fno-unwind-tables"] if STRIPPED else []

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "nonecheck": DEBUG,
    "cdivision": True,
}


def compile_args():
    if SANITIZE:
        optimise = ["-O1", "-g", "-fno-omit-frame-pointer", f"-fsanitize={SANITIZE}"]
    elif DEBUG:
        optimise = ["-O0", "-g"]
    else:
        optimise = ["-O3", "-g0"]  # what -g adds would triple the size of what is installed
    return [
        *optimise,
        # The kernels never read errno and never trap: without these two, gcc vectorises
        # neither sqrt nor the selects in tanh. NaN and infinity keep their meaning, so this
        # is not -ffast-math.
        "-fno-math-errno",
        "-fno-trapping-math",
        # `#pragma omp simd` in the kernels, also where there is no OpenMP.
        "-fopenmp-simd",
        *UNWIND_FLAGS,
    ]


# What Cython makes only calls the kernels, and takes two thirds of the room at -Os. What
# composes the kernels is as fast at -O2, where it takes 70% (measured with 32 to 128 units,
# dropout, tokens and attention). Kernels in double precision for x86 CPUs without AVX2 are
# 1.15 to 1.3 times as fast at -O3, but take 1.4 times the room.
BINDING_FLAGS = ["-Os"]
SMALLER_FLAGS = ["-O2"]
IS_X86 = platform.machine().lower() in ("x86_64", "amd64")


def own_flags(source, binding):
    """What a source is compiled with beside the flags of all."""
    if DEBUG or SANITIZE:
        return []
    if source == binding:
        return BINDING_FLAGS
    smaller = source.parent.name == "network" or (IS_X86 and source.stem == "baseline_double")
    return SMALLER_FLAGS if smaller else []


# Compiler and linker flags for OpenMP, tried in this order. Apple's clang needs libomp, which
# Homebrew and MacPorts keep to themselves. clang-cl leaves the linking to Microsoft's linker,
# which knows nothing of it.
OPENMP_FLAGS = {
    "unix": [
        (["-fopenmp"], ["-fopenmp"]),
        (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),
        *(
            (["-Xpreprocessor", "-fopenmp", f"-I{include}"], [f"-L{lib}", "-lomp"])
            for include, lib in (
                ("/opt/homebrew/opt/libomp/include", "/opt/homebrew/opt/libomp/lib"),
                ("/usr/local/opt/libomp/include", "/usr/local/opt/libomp/lib"),
                ("/opt/local/include/libomp", "/opt/local/lib/libomp"),
            )
        ),
    ],
    "msvc": [(["/openmp"], ["libomp.lib"])],
}

NO_OPENMP = """
****************************************************************************
cylstm: the compiler has no OpenMP. This build runs on ONE THREAD.
On macOS: brew install libomp; with the universal Python of python.org also
build for one architecture: ARCHFLAGS="-arch arm64", or x86_64.
On Debian with clang: apt install libomp-dev.
****************************************************************************
"""


def count_cores():
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def digest(*parts):
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def texts(paths):
    return [Path(path).read_text(encoding="utf-8") for path in sorted(map(str, paths))]


def stamp_of(target):
    """The file that tells what a target was made from; none of them is packaged."""
    return BUILD / "keys" / digest(os.path.normpath(target))


def is_current(target, key):
    """Whether `target` was made from what `key` stands for."""
    stamp = stamp_of(target)
    return Path(target).exists() and stamp.exists() and stamp.read_text() == key


def mark_stale(target):
    """Before a target is made: what is interrupted must not count as current later."""
    stamp_of(target).unlink(missing_ok=True)


def mark_current(target, key):
    stamp_of(target).parent.mkdir(parents=True, exist_ok=True)
    stamp_of(target).write_text(key)


def included(path, found):
    """Add to `found` what a C file includes of this project by name, directly or not."""
    for name in re.findall(
        r'^\s*#\s*include\s+"(.+?)"', path.read_text(encoding="utf-8"), re.MULTILINE
    ):
        for folder in (path.parent, SOURCE):
            header = Path(os.path.normpath(folder / name))
            if header.exists() and header not in found:
                found.add(header)
                included(header, found)
    return found


class BuildExtensions(build_ext):
    """Compiles what changed, with OpenMP where the compiler has it."""

    def build_extensions(self):
        flags = compile_args()
        self.check_compiler()
        link_flags = [f"-fsanitize={SANITIZE}"] if SANITIZE else STRIP_FLAGS
        if self.compiler.compiler_type == "msvc":
            flags = self.use_clang_cl(flags)
        if not os.environ.get("CYLSTM_NO_OPENMP"):
            openmp, link_openmp = self.find_openmp(link_flags)
            flags, link_flags = flags + openmp, link_flags + link_openmp
        self.compiler.force = True  # what is current is decided here, not by times of files
        objects = self.compile(self.translate(), flags)
        for extension in self.extensions:
            self.link(extension, objects[extension.name], link_flags)

    def check_compiler(self):
        """Fail with the compiler's own words where it compiles nothing at all."""
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "empty.c"
            program.write_text("int main(void) { return 0; }\n")
            self.compiler.compile([str(program)], output_dir=folder)

    def use_clang_cl(self, flags):
        """On Windows: Microsoft's compiler lacks the vector types of gcc and clang."""
        clang = shutil.which("clang-cl")
        if clang is None:
            sys.exit("cylstm needs clang-cl on Windows: install LLVM and put it on PATH.")
        self.compiler.initialize()
        self.compiler.cc = clang
        self.compiler.add_library_dir(str(Path(clang).parent.parent / "lib"))  # of libomp.lib
        return [f"/clang:{flag}" for flag in flags]

    def find_openmp(self, link_flags):
        """Flags to compile and to link with."""
        kind = "msvc" if self.compiler.compiler_type == "msvc" else "unix"
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "program.c"
            program.write_text(
                "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
            )
            for flags, link in OPENMP_FLAGS[kind]:
                try:
                    made = self.compiler.compile(
                        [str(program)], output_dir=folder, extra_postargs=flags
                    )
                    self.compiler.link_executable(
                        made, "program", output_dir=folder, extra_postargs=link + link_flags
                    )
                except Exception:  # each compiler has an error of its own
                    continue
                return flags, link
        print(NO_OPENMP, file=sys.stderr)
        return [], []

    def translate(self):
        """Extension name -> its C files, those of Cython made where they are not current."""
        import Cython
        import scipy
        from Cython.Build import cythonize

        generated = BUILD / ("cython-debug" if DEBUG else "cython")
        declarations = Path(scipy.__file__).parent / "linalg" / "cython_blas.pxd"
        # SciPy from 1.18 names its BLAS integer; before, it is int.
        blas_int = (
            "from scipy.linalg.cython_blas cimport blas_int\n"
            if " blas_int\n" in declarations.read_text()
            else "ctypedef int blas_int\n"
        )
        modules = sorted((SOURCE / "cylstm").glob("*.pyx"))
        key = digest(
            Cython.__version__,
            DIRECTIVES,
            SHARED,
            blas_int,
            declarations.read_text(),
            *texts([*modules, *(SOURCE / "cylstm").glob("*.pxd")]),
        )
        sources = {}
        for module in modules:
            made = generated / module.with_suffix(".c")
            sources[f"cylstm.{module.stem}"] = [made, *c_files(module.stem)]
        shared = generated / SOURCE / "cylstm" / f"{SHARED}.c"
        sources[f"cylstm.{SHARED}"] = [shared]
        made = [files[0] for files in sources.values()]
        if self.force or not all(is_current(path, key) for path in made):
            for path in made:
                mark_stale(path)
            generated.mkdir(parents=True, exist_ok=True)
            (generated / "_blas_int.pxd").write_text(blas_int)
            cythonize(
                [Extension(f"cylstm.{m.stem}", [str(m)]) for m in modules],
                include_path=[str(SOURCE), str(SOURCE / "cylstm"), str(generated)],
                build_dir=str(generated),
                compiler_directives=DIRECTIVES,
                force=True,
                shared_utility_qualified_name=f"cylstm.{SHARED}",
            )
            shared.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(
                [sys.executable, "-m", "cython", f"--generate-shared={shared}"], check=True
            )
            for path in made:
                mark_current(path, key)
        return sources

    def compile(self, sources, flags):
        """Extension name -> its objects."""
        mode = "-".join(filter(None, ["debug" * DEBUG, SANITIZE.replace(",", "-")]))
        abi = sysconfig.get_config_var("EXT_SUFFIX").strip(".").removesuffix(".so")
        folder = BUILD / "objects" / "-".join(filter(None, [abi, mode]))
        command = getattr(self.compiler, "compiler_so", None) or [self.compiler.cc]
        stale, objects = [], {}
        for name, (binding, *kernels) in sources.items():
            for source in [binding, *kernels]:
                source_flags = [*flags, *own_flags(source, binding)]
                (made,) = self.compiler.object_filenames([str(source)], output_dir=str(folder))
                objects.setdefault(name, []).append(made)
                key = digest(
                    command,
                    self.compiler.include_dirs,
                    source_flags,
                    *texts([source, *included(source, set())]),
                )
                if self.force or not is_current(made, key):
                    stale.append((source, made, source_flags, key))

        def compile_one(item):
            source, made, source_flags, key = item
            mark_stale(made)
            self.compiler.compile(
                [str(source)],
                output_dir=str(folder),
                include_dirs=INCLUDE_DIRS,
                extra_postargs=source_flags,
            )
            mark_current(made, key)

        # The largest first, so that no long compile is left for the end.
        stale.sort(key=lambda item: -item[0].stat().st_size)
        with ThreadPoolExecutor(self.parallel or count_cores()) as pool:
            list(pool.map(compile_one, stale))
        return objects

    def copy_extensions_to_source(self):
        """All of them: those in the source tree may be newer, but of another kind."""
        self.force = True
        super().copy_extensions_to_source()

    def link(self, extension, objects, link_flags):
        target = self.get_ext_fullpath(extension.name)
        command = getattr(self.compiler, "linker_so", None) or []
        key = digest(command, link_flags, *(stamp_of(made).read_text() for made in objects))
        if self.force or not is_current(target, key):
            mark_stale(target)
            self.compiler.link_shared_object(
                objects,
                target,
                libraries=self.get_libraries(extension),
                extra_postargs=link_flags,
                export_symbols=self.get_export_symbols(extension),
                build_temp=str(BUILD),
            )
            mark_current(target, key)


setup(
    ext_modules=[
        Extension(
            f"cylstm.{name}",
            [str(SOURCE / "cylstm" / f"{name}.pyx"), *map(str, c_files(name))],
            include_dirs=INCLUDE_DIRS,
        )
        for name in EXTENSIONS
    ]
    # Its source is made when it is built.
    + [Extension(f"cylstm.{SHARED}", [], include_dirs=INCLUDE_DIRS)],
    cmdclass={"build_ext": BuildExtensions},
    # A plain path entry: the default finder loses to a directory of this name, such as the
    # clone itself seen from the directory above it.
    options={"editable_wheel": {"mode": "compat"}},
)
