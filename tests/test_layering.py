"""The house rules that a reviewer should not have to check: direction, purity, size.

The model: every hand-written source file is parsed once into a `Source`; a rule is a function from a source to the
problems it finds. Each rule is also run on planted sources that break it, so a rule that stops working fails too.

Direction: `cli -> server -> store -> engine` and `client -> _proto`; inside the engine
`hub -> live -> operators -> query -> data`. Imports under TYPE_CHECKING count: knowing a type is knowing the module.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "tesseract_grpc"
FOLDERS = (PACKAGE, "tests", "tools", "benchmarks")

LONGEST_FUNCTION = 70
LONGEST_FILE = 600

# Which part may import which others of our own.
ARROWS: dict[str, frozenset[str]] = {
    "": frozenset(),  # tesseract_grpc/__init__.py
    "_proto": frozenset(),
    "engine": frozenset(),
    "store": frozenset({"engine"}),
    "server": frozenset({"engine", "store", "_proto"}),
    "client": frozenset({"_proto"}),
    "cli": frozenset({"server", "client", "store", "engine"}),
    "testing": frozenset({"server", "client", "store", "engine", "_proto"}),
}

# The layers of the engine, lowest first: a module imports from its own layer and from those below.
ENGINE_LAYERS = ("data", "query", "operators", "live", "hub")

# Modules of others that a part must not import: the engine is pure and has no clock, no threads and no wire.
OUTSIDE_WORLD = frozenset(
    {"asyncio", "concurrent", "google", "grpc", "http", "io", "multiprocessing", "os", "pathlib", "redis", "select"}
    | {"selectors", "socket", "sqlite3", "ssl", "structlog", "subprocess", "tempfile", "threading", "time", "urllib"}
)
BANS: dict[str, frozenset[str]] = {
    "engine": OUTSIDE_WORLD,
    "store": frozenset({"grpc", "google"}),  # the server alone knows the wire
    "cli": frozenset({"grpc", "google"}),  # errors reach the command as the client's exceptions
}

CLOCK_CALLS = frozenset({"now", "utcnow", "today"})
EVALUATORS = frozenset({"eval", "exec", "compile", "__import__"})


@dataclass(frozen=True)
class Source:
    """One parsed file. `module` is its dotted name, `path` its place relative to the repository."""

    path: str
    module: str
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, path: str, text: str) -> "Source":
        parts = list(Path(path).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        return cls(path, ".".join(parts), text, ast.parse(text, path))

    @property
    def part(self) -> str | None:
        """The part of the package that this file belongs to; None for files outside of it."""
        names = self.module.split(".")
        if names[0] != PACKAGE:
            return None
        return names[1] if len(names) > 1 else ""

    def imports(self) -> Iterator[tuple[int, str]]:
        """Every imported dotted name with its line; `from a import b` counts as `a.b`."""
        package = self.module if self.path.endswith("__init__.py") else self.module.rpartition(".")[0]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    anchor = package.split(".")[: len(package.split(".")) - node.level + 1]
                    base = ".".join([*anchor, *([node.module] if node.module else [])])
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


Rule = Callable[[Source], Iterator[str]]


def runs_in_one_direction(source: Source) -> Iterator[str]:
    """Parts import only the parts below them."""
    part = source.part
    if part is None:
        return
    if part not in ARROWS:
        yield f"{source.path}:1: the part {part!r} has no place in the layering"
        return
    for line, name in source.imports():
        if name.split(".")[0] != PACKAGE or name == f"{PACKAGE}.__version__":
            continue
        target = name.split(".")[1] if name.count(".") else ""
        if target != part and target not in ARROWS[part]:
            yield f"{source.path}:{line}: {part or PACKAGE} must not import {name}"


def engine_layer(name: str) -> int | None:
    """The layer that a dotted name of the engine lies in, lowest 0. What the package `engine` itself exports is above
    all layers, for importing it imports them."""
    names = name.split(".")
    if names[:2] != [PACKAGE, "engine"]:
        return None
    if len(names) == 2 or names[2] not in ENGINE_LAYERS:
        return len(ENGINE_LAYERS)
    return ENGINE_LAYERS.index(names[2])


def engine_layers_point_down(source: Source) -> Iterator[str]:
    """Inside the engine: hub -> live -> operators -> query -> data."""
    own = engine_layer(source.module)
    if own is None:
        return
    if own == len(ENGINE_LAYERS) and source.module != f"{PACKAGE}.engine":
        yield f"{source.path}:1: not in a layer of the engine ({', '.join(ENGINE_LAYERS)})"
        return
    for line, name in source.imports():
        layer = engine_layer(name)
        if layer is not None and layer > own:
            yield f"{source.path}:{line}: {source.module} must not import {name}, which is above it"


def bans_are_kept(source: Source) -> Iterator[str]:
    """The engine imports nothing that has a clock, a thread, a file or a wire; see BANS."""
    banned = BANS.get(source.part or "", frozenset())
    for line, name in source.imports():
        if name.split(".")[0] in banned:
            yield f"{source.path}:{line}: {source.part} must not import {name}"


def engine_has_no_clock(source: Source) -> Iterator[str]:
    """Time is a commit: nothing in the engine asks what time it is."""
    if source.part != "engine":
        return
    for node in ast.walk(source.tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_CALLS):
            continue
        if ast.unparse(node.func.value).split(".")[-1] in {"datetime", "date", "Timestamp", "pd", "np"}:
            yield f"{source.path}:{node.lineno}: {ast.unparse(node.func)} reads a clock"


def nothing_is_evaluated(source: Source) -> Iterator[str]:
    """No text becomes code, and no pattern that is not a literal meets a backtracking matcher."""
    if source.part is None:
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in EVALUATORS:
            yield f"{source.path}:{node.lineno}: {called}() turns text into code"
        if called.startswith("re.") and called != "re.escape" and not all(map(is_literal, node.args[:1])):
            yield f"{source.path}:{node.lineno}: {called}() on a pattern that is not a literal; use re2"


def is_literal(node: ast.expr) -> bool:
    """Whether an argument is written out in the source."""
    return isinstance(node, ast.Constant)


def functions_fit_a_screen(source: Source) -> Iterator[str]:
    """A ratchet, not a wall to build tunnels under: split by noun, never by size."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION:
                yield f"{source.path}:{node.lineno}: {node.name} has {length} lines, at most {LONGEST_FUNCTION}"


