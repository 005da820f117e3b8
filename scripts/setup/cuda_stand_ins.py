"""Makes empty stand-ins for the NVIDIA libraries that a CUDA build of torch is linked to but never calls on a CPU.

usage: cuda_stand_ins.py TORCH_LIB PACKAGE

PACKAGE becomes a Python package; importing it loads the stand-ins, after which `import torch` finds those names loaded.
Needs a C compiler and binutils.
"""

import pathlib
import re
import shutil
import subprocess
import sys

LOADER = '''import ctypes
import pathlib

for library in sorted(pathlib.Path(__file__).parent.glob("*.so*")):
    ctypes.CDLL(str(library))
'''


def output_of(*command) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main(torch_lib: pathlib.Path, package: pathlib.Path) -> None:
    needed, undefined, defined = set(), set(), set()
    for library in torch_lib.glob("*.so"):
        needed |= set(re.findall(r"NEEDED.*\[(.*)\]", output_of("readelf", "-d", library)))
        undefined |= set(re.findall(r"\b[Uw] (cu\w+|nv\w+|nccl\w+)", output_of("nm", "-D", "--undefined-only", library)))
    # The CUDA runtime and CUPTI lie beside torch: those are the real ones, and nothing of theirs may be defined twice.
    present = list(torch_lib.parent.parent.glob("nvidia/**/lib*.so*"))
    for library in present:
        defined |= set(re.findall(r"\b[A-Z] (\w+)", output_of("nm", "-D", "--defined-only", library)))
    present_names = {library.name for library in present}
    missing = sorted(name for name in needed if re.match(r"lib(cu|nv|nccl)(?!da\.so)", name) and name not in present_names)

    shutil.rmtree(package, ignore_errors=True)
    package.mkdir(parents=True)
    source = package / "stand_in.c"
    for index, library in enumerate(missing):
        # One of them defines every function, to a call that ends the process; the others are empty.
        names = sorted(undefined - defined) if index == 0 else []
        source.write_text("#include <stdlib.h>\n" + "".join(f"void {name}(void) {{ abort(); }}\n" for name in names))
        target = package / library
        subprocess.run(
            ["cc", "-w", "-shared", "-fPIC", "-fno-builtin", f"-Wl,-soname,{library}", "-o", target, source], check=True
        )
    source.unlink()
    (package / "__init__.py").write_text(LOADER)


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
