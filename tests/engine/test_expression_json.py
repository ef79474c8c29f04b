"""JSON in expressions: what hostile documents and functions may cost, and how often a document is read."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import pytest

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import EngineError, Reason
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.operators.evaluate import compile_expression
from tesseract_grpc.engine.operators.evaluate_one import compile_one
from tesseract_grpc.engine.query.expression.check import check_expression, check_template
from tesseract_grpc.engine.query.expression.document import MAX_LEVELS, document_text, equal, read_document
from tesseract_grpc.engine.query.expression.scalar import SCALARS
from tesseract_grpc.engine.query.filter import Custom
from tesseract_grpc.engine.query.query import Query
from tests.engine.expression_world import SCHEMA
from tests.engine.test_expression_oracle import hub_of


def rows_of(*documents: str | None, **others: Any) -> list[dict[str, Any]]:
    blank = dict.fromkeys((column.name for column in SCHEMA.columns[1:]), None)
    return [{**blank, **others, "items": text} for text in documents]


def values(text: str, *documents: str | None, **others: Any) -> list[Any]:
    """The values of an expression, over a batch and one by one."""
    root = check_expression(text, SCHEMA).root
    columns, count = list(hub_of(rows_of(*documents, **others)).table("t").columns), len(documents)
    found = compile_expression(root, SCHEMA, columns).evaluate(reader(columns, count), count).to_list()
    one = compile_one(root, SCHEMA, columns)
    assert found == [one(lambda at, row=row: columns[at].stored(row)) for row in range(count)]  # type: ignore[misc]
    return found


def reader(columns: list[Column], count: int) -> Any:
    def read(at: int) -> tuple[Any, Any]:
        vector = columns[at].read(slice(0, count))
        return vector.values, vector.valid

    return read


def nested(levels: int, inner: str = "1") -> str:
    return "[" * levels + inner + "]" * levels


def test_documents_of_many_levels_are_null() -> None:
    assert values("items[0]", nested(MAX_LEVELS), nested(MAX_LEVELS + 1)) == [nested(MAX_LEVELS - 1), None]
    assert values("items[0].length", json.dumps(["[" * 200 + "{" * 200])) == [400]
    mixed = '{"a": ' * 60 + nested(41) + "}" * 60
    assert values("items.a == null", mixed, mixed.replace("[[", "[").replace("]]", "]")) == [True, False]


def test_a_hostile_document_costs_little() -> None:
    hostile = nested(100_000)
    begun = time.process_time()
    with pytest.raises(EngineError) as refused:
        hub_of(rows_of(hostile))
    assert refused.value.reason is Reason.BAD_JSON
    assert read_document(hostile) is None
    assert read_document('{"a":' * 100_000) is None
    assert read_document("[" * 100_000) is None
    assert time.process_time() - begun < 0.5


def test_half_characters_are_replaced() -> None:
    assert values("String(items[0])", r'["a\ud800"]', r'["\ud83d\ude00"]') == ["a\ufffd", "😀"]
    assert values("items", r'{"\udc00": "\udc00"}') == [r'{"\udc00": "\udc00"}']
    assert values("items.map(x => x)", r'["\udc00"]') == ['["\ufffd"]']


HOSTILE = {
    "maps in maps": "items.map(x => items.map(y => items.map(z => z)))",
    "filters in filters": "items.filter(x => items.some(y => items.every(z => z + y > x)))",
    "texts that grow": "items.reduce((a, b) => a + a, s).length",
    "long texts": "items.map(x => s + x)",
    "long texts that are let go": "items.map(x => (s + x).length)",
    "patterns": "items.filter(x => /(a|b)*c/.test(s + x))",
    "padding": "items.map(x => 'x'.padEnd(x + 1000000).length)",
    "replacing": "items.map(x => s.replaceAll('b', String(x)).length)",
    "splitting": "items.map(x => s.substring(x, 90000).split('').length)",
    "doubling": "items.reduce((a, b) => [a, a], 0)",
    "doubling to compare": "items.reduce((a, b) => [a, a], 0) == items.reduce((b, a) => [b, b], 0.0)",
    "doubling to join": "items.map(x => items.reduce((a, b) => [a, a], 0).join('').length)",
    "doubling to look for": "[items.reduce((a, b) => [a, a], 0)].includes(items.reduce((a, b) => [a, a], 0.0))",
    "comparing": "items.filter(x => items.slice(x) == items.slice(x + 0.5))",
    "deepening": "items.reduce((a, b) => [a], 0)",
    "searching": "items.map(x => items.indexOf(x + 0.5))",
    "texts of arrays": "items.map(x => String(items.slice(x)).length)",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_functions_are_bounded(name: str) -> None:
    root = check_expression(HOSTILE[name], SCHEMA).root
    columns = list(hub_of(rows_of(json.dumps(list(range(3_000))), s="ab" * 300_000)).table("t").columns)
    evaluator = compile_expression(root, SCHEMA, columns)
    best = 9.0
    for _ in range(2):
        begun = time.process_time()
        found = evaluator.evaluate(reader(columns, 1), 1).to_list()
        best = min(best, time.process_time() - begun)
    assert found == [None]
    assert best < 1.0


def test_whole_numbers_that_grow_become_null() -> None:
    less, more = json.dumps([0] * 13_000), json.dumps([0] * 14_001)
    assert values("items.reduce((a, b) => a + a, 1) > 0", less, more) == [True, None]


def test_a_document_of_many_parts_compares_or_is_null() -> None:
    many = json.dumps(list(range(19_000)))
    assert values("items == items.slice(0).slice(0)", many, json.dumps([0] * 20_000)) == [True, None]
    assert equal([[1], {"a": float("nan")}], [[1.0], {"a": float("nan")}])


def test_searching_and_joining_stop_in_time() -> None:
    one: Any = 0
    other: Any = 0.0
    for _ in range(60):
        one, other = [one, one], [other, other]
    begun = time.process_time()
    assert equal(one, other) is None
    assert SCALARS["json_includes"]([one] * 100_000, other) is None
    assert SCALARS["json_last_index_of"]([1, [2, one]], [2, other]) is None
    assert SCALARS["json_index_of"]([one, 1, float("nan"), True], True) == 3
    assert SCALARS["json_join"](["a" * 900_000] * 100_000, "") is None
    assert SCALARS["json_join"]([[one]] * 1_000, "") is None
    assert time.process_time() - begun < 1.0


def test_written_numbers_are_read_as_the_same() -> None:
    for value in (1.0, 0.1, -0.0, 2.0**53, 2.0**64, 1e21, 1.5e300, 5e-324, 2**64 + 1, -(10**30)):
        text = document_text([value])
        assert text is not None
        assert json.loads(text) == [value], text


def test_each_distinct_document_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [json.dumps([{"v": number}], indent=number % 3) + " " * 5_000 for number in range(5)]
    columns = list(hub_of(rows_of(*texts * 20, i=2)).table("t").columns)
    read: list[str] = []
    plain = json.loads

    def counted(text: str) -> Any:
        read.append(text)
        return plain(text)

    monkeypatch.setattr(json, "loads", counted)
    for text, *counts in (
        ("items[0].v > 2 && items.length == 1 || items[0].v * 2 == 0", 5, 0),
        ("items.map(x => x.v)", 5, 0),
        # What needs nothing but the documents is kept, and only the rest is worked out again.
        ("items.filter(x => x.v > i).length + items.length * i > 0", 10, 5),
        ("items.filter(x => x.v > i).length == items.map(x => x + i).length", 10, 10),
        ("items.some(x => x.v > i) && items.length == 1", 10, 5),
    ):
        evaluator = compile_expression(check_expression(text, SCHEMA).root, SCHEMA, columns)
        for wanted in counts:
            read.clear()
            evaluator.evaluate(reader(columns, 100), 100)
            assert len(read) == wanted, text


@pytest.mark.parametrize(
    "text",
    [
        "s.padEnd(900000).length > 5",
        "(s.padEnd(900000) + i).length > 5",
        "(b ? s : s.padEnd(900000 + i)).trim() == s",
        "!(s.padEnd(900000) ?? String(i)) || i >= 0",
        "items.length > 5",
        "items.length > i && items[i] == i",
        "items.map(x => x + i).length > i",
        "(items ?? d) == null || i >= 0",
    ],
)
def test_what_is_made_on_the_way_is_let_go(text: str) -> None:
    rows = [
        {**row, "id": number, "i": number % 7, "s": f"text {number}"}
        for number, row in enumerate(rows_of(*(json.dumps(list(range(1_000 + number))) for number in range(150))))
    ]
    columns = list(hub_of(rows).table("t").columns)
    evaluator = compile_expression(check_expression(text, SCHEMA).root, SCHEMA, columns)
    tracemalloc.start()
    kept = evaluator.holds(reader(columns, len(rows)), len(rows))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept.all()
    # All padded texts together take 135 MB, all documents 6 MB.
    assert peak < (2_000_000 if "items" in text else 10_000_000)


def test_live_filters_follow_json() -> None:
    hub = Hub("test", epoch="test")
    hub.create_table("t", SCHEMA)
    text = "items.filter(x => x.v > i).map(x => x.n).includes('b') || d.a.b ~ 'yes'"
    session = hub.open_session(Query("t", Custom(text)), "live")

    def write(kind: WriteKind, *rows: dict[str, Any]) -> list[Any]:
        hub.commit([Write("t", kind, Batch.of_rows(SCHEMA.columns, rows))])
        hub.check()
        return session.read().rows.columns["id"].to_list()

    row: dict[str, Any] = {"id": 1, "i": 5, "items": '[{"v": 7, "n": "b"}]'}
    assert write(WriteKind.INSERT, row) == [1]
    assert write(WriteKind.UPDATE, {"id": 1, "i": 7}) == []
    assert write(WriteKind.UPDATE, {"id": 1, "d": '{"a": {"b": "YES!"}}'}) == [1]
    assert write(WriteKind.UPDATE, {"id": 1, "d": '{"a": "YES!"}'}) == []
    many = [{"id": number, "i": number, "items": '[{"v": 5, "n": "b"}]'} for number in range(2, 9)]
    assert write(WriteKind.INSERT, *many) == [2, 3, 4]
    assert write(WriteKind.UPDATE, *({**each, "items": None} for each in many[1:])) == [2]


TYPES: dict[str, tuple[str, Any]] = {
    "b": ("BOOL", True),
    "i + 1": ("INT64", 2),
    "i / 2": ("FLOAT64", 0.5),
    "t + 1s": ("TIMESTAMP", 1_000_000),
    "s + s": ("STRING", "aa"),
    "e": ("ENUM", "mid"),
    "b ? e : e": ("STRING", "mid"),
    "e ?? e": ("STRING", "mid"),
    "items": ("JSON", '[1.0, "x"]'),
    "items[0]": ("JSON", "1"),
    "items[1]": ("JSON", '"x"'),
    "items.map(x => x)": ("JSON", '[1,"x"]'),
    "[i, e]": ("JSON", '[1,"mid"]'),
    "[]": ("JSON", "[]"),
    "null": ("STRING", None),
    "b ? null : null": ("STRING", None),
    "'a'": ("STRING", "a"),
    "`${e}!`": ("STRING", "mid!"),
}


@pytest.mark.parametrize("text", TYPES)
def test_every_expression_fits_a_column(text: str) -> None:
    checked = check_expression(text, SCHEMA)
    columns = list(hub_of(rows_of('[1.0, "x"]', b=True, i=1, t=0, s="a", e="mid")).table("t").columns)
    found = compile_expression(checked.root, SCHEMA, columns).evaluate(reader(columns, 1), 1)
    assert (checked.data_type.name, found.type, found.to_list()) == (
        TYPES[text][0],
        checked.data_type,
        [TYPES[text][1]],
    )
    assert (found.texts is not None) is checked.data_type.is_text
    assert checked.enum_values == (("low", "mid", "high") if checked.data_type is DataType.ENUM else ())
    one = compile_one(checked.root, SCHEMA, columns)(lambda at: columns[at].stored(0))
    assert (one, type(one)) == (TYPES[text][1], type(TYPES[text][1]))


TEMPLATES: dict[str, str] = {
    "": "",
    "plain": "plain",
    "${s}": "a",
    "${s}, ${i}": "a, 1",
    "$${i}": "$1",
    "\\${s}": "${s}",
    "$ {s} }": "$ {s} }",
    "${`<${s}>`}": "<a>",
    "${s + '}'}": "a}",
    "${s.match(/a{1}/) ? 'yes' : 'no'}": "yes",
    "${items.map(x => `${x}`).join('')}": "1x",
    "${j}${f}": "",
    '"${s}"': '"a"',
    "${d.x}|${items[1]}": "|x",
    "a\nb ${b}": "a\nb true",
}


@pytest.mark.parametrize("text", TEMPLATES)
def test_templates(text: str) -> None:
    checked = check_template(text, SCHEMA)
    columns = list(hub_of(rows_of('[1.0, "x"]', b=True, i=1, t=0, s="a", e="mid")).table("t").columns)
    assert checked.data_type is DataType.STRING
    found = compile_expression(checked.root, SCHEMA, columns).evaluate(reader(columns, 1), 1)
    assert found.to_list() == [TEMPLATES[text]]