def files_hold_one_noun(source: Source) -> Iterator[str]:
    """As above, for files."""
    length = len(source.text.splitlines())
    if length > LONGEST_FILE:
        yield f"{source.path}:1: {length} lines, at most {LONGEST_FILE}"


RULES: tuple[Rule, ...] = (
    runs_in_one_direction,
    engine_layers_point_down,
    bans_are_kept,
    engine_has_no_clock,
    nothing_is_evaluated,
    functions_fit_a_screen,
    files_hold_one_noun,
)


def hand_written() -> list[Source]:
    """Every Python file of the repository that a person wrote."""
    paths = (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))
    relative = (path.relative_to(ROOT) for path in paths)
    return [Source.of(str(path), (ROOT / path).read_text()) for path in relative if "_proto" not in path.parts]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_house_keeps(rule: Rule) -> None:
    sources = hand_written()
    assert len(sources) > 10, "the sources were not found"
    problems = [problem for source in sources for problem in rule(source)]
    assert not problems, "\n" + "\n".join(problems)


def long_function(lines: int) -> str:
    return "def long() -> None:\n" + "    pass\n" * (lines - 1)


E = f"{PACKAGE}/engine"
PLANTED: tuple[tuple[Rule, str, str], ...] = (
    (runs_in_one_direction, f"{E}/hub.py", "from tesseract_grpc.server import app"),
    (runs_in_one_direction, f"{E}/hub.py", "import tesseract_grpc.store.memory"),
    (runs_in_one_direction, f"{E}/data/table.py", "from tesseract_grpc._proto.tesseract.v1 import value_pb2"),
    (runs_in_one_direction, f"{E}/data/table.py", "from ...store import memory"),
    (runs_in_one_direction, f"{E}/data/table.py", "def f():\n    from tesseract_grpc import cli"),
    (runs_in_one_direction, f"{PACKAGE}/store/sqlite.py", "from ..server.codec import encode"),
    (runs_in_one_direction, f"{PACKAGE}/server/app.py", "from tesseract_grpc.cli.main import main"),
    (runs_in_one_direction, f"{PACKAGE}/server/app.py", "from tesseract_grpc.client import EventHorizon"),
    (runs_in_one_direction, f"{PACKAGE}/client/session.py", "from tesseract_grpc.engine.hub import Hub"),
    (runs_in_one_direction, f"{PACKAGE}/client/session.py", "from ..server import codec"),
    (runs_in_one_direction, f"{PACKAGE}/client/__init__.py", "from ..server import codec"),
    (runs_in_one_direction, f"{PACKAGE}/__init__.py", "from .client import EventHorizon"),
    (runs_in_one_direction, f"{PACKAGE}/attic/old.py", "import math"),
    (engine_layers_point_down, f"{E}/data/table.py", "from tesseract_grpc.engine.query.query import Query"),
    (engine_layers_point_down, f"{E}/query/query.py", "from ..operators import build"),
    (engine_layers_point_down, f"{E}/operators/filter.py", "import tesseract_grpc.engine.live.session"),
    (engine_layers_point_down, f"{E}/live/session.py", "from ..hub import Hub"),
    (
        engine_layers_point_down,
        f"{E}/data/commit.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..live.session import Session",
    ),
    (engine_layers_point_down, f"{E}/hub.py", "from tesseract_grpc.engine import Hub"),
    (engine_layers_point_down, f"{E}/helpers.py", "import math"),
    (bans_are_kept, f"{E}/hub.py", "import grpc.aio"),
    (bans_are_kept, f"{E}/hub.py", "from google.protobuf import message"),
    (bans_are_kept, f"{E}/hub.py", "import asyncio"),
    (bans_are_kept, f"{E}/hub.py", "from time import monotonic"),
    (bans_are_kept, f"{E}/hub.py", "import threading as t"),
    (bans_are_kept, f"{E}/hub.py", "def f():\n    import redis"),
    (bans_are_kept, f"{PACKAGE}/store/redis.py", "import grpc"),
    (bans_are_kept, f"{PACKAGE}/cli/watch.py", "import grpc"),
    (engine_has_no_clock, f"{E}/hub.py", "import datetime\nx = datetime.datetime.now()"),
    (engine_has_no_clock, f"{E}/hub.py", "from datetime import date\nx = date.today()"),
    (nothing_is_evaluated, f"{E}/query/filter.py", "eval('1')"),
    (nothing_is_evaluated, f"{PACKAGE}/client/session.py", "exec(text)"),
    (nothing_is_evaluated, f"{E}/query/filter.py", "import re\nre.compile(pattern)"),
    (nothing_is_evaluated, f"{E}/query/filter.py", "import re\nre.match('^' + pattern, text)"),
    (functions_fit_a_screen, f"{E}/hub.py", long_function(LONGEST_FUNCTION + 1)),
    (functions_fit_a_screen, "tests/test_x.py", "async " + long_function(LONGEST_FUNCTION + 1)),
    (files_hold_one_noun, f"{PACKAGE}/cli/main.py", "x = 1\n" * (LONGEST_FILE + 1)),
)


