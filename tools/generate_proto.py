"""Generates all code of protos/ that is kept in the repository (`make proto`), or checks that it is fresh.

That of Python goes into tesseract_grpc/_proto/. Clients in other languages that keep theirs have a program `generate`
in their directory, which takes `--check`; it runs where its toolchain is: the first in commands.json.

protoc writes modules that import each other as `tesseract.v1.value_pb2`, a top-level package that we do not own. The
generated code lives inside our package instead, so every such import is rewritten to
`tesseract_grpc._proto.tesseract.v1.value_pb2`. The names inside the descriptors stay `tesseract/v1/value.proto`: they
are the contract of the wire and of reflection.

    python tools/generate_proto.py            write it
    python tools/generate_proto.py --check    exit 1 and name the files that differ
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
TARGET = ROOT / "tesseract_grpc" / "_proto"
CLIENTS = ROOT / "clients"
PACKAGE = "tesseract_grpc._proto"
INIT = '"""Generated from protos/ by tools/generate_proto.py. Never edit: run `make proto`."""\n'

# `from tesseract.v1 import value_pb2 as ...`, `import tesseract.v1.value_pb2` and uses of the dotted name.
OWN_IMPORT = re.compile(r"^(\s*)(from|import) tesseract\.v1\b", re.MULTILINE)
DOTTED_USE = re.compile(r"(?<![\w./\"'])tesseract\.v1\.(\w+_pb2(?:_grpc)?)\b")


def rewrite_imports(text: str) -> str:
    """Moves the imports of our own generated modules into our package."""
    moved = OWN_IMPORT.sub(rf"\1\2 {PACKAGE}.tesseract.v1", text)
    return DOTTED_USE.sub(rf"{PACKAGE}.tesseract.v1.\1", moved)


def generate(target: Path) -> None:
    """Runs protoc over every proto and writes the rewritten modules and their stubs under `target`."""
    sources = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.rglob("*.proto"))
    scripts = Path(sys.executable).parent  # the plugins of mypy-protobuf are installed beside the interpreter
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"--proto_path={PROTOS}",
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
        f"--python_out={target}",
        f"--grpc_python_out={target}",
        f"--mypy_out=quiet:{target}",
        f"--mypy_grpc_out=quiet:{target}",
        *sources,
    ]
    subprocess.run(command, check=True)
    for name in sources:
        if not re.search(r"^service ", (PROTOS / name).read_text(), re.MULTILINE):
            for suffix in (".py", ".pyi"):  # protoc writes an empty gRPC module for protos without a service
                (target / name.replace(".proto", f"_pb2_grpc{suffix}")).unlink()
    for path in [*target.rglob("*.py"), *target.rglob("*.pyi")]:
        path.write_text(rewrite_imports(path.read_text()))
    for package in [target, *(path for path in target.rglob("*") if path.is_dir())]:
        (package / "__init__.py").write_text(INIT)


def contents(folder: Path) -> dict[str, str]:
    """The generated files below `folder` by relative path."""
    files = [*folder.rglob("*.py"), *folder.rglob("*.pyi")]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def stale_files(fresh: Path, target: Path = TARGET) -> list[str]:
    """The files that differ between a fresh generation and `target`, either way round."""
    expected, actual = contents(fresh), contents(target)
    return sorted(name for name in expected.keys() | actual.keys() if expected.get(name) != actual.get(name))


def write(fresh: Path) -> None:
    """Makes TARGET equal to `fresh`, touching only files that differ."""
    for name in stale_files(fresh):
        source, destination = fresh / name, TARGET / name
        if source.exists():
            destination.parent.mkdir(parents=True, exist_ok=True)
            destination.write_text(source.read_text())
        else:
            destination.unlink()


def generate_clients(*arguments: str) -> bool:
    """Has the clients generate their code, or check it; whether all did so, or could not. In CI all must be able to."""
    good = True
    for program in sorted(CLIENTS.glob("*/generate")):
        tool = json.loads((program.parent / "commands.json").read_text())["toolchain"][0]["command"][0]
        if shutil.which(tool):
            good &= subprocess.run([program, *arguments], cwd=program.parent, check=False).returncode == 0
        else:
            print(f"SKIPPED: {program.relative_to(ROOT)} did not run, for {tool} is not installed", file=sys.stderr)
            good &= not os.environ.get("CI")
    return good


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the generated code is stale")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        if not arguments.check:
            write(fresh)
            return 0 if generate_clients() else 1
        stale = stale_files(fresh)
    for name in stale:
        print(f"stale generated code: {TARGET.relative_to(ROOT) / name} (run: make proto)", file=sys.stderr)
    return 0 if generate_clients("--check") and not stale else 1


if __name__ == "__main__":
    sys.exit(main())
