"""What could be better about a table: rules, each of which looks at the facts and says what it finds.

A rule speaks only of what has been seen: filters that were really run, indexes that were really passed over, rows that
really came. So what nobody asks for is never recommended, and each rule is silent where its reason is gone. Numbers
that decide stand at the top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from tesseract_grpc.engine.data.filter_uses import FilterUse
from tesseract_grpc.engine.data.schema import DataType, IndexKind
from tesseract_grpc.engine.operators.column_profile import ColumnProfile
from tesseract_grpc.server.diagnosis.facts import Facts

OFTEN = 10
"""A filter that was run so often is run often."""
MANY_ROWS = 2_000
"""Rows that are looked at each time, from which an index is worth its memory."""
VERY_MANY_ROWS = 100_000_000
"""Rows looked at together, from which a missing index does harm."""
SELECTIVE = 0.25
"""An index that would bring a larger part of the table is passed over."""
READS = 100
"""After so many reads by filters, an index that none of them used is not needed."""
HEAVY_SHARE, HEAVY_ROWS = 0.5, 1_000
"""The part of the cost of all sessions, and the changed rows that were looked at, from which a session is told."""
PROFILED_ROWS = 100
"""Of smaller tables, nothing is said about their columns."""
INSERTIONS, INSERTED_ROWS = 100, 1_000
"""Commits and rows from which a table grows."""
DEAD_TEXTS = 1_000
"""Texts that no row has, from which they are told, when they are more than half of all."""
HUGE_DOCUMENTS, LONG_DOCUMENT = 1 << 20, 4_096
"""Bytes of a JSON column that is most of its table, and the length of a document, from which they are told."""
LONG_KEY, KEY_COLUMNS = 32, 4
"""The mean length of a key of text, and the number of key columns, from which they are told."""
LARGE_ROWS = 10_000
"""The rows of a result from which it is better seen through a window."""
NEAR_LIMIT, AT_LIMIT = 0.8, 0.95
"""The part of a limit of memory from which a table is near it, and at it."""


class Severity(IntEnum):
    """How much something matters. The numbers are those of the wire."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True)
class Issue:
    """Something that could be better."""

    severity: Severity
    kind: str
    message: str
    recommendation: str
    column: str = ""


Rule = Callable[[Facts], Iterable[Issue]]


def find_issues(facts: Facts) -> tuple[Issue, ...]:
    """What all rules find, most severe first. O(filters + columns + sessions)."""
    found = [issue for rule in RULES for issue in rule(facts)]
    return tuple(sorted(found, key=lambda issue: -issue.severity))


# Filters and indexes


def missing_index(facts: Facts) -> Iterator[Issue]:
    """Filters that run often over many rows, keep few, and have a condition that an index could answer."""
    by_column: dict[tuple[str, IndexKind], list[FilterUse]] = {}
    for use in facts.table.filters:
        if _is_costly(use):
            choice = _indexable(facts, use)
            if choice is not None:
                by_column.setdefault(choice, []).append(use)
    for (column, kind), uses in by_column.items():
        times = sum(use.uses - use.indexed for use in uses)
        rows = sum(use.unindexed_examined for use in uses)
        kept = sum(use.unindexed_returned for use in uses)
        yield Issue(
            Severity.CRITICAL if rows >= VERY_MANY_ROWS else Severity.WARNING,
            "index",
            f"filters on '{column}' looked at {rows:,} rows in {times:,} reads without an index, and kept {kept:,} of"
            f" them: {uses[0].shape.text}",
            f"add an index to '{column}': table.add_index({column!r}, {kind.name.lower()!r})",
            column,
        )


def _is_costly(use: FilterUse) -> bool:
    times = use.uses - use.indexed
    return (
        times >= OFTEN
        and use.unindexed_examined >= times * MANY_ROWS
        and use.unindexed_returned < SELECTIVE * use.unindexed_examined
    )


def _indexable(facts: Facts, use: FilterUse) -> tuple[str, IndexKind] | None:
    """The column whose index would help most: the one of an equality with the most different values, else a bound."""
    equal = [found for name in use.shape.equal if (found := facts.column(name)) is not None]
    equal = [column for column in equal if column.distinct * SELECTIVE > 1 and not _answers(facts, column, use)]
    if equal:
        return max(equal, key=lambda column: column.distinct).schema.name, IndexKind.HASH
    if not set(use.shape.columns) <= {*use.shape.equal, *use.shape.bounded}:
        return None  # what keeps few rows may be what no index answers
    for name in use.shape.bounded:
        column = facts.column(name)
        if column is not None and not _answers(facts, column, use):
            return name, IndexKind.SORTED
    return None