@pytest.mark.parametrize(("rule", "path", "text"), PLANTED)
def test_a_broken_rule_is_noticed(rule: Rule, path: str, text: str) -> None:
    problems = list(rule(Source.of(path, text)))
    assert len(problems) == 1, problems
    assert problems[0].startswith(f"{path}:")


ALLOWED: tuple[tuple[str, str], ...] = (
    (f"{E}/hub.py", "from .live.session import Session\nfrom .data import table\nimport numpy"),
    (f"{E}/__init__.py", "from .hub import Hub\nfrom .query.query import Query"),
    (f"{E}/live/session.py", "from ..operators.contract import Operator\nfrom . import watch"),
    (f"{E}/query/literal.py", "import re\nfrom datetime import datetime\nISO = re.compile('a+')\nre.escape(x)"),
    (f"{PACKAGE}/server/app.py", "import grpc\nfrom ..engine.hub import Hub\nfrom .._proto.tesseract.v1 import x_pb2"),
    (f"{PACKAGE}/client/channel.py", "import grpc\nfrom .._proto.tesseract.v1 import x_pb2\nimport time"),
    (f"{PACKAGE}/cli/main.py", "from tesseract_grpc import __version__\nfrom ..server.app import serve"),
    (f"{PACKAGE}/testing.py", "from .server.app import serve\nfrom .engine.hub import Hub"),
    ("tests/test_x.py", long_function(LONGEST_FUNCTION)),
    (f"{PACKAGE}/cli/main.py", "x = 1\n" * LONGEST_FILE),
)


@pytest.mark.parametrize(("path", "text"), ALLOWED)
def test_what_is_allowed_passes(path: str, text: str) -> None:
    assert [problem for rule in RULES for problem in rule(Source.of(path, text))] == []


def test_every_rule_has_a_planted_break() -> None:
    assert {rule for rule, _, _ in PLANTED} == set(RULES)
