"""Generates the sync client and its tests from the asyncio ones (each `sync` from the `aio` beside it), or checks them.

The two differ in words only: `async def` and `await` go, `__aenter__` becomes `__enter__`, `AsyncSession` becomes
`Session`. What threads and tasks really do differently stands in a few modules on each side (`BY_HAND`), which are
not touched here.

    python tools/generate_sync_client.py            write them
    python tools/generate_sync_client.py --check    exit 1 and name the files that differ
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARENTS = (ROOT / "tesseract_grpc" / "client", ROOT / "tests" / "client")
BY_HAND = {"__init__.py", "runtime.py", "conftest.py", "support.py"}

# Applied in this order to every line.
RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\basync (def|for|with)\b"), r"\1"),
    (re.compile(r"\bawait "), ""),
    (re.compile(r"\bAwaitable\[(\w+)\]"), r"\1"),
    (re.compile(r"\b__a(enter|exit|iter)__\b"), r"__\1__"),
    (re.compile(r"\b__anext__\b"), "__next__"),
    (re.compile(r"\bStopAsyncIteration\b"), "StopIteration"),
    (re.compile(r"\bAsync([A-Z]\w*)"), r"\1"),
    (re.compile(r"\bclient\.aio\b"), "client.sync"),
)

# What the rules leave behind: imports that nobody needs, need twice or need in another order.
TIDY = ("I001", "F401", "F811")


def sync_of(source: Path) -> str:
    """The sync form of one module."""
    text = source.read_text()
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    name = source.relative_to(ROOT)
    head = f"# Generated from {name} by tools/generate_sync_client.py: edit that file and run it.\n"
    return tidy(head + text, target_of(source))


def target_of(source: Path) -> Path:
    """Where the sync form of a module stands."""
    return source.parent.parent / "sync" / source.name


def tidy(text: str, path: Path) -> str:
    """The text as the linter and the formatter want it."""
    ruff = str(Path(sys.executable).parent / "ruff")
    for command in (
        ["check", "--quiet", "--fix-only", "--isolated", "--line-length=120", f"--select={','.join(TIDY)}"],
        ["format", "--quiet"],
    ):
        done = subprocess.run(
            [ruff, *command, f"--stdin-filename={path}", "-"], input=text, capture_output=True, text=True, check=True
        )
        text = done.stdout
    return text


def generate() -> dict[Path, str]:
    """Every generated file with its text."""
    sources = (path for parent in PARENTS for path in sorted((parent / "aio").glob("*.py")))
    return {target_of(path): sync_of(path) for path in sources if path.name not in BY_HAND}


def stale(files: dict[Path, str]) -> list[Path]:
    """The files that are not as they would be generated, and those that would not be there."""
    different = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    present = (path for parent in PARENTS for path in (parent / "sync").glob("*.py"))
    return different + [path for path in present if path.name not in BY_HAND and path not in files]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when something would change")
    check = parser.parse_args().check
    files = generate()
    changed = stale(files)
    for path in changed:
        print(f"{'stale' if check else 'wrote'} {path.relative_to(ROOT)}")
        if not check and path in files:
            path.write_text(files[path])
        elif not check:
            path.unlink()
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
