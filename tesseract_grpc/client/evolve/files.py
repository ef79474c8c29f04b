"""Migrations in files: a directory of `0001_add_email.py`, `.json` or `.toml`.

A file says `up` and, if it wants, `down`: lists of steps, or in Python functions of the hub. `table` names the table
that steps without one are about. The number is the version, the rest of the name the name. Files that begin with an
underscore are helpers.

    table = "users"
    up = [{"add_column": {"name": "email", "type": "string", "backfill": 'name.toLowerCase() + "@example.com"'}}]

The checksum is that of the file's text, so what a helper does is not part of it.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import bad_migration
from .migration import Migration, in_order, migration_of
from .step import checksum_of_text

FORMATS = ("py", "json", "toml")
_NAME = re.compile(r"(?P<version>\d+)[_-](?P<name>[\w-]+)\.(?P<format>py|json|toml)")
_WORDS = frozenset({"up", "down", "table", "description"})
_TEXT = {
    "py": '"""{title}."""\n\ntable = {table!r}\n\nup = [\n'
    '    # {{"add_column": {{"name": "email", "type": "string"}}}},\n]\n\n'
    "# Without down, what can be undone is. For more than steps can say:\n# def up(hub): ...\n# def down(hub): ...\n",
    "json": '{{\n  "description": "{title}",\n  "table": "{table}",\n  "up": [],\n  "down": []\n}}\n',
    "toml": 'description = "{title}"\ntable = "{table}"\n\nup = [\n'
    '    # {{ add_column = {{ name = "email", type = "string" }} }},\n]\n',
}


def read_directory(directory: str | Path) -> list[Migration]:
    """The migrations of a directory, by rising version. Python files are run.

    Raises SchemaMigrationFailed (BAD_MIGRATION) for a directory or file that cannot be meant."""
    path = Path(directory)
    if not path.is_dir():
        raise bad_migration("there is no such directory", str(path), "`tesseract-grpc schema new DIR NAME` makes one")
    found = []
    for file in sorted(path.iterdir()):
        if file.suffix.lstrip(".") not in FORMATS or file.name.startswith(("_", ".")):
            continue
        name = _NAME.fullmatch(file.name)
        if name is None:
            hint = "call it 0001_what_it_does.py; helpers begin with an underscore"
            raise bad_migration("is not the name of a migration", file.name, hint)
        found.append(read_file(file, int(name["version"]), name["name"]))
    return in_order(found)


def read_file(file: Path, version: int, name: str) -> Migration:
    """The migration of one file."""
    text = file.read_text(encoding="utf-8")
    words = _python(file) if file.suffix == ".py" else _data(file, text)
    unknown = sorted(words.keys() - _WORDS)
    if unknown:
        known = ", ".join(sorted(_WORDS))
        raise bad_migration(f"{unknown[0]!r} is not a word of a migration", file.name, f"known are {known}")
    if words.get("up") is None:
        raise bad_migration("says not what to do", file.name, "write up = [..], or def up(hub):")
    return migration_of(
        version,
        name,
        words["up"],
        words.get("down"),
        table=words.get("table"),
        checksum=checksum_of_text(text),
        origin=file.name,
    )


def _data(file: Path, text: str) -> Mapping[str, Any]:
    try:
        words = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise bad_migration(f"cannot be read: {error}", file.name, "correct it") from None
    if not isinstance(words, Mapping):
        raise bad_migration("is no object", file.name, "write {up: [..], down: [..]}")
    return words


def _python(file: Path) -> Mapping[str, Any]:
    """What a Python file defines under the words of a migration."""
    spec = importlib.util.spec_from_file_location(f"_migration_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # a directory of migrations is no package
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise bad_migration(f"cannot be run: {error!r}", file.name, "correct it") from error
    finally:
        sys.dont_write_bytecode = writes
    return {word: value for word, value in vars(module).items() if word in _WORDS}


def new_file(directory: str | Path, name: str, *, table: str = "TABLE", format: str = "py") -> Path:
    """Makes the next migration of a directory, which is made too if it is not there; returns its path."""
    path = Path(directory)
    path.mkdir(parents=True, exist_ok=True)
    taken = [int(found["version"]) for each in path.iterdir() if (found := _NAME.fullmatch(each.name))]
    word = re.sub(r"\W+", "_", name.strip().lower()).strip("_")
    if not word or format not in FORMATS:
        raise bad_migration(f"{name!r} names no migration of the format {format}", str(path), "say what it does")
    file = path / f"{max(taken, default=0) + 1:04d}_{word}.{format}"
    title = word.replace("_", " ").capitalize()
    with file.open("x", encoding="utf-8") as made:
        made.write(_TEXT[format].format(title=title, table=table))
    return file
