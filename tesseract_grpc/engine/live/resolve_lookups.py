"""Lookups of a query, as nodes: of computed columns, and joins that add at most one row's columns to each row.

Lookups that do not depend on each other are one node, and lookups in one source by the same columns are one lookup. A
node of lookups is made over all rows of what it reads, so that queries share it whatever they filter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType
from tesseract_grpc.engine.live.stage import Stage
from tesseract_grpc.engine.operators.filter import routed_filter
from tesseract_grpc.engine.operators.lookup import LookupOperator, LookupSpec, Taken
from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.source import JoinKey

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.resolve import Planner


@dataclass(frozen=True, slots=True)
class Pending:
    """A lookup that is to be made, and the source in which."""

    right: Stage
    spec: LookupSpec

    def merged(self, other: Pending) -> Pending | None:
        """Both as one lookup; None when they do not look for the same."""
        same = self.right.source is other.right.source and self.right.where == other.right.where
        if not same or (self.spec.on, self.spec.inner) != (other.spec.on, other.spec.inner):
            return None
        return Pending(self.right, replace(self.spec, taken=self.spec.taken + other.spec.taken))


Value = Callable[["Planner", Stage, ComputedColumn, str], tuple[Stage, str]]
"""From a source, and a column that takes an expression or a template of it, to the source with a column for that."""


def lookup_columns(
    planner: Planner, stage: Stage, columns: Sequence[tuple[ComputedColumn, str]], value: Value
) -> Stage:
    """The rows with columns that are looked up, each with the path of its field. Raises InvalidRequest."""
    wanted: list[Pending] = []
    for column, field in columns:
        lookup, field = column.lookup, f"{field}.lookup"
        assert lookup is not None
        given = [bool(lookup.column), bool(lookup.expression), bool(lookup.template)]
        if sum(given) != 1 or column.expression or column.template:
            raise InvalidRequest(
                Reason.MALFORMED_REQUEST,
                f"the lookup '{column.name[:140]}' takes either a column, an expression or a template",
                field=field,
            )
        right = planner.read(lookup.source, f"{field}.source")
        on = key_pairs(stage, right, lookup.on, f"{field}.on")
        name = lookup.column
        if name:
            right.see([name], f"{field}.column")
        else:
            right, name = value(planner, right, column, field)
        found = right.schema.column(name)
        made = ColumnSchema(column.name, found.type, enum_values=found.enum_values, derived=True)
        wanted.append(Pending(right, LookupSpec(on, (Taken(right.schema.position(name), made),))))
    return attach(planner, stage, wanted)


def key_pairs(left: Stage, right: Stage, on: Sequence[JoinKey], field: str) -> tuple[tuple[int, int], ...]:
    """The positions of the columns that must be equal. Raises InvalidRequest."""
    if not on:
        raise InvalidRequest(Reason.MALFORMED_REQUEST, "at least one pair of columns must be compared", field=field)
    pairs: dict[tuple[int, int], None] = {}
    for index, pair in enumerate(on):
        left.see([pair.left], f"{field}[{index}].left")
        right.see([pair.right], f"{field}[{index}].right")
        mine, theirs = left.schema.column(pair.left), right.schema.column(pair.right)
        if (mine.type, mine.enum_values) != (theirs.type, theirs.enum_values):
            raise InvalidRequest(
                Reason.WRONG_TYPE,
                f"column '{pair.left}' is {_type(mine)} and column '{pair.right}' is {_type(theirs)}; "
                "only columns of one type can be compared",
                field=f"{field}[{index}]",
            )
        if mine.type is DataType.JSON:
            raise InvalidRequest(
                Reason.WRONG_TYPE,
                f"columns '{pair.left}' and '{pair.right}' are JSON and cannot be joined on",
                field=f"{field}[{index}]",
            )
        pairs[left.schema.position(pair.left), right.schema.position(pair.right)] = None
    return tuple(pairs)


def _type(column: ColumnSchema) -> str:
    return f"ENUM ({', '.join(column.enum_values[:20])})" if column.enum_values else column.type.name


def attach(planner: Planner, stage: Stage, lookups: Sequence[Pending]) -> Stage:
    """The rows with what these lookups find, by one node."""
    if not lookups:
        return stage
    names = tuple(taken.column.name for each in lookups for taken in each.spec.taken)
    wanted = _gathered(lookups)
    base = stage.source.table
    reads = [stage.source, *(each.right.source for each in wanted)]
    fingerprint = ("lookup", tuple(reads), tuple((each.right.where, each.spec) for each in wanted))

    def make() -> LookupOperator:
        inputs = [routed_filter(base, None, frozenset(range(len(base.columns))))]
        inputs += [routed_filter(each.right.source.table, each.right.where, frozenset()) for each in wanted]
        specs = [each.spec for each in wanted]
        return LookupOperator(base.name, inputs, specs, planner.line.current, planner.history)

    node = planner.node("lookup", ", ".join(names), fingerprint, reads, make)
    return replace(stage, source=node.source, shown=stage.shown + names)


def _gathered(lookups: Sequence[Pending]) -> list[Pending]:
    """The lookups with those that look for the same put together."""
    found: list[Pending] = []
    for each in lookups:
        for index, other in enumerate(found):
            merged = other.merged(each)
            if merged is not None:
                found[index] = merged
                break
        else:
            found.append(each)
    return found