def _answers(facts: Facts, column: ColumnProfile, use: FilterUse) -> bool:
    """Whether there is an index for this, which was passed over because it would bring too much."""
    index = facts.table.index_of(column.schema.name)
    return index is not None and (index.kind is IndexKind.SORTED or column.schema.name in use.shape.equal)


def unused_index(facts: Facts) -> Iterator[Issue]:
    """Indexes that no read has used, though there were many."""
    reads = facts.table.reads
    if reads < READS:
        return
    for index in facts.table.indexes:
        if not index.primary and not index.uses:
            (column,) = index.columns
            yield Issue(
                Severity.INFO,
                "index",
                f"the index over '{column}' takes {index.bytes:,} bytes and was used by none of {reads:,} reads",
                f"drop it, for every write keeps it up to date: table.alter(Alterations().drop_index({column!r}))",
                column,
            )


def few_values(facts: Facts) -> Iterator[Issue]:
    """Columns that are filtered often by equality, whose values are too few for any index."""
    for column in facts.columns:
        name = column.schema.name
        uses = [use for use in facts.table.filters if name in use.shape.equal and use.uses - use.indexed >= OFTEN]
        uses = [use for use in uses if use.unindexed_examined >= (use.uses - use.indexed) * MANY_ROWS]
        if not uses or not 0 < column.distinct <= 1 / SELECTIVE:
            continue
        if any(_indexable(facts, use) is not None for use in uses):
            continue
        times = sum(use.uses - use.indexed for use in uses)
        yield Issue(
            Severity.INFO,
            "cardinality",
            f"'{name}' has {column.distinct} different values and was asked for by equality {times:,} times;"
            " an index would bring too much of the table and is passed over",
            "open a session with this filter: it is kept up to date and read without looking at the table; or add a"
            " condition that keeps fewer rows",
            name,
        )


# Sessions and results


def heavy_session(facts: Facts) -> Iterator[Issue]:
    """A session that takes most of what all sessions take."""
    if facts.sessions.count < 2:
        return
    for cost in facts.sessions.sessions:
        if cost.share >= HEAVY_SHARE and cost.examined >= HEAVY_ROWS:
            offered = "" if cost.routed else "; it is offered every commit"
            yield Issue(
                Severity.WARNING,
                "session",
                f"session '{cost.name}' takes {cost.share:.0%} of the time of {facts.sessions.count} sessions:"
                f" {cost.examined:,} changed rows looked at in {cost.commits:,} commits{offered}",
                f"look at hub.get_session({cost.name!r}).explain()"
                + ("" if cost.routed else "; a condition with == or a bound on a column lets commits pass it by"),
            )
            return


def large_results(facts: Facts) -> Iterator[Issue]:
    """Results that are large and taken whole, by queries and by watches."""
    table = facts.table
    if table.large_results >= OFTEN:
        yield Issue(
            Severity.INFO,
            "window",
            f"queries took results of up to {table.largest_result:,} rows whole {table.large_results:,} times",
            "give queries a limit, or keep the rows in a mirror of a session, which is sent changes alone",
        )
    for cost in facts.sessions.sessions:
        if cost.rows >= LARGE_ROWS and cost.whole_watchers:
            yield Issue(
                Severity.INFO,
                "window",
                f"{cost.whole_watchers} watches of session '{cost.name}' show all of its {cost.rows:,} rows",
                "watch a window, and move it: session.watch(window=(0, 100))",
            )


# Rows and memory


def mostly_null(facts: Facts) -> Iterator[Issue]:
    """Columns in which most rows have nothing."""
    rows = facts.table.rows
    if rows < PROFILED_ROWS:
        return
    for column in facts.columns:
        if column.nulls * 2 > rows:
            nothing = column.nulls == rows
            memory = facts.table.memory_of(column.schema.name)
            size = 0 if memory is None else memory.total
            part = "every row" if nothing else f"{column.nulls / rows:.0%} of the rows"
            yield Issue(
                Severity.WARNING if nothing else Severity.INFO,
                "nulls",
                f"'{column.schema.name}' is null in {part} and takes {size:,} bytes",
                f"drop it: table.drop_column({column.schema.name!r})"
                if nothing
                else "keep it in a table of its own, joined where it is needed, if it is seldom asked for",
                column.schema.name,
            )


