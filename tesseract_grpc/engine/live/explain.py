"""How a query is evaluated and maintained, told as a plan: the last step, with the steps that it reads below it.

The plan is read off what there is: the result, the nodes below it and their counters. Nothing is estimated. Times are
those of the stopwatch that the owner of the hub gave it, and 0 without one; no state depends on them.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace

from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.live.node import Node
from tesseract_grpc.engine.live.result import Result
from tesseract_grpc.engine.live.source import Source
from tesseract_grpc.engine.operators.filter import FilterOperator
from tesseract_grpc.engine.operators.filter_order import FilterPart, filter_order
from tesseract_grpc.engine.operators.routing_keys import EqualKey, RoutingKey
from tesseract_grpc.engine.query.filter import Filter
from tesseract_grpc.engine.query.filter_text import HIDDEN, WHOLE, Wording, filter_text
from tesseract_grpc.engine.query.literal import Literal
from tesseract_grpc.engine.query.query import Plan

NAMED = 100
"""So many sessions that share a step are named."""

_WORD = re.compile(r"[^ ,=]+")
_VOCABULARY = frozenset(
    "by as a tree inserted descending all rows together of over on inner left where filters aggregates are true".split()
)
"""The words of our own in the descriptions of steps; the others are names."""


def _known(word: str) -> str:
    return word if word in _VOCABULARY else HIDDEN


@dataclass(frozen=True, slots=True)
class TestedPart:
    """A part of a filter, at its place in the order in which parts are tested."""

    condition: str
    how: str
    why: str


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step: what it does, what it cost, who shares it, and what it reads."""

    kind: str
    description: str
    row_count: int
    rows_examined: int = 0  # by its first evaluation
    index: str = ""
    routing_key: str = ""
    shared_with: tuple[str, ...] = ()
    shared_count: int = 0
    hydrate_us: int = 0
    apply_us: int = 0
    commits: int = 0
    rows_offered: int = 0
    inputs: tuple[PlanStep, ...] = ()
    where: Filter | None = field(default=None, repr=False)  # of a filter: what it keeps
    routed_by: str = ""  # the column of the routing key
    parts: tuple[FilterPart, ...] = field(default=(), repr=False)  # of a filter: in the order in which they are tested

    @property
    def filter_order(self) -> tuple[TestedPart, ...]:
        """Of a filter: its parts, in the order in which they are tested. O(its text)."""
        return tuple(TestedPart(part.text(), part.how, part.why) for part in self.parts)

    def form(self, names: Container[str]) -> PlanStep:
        """The same plan without a value in it, and without names that are not among `names`. O(its text)."""
        wording = Wording(values=False, names=names)
        match self.kind:
            case "filter":
                description = filter_text(self.where, wording)
            case "table" | "union":  # the id of a table; a number of sources
                description = self.description
            case _:
                description = _WORD.sub(lambda word: word[0] if word[0] in names else _known(word[0]), self.description)
        return replace(
            self,
            description=description,
            index=self.index and wording.name(self.index),
            routing_key=self.routed_by and wording.name(self.routed_by),
            inputs=tuple(below.form(names) for below in self.inputs),
            where=None,
            parts=(),
        )

    def text(self) -> str:
        """The plan for people: a line a step, what it reads below it and further in."""
        return "\n".join(self._lines(0))

    def _lines(self, depth: int) -> list[str]:
        facts = [_number(self.row_count, "row")]
        if self.rows_examined:
            facts.append(f"{self.rows_examined:,} examined")
        if self.index:
            facts.append(f"index {self.index}")
        if len(self.parts) > 1:
            tested = ", ".join(f"{part.condition} [{part.how}]" for part in self.filter_order)
            facts.append(f"tested in this order: {tested}")
        if self.routing_key:
            facts.append(f"routed by {self.routing_key}")
        if self.hydrate_us or self.apply_us:
            facts.append(f"made in {self.hydrate_us / 1000:,.1f} ms, {self.apply_us / 1000:,.1f} ms since")
        if self.commits:
            facts.append(f"{_number(self.commits, 'commit')} with {_number(self.rows_offered, 'row')}")
        if self.shared_count > 1:
            facts.append(f"shared by {self.shared_count} sessions")
        line = f"{'  ' * depth}{self.kind}: {self.description} ({'; '.join(facts)})"
        return [line, *(part for each in self.inputs for part in each._lines(depth + 1))]


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def explain(result: Result, plan: Plan, source: Source) -> PlanStep:
    """The plan of a result, maintained or just evaluated."""
    names = sorted(result.sessions)
    below = _filtered(source, result.filter, plan.filter, result.count, names)
    tree = "as a tree, " if plan.tree is not None else ""
    sort = ", ".join(f"{key.column}{' descending' if key.descending else ''}" for key in plan.sort)
    return PlanStep(
        "order",
        f"{tree}by {sort}" if sort else f"{tree}as inserted",
        result.count,
        shared_with=tuple(names[:NAMED]),
        shared_count=len(names),
        hydrate_us=result.hydrate_ns // 1000,
        apply_us=result.apply_ns // 1000,
        commits=result.commits,
        rows_offered=result.examined,
        inputs=(below,),
    )


def _filtered(
    source: Source, filter: FilterOperator, where: Filter | None, count: int, names: Sequence[str]
) -> PlanStep:
    """A source through a filter; just the source when it keeps every row."""
    below = _source(source)
    if where is None:
        return below
    # A filter holds no rows: those of a node's input are counted for the occasion.
    return PlanStep(
        "filter",
        filter_text(where),
        count,
        rows_examined=filter.examined,
        index=filter.index or "",
        routing_key=_key_text(filter.key, source.table),
        where=where,
        parts=filter_order(where, source.table, filter.index or ""),
        routed_by="" if filter.key is None else source.table.columns[filter.key.column].schema.name,
        shared_with=tuple(names[:NAMED]),
        shared_count=len(names),
        inputs=(below,),
    )


def _source(source: Source) -> PlanStep:
    names = sorted(session.name for session in source.sessions())
    shared, count = tuple(names[:NAMED]), len(names)
    if source.owner is None:
        return PlanStep("table", source.table.name, source.table.row_count, shared_with=shared, shared_count=count)
    return _node(source.owner, shared, count)


def _node(node: Node, shared: tuple[str, ...], count: int) -> PlanStep:
    return PlanStep(
        node.kind,
        node.description,
        node.source.table.row_count,
        rows_examined=node.examined,
        shared_with=shared,
        shared_count=count,
        hydrate_us=node.hydrate_ns // 1000,
        apply_us=node.apply_ns // 1000,
        commits=node.commits,
        rows_offered=node.rows_offered,
        inputs=tuple(
            _filtered(part.source, part.filter, part.filter.where, part.filter.count(), shared) for part in node.inputs
        ),
    )


def _key_text(key: RoutingKey | None, table: Relation) -> str:
    """The condition on one column by which commits find a step."""
    if key is None:
        return ""
    column = table.columns[key.column]
    texts = None if column.dictionary is None else column.dictionary.texts

    def read(value: bool | float) -> Literal:
        return value if texts is None else texts[int(value)]

    name = column.schema.name
    if isinstance(key, EqualKey):
        return f"{name} in ({WHOLE.listed([read(value) for value in key.values])})"
    parts = []
    if key.low is not None:
        parts.append(f"{name} {'>=' if key.low_inclusive else '>'} {WHOLE.literal(read(key.low))}")
    if key.high is not None:
        parts.append(f"{name} {'<=' if key.high_inclusive else '<'} {WHOLE.literal(read(key.high))}")
    return " && ".join(parts)