def grows(facts: Facts) -> Iterator[Issue]:
    """Tables to which rows come and from which none leave."""
    table, growth = facts.table, facts.table.growth
    if table.derived or table.limited or growth.insertions < INSERTIONS or growth.inserted < INSERTED_ROWS:
        return
    if growth.removed * 10 > growth.inserted:
        return
    ages = [column.schema.name for column in facts.columns if column.schema.type is DataType.TIMESTAMP]
    by_age = f'max_age="7d", age_column={ages[0]!r}' if ages else f"max_records={max(table.rows, 1):_}"
    yield Issue(
        Severity.WARNING if table.rows >= 1_000_000 else Severity.INFO,
        "retention",
        f"{growth.inserted:,} rows came in {growth.insertions:,} commits, {growth.removed:,} left, and nothing limits"
        " the table",
        f"say which rows may leave: table.set_retention({by_age})",
    )


def dead_texts(facts: Facts) -> Iterator[Issue]:
    """Dictionaries that are full of texts which no row has."""
    for column in facts.columns:
        memory = facts.table.memory_of(column.schema.name)
        if memory is None or column.schema.type is DataType.ENUM:
            continue
        dead = memory.entries - column.distinct
        if dead >= DEAD_TEXTS and dead * 2 > memory.entries:
            yield Issue(
                Severity.WARNING,
                "dictionary",
                f"{dead:,} of {memory.entries:,} texts of '{column.schema.name}' belong to no row; the dictionary takes"
                f" {memory.dictionary:,} bytes",
                "they leave by themselves once history has forgotten the rows that had them; texts that differ in every"
                " row and are never filtered belong into a number, a timestamp or a table of their own",
                column.schema.name,
            )


def huge_documents(facts: Facts) -> Iterator[Issue]:
    """JSON that is most of a table, or very long."""
    for column in facts.columns:
        memory = facts.table.memory_of(column.schema.name)
        if memory is None or column.schema.type is not DataType.JSON or memory.total < HUGE_DOCUMENTS:
            continue
        part = memory.total / max(1, facts.table.memory.total)
        if part >= 0.5 or column.text_length >= LONG_DOCUMENT:
            yield Issue(
                Severity.WARNING,
                "json",
                f"documents of {column.text_length:,.0f} characters each in '{column.schema.name}' take"
                f" {memory.total:,} bytes, {part:.0%} of the table",
                "put what is filtered and shown into columns of its own, and large documents elsewhere under their key",
                column.schema.name,
            )


def costly_key(facts: Facts) -> Iterator[Issue]:
    """Keys that take more than what they name."""
    if facts.table.derived or facts.table.rows < PROFILED_ROWS:
        return
    keys = facts.table.schema.key_columns
    for key in keys:
        column, memory = facts.column(key.name), facts.table.memory_of(key.name)
        if column is None or memory is None or column.text_length < LONG_KEY:
            continue
        part = memory.total / max(1, facts.table.memory.total)
        if part >= 0.2:
            yield Issue(
                Severity.INFO,
                "key",
                f"keys of {column.text_length:.0f} characters in '{key.name}' take {memory.total:,} bytes, {part:.0%}"
                " of the table",
                "name rows by an INT64, and keep the text as a column where it is needed",
                key.name,
            )
    if len(keys) >= KEY_COLUMNS:
        yield Issue(
            Severity.INFO,
            "key",
            f"the key has {len(keys)} columns; every change of a row carries all of them",
            "name rows by one column",
        )


def near_limit(facts: Facts) -> Iterator[Issue]:
    """Tables that take almost the memory that they may."""
    limit, total = facts.table.memory_limit, facts.table.memory.total
    if limit and total >= NEAR_LIMIT * limit:
        yield Issue(
            Severity.CRITICAL if total >= AT_LIMIT * limit else Severity.WARNING,
            "memory",
            f"the table takes {total:,} of the {limit:,} bytes that it may",
            "let rows leave with table.set_retention(..), or raise the limit",
        )


def empty_places(facts: Facts) -> Iterator[Issue]:
    """Places of rows that left."""
    empty = facts.table.slots - facts.table.rows
    if not facts.table.derived and empty >= LARGE_ROWS and empty > facts.table.rows:
        yield Issue(
            Severity.INFO,
            "memory",
            f"{empty:,} places of rows that left are held for new ones, beside {facts.table.rows:,} rows",
            "they are used again for rows that come; a table that is loaded anew does without them",
        )


RULES: tuple[Rule, ...] = (
    missing_index,
    unused_index,
    few_values,
    heavy_session,
    large_results,
    mostly_null,
    grows,
    dead_texts,
    huge_documents,
    costly_key,
    near_limit,
    empty_places,
)
