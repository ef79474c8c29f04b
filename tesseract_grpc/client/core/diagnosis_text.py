"""Diagnoses in lines, for a terminal or a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .diagnosis import CacheStats, ColumnProfile, Diagnosis, HubDiagnosis
from .diagnosis_words import clean, duration, moment, size, value

_BARS = " ▁▂▃▄▅▆▇█"


def table_text(diagnosis: Diagnosis) -> str:
    """A table."""
    return "\n".join(_table_lines(diagnosis))


def hub_text(report: HubDiagnosis) -> str:
    """A hub: what was found first, then its caches, then table by table."""
    rows = sum(diagnosis.row_count for diagnosis in report.tables)
    memory = sum(diagnosis.memory_bytes for diagnosis in report.tables)
    lines = [f"hub {clean(report.hub)}: {len(report.tables)} tables, {rows:,} rows, {size(memory)}", ""]
    lines += [f"{issue.severity}: {clean(table)}: {clean(issue.message)}" for table, issue in report.issues]
    lines += ["", *cache_lines(report.caches.items())]
    for diagnosis in report.tables:
        lines += ["", *_table_lines(diagnosis)]
    return "\n".join(lines)


def cache_lines(caches: Iterable[tuple[str, CacheStats]]) -> list[str]:
    """What caches have done."""
    rows = [
        (
            name,
            f"{stats.hits:,}",
            f"{stats.misses:,}",
            f"{stats.hit_rate:.1%}",
            f"{stats.entries:,}",
            size(stats.bytes) if stats.bytes else "·",
            f"{stats.evictions:,}",
            f"{stats.invalidations:,}",
        )
        for name, stats in caches
    ]
    head = ("cache", "hits", "misses", "hit rate", "entries", "size", "evictions", "invalidations")
    return list(_aligned(head, rows))


def _table_lines(diagnosis: Diagnosis) -> Iterator[str]:
    memory = diagnosis.memory
    yield (
        f"table {clean(diagnosis.table)}: {diagnosis.row_count:,} rows, {size(memory.total)}, at version"
        f" {diagnosis.version}, diagnosed in {duration(diagnosis.seconds)}"
    )
    yield (
        f"  memory: columns {size(memory.columns)}, indexes {size(memory.indexes)}, keys {size(memory.keys)},"
        f" rows {size(memory.rows)}, history {size(memory.history)}"
    )
    yield ""
    if not diagnosis.issues:
        yield "  nothing to complain about"
    for issue in diagnosis.issues:
        yield f"  {issue.severity}: {clean(issue.message)}"
        yield f"    -> {clean(issue.recommendation)}"
    yield from _section("columns", _columns(diagnosis.columns))
    yield from _section("indexes", _indexes(diagnosis))
    yield from _section(f"filters since {moment(diagnosis.counted_since)}", _filters(diagnosis))
    yield from _section("sessions", _sessions(diagnosis))


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if len(lines) > 1:
        yield ""
        yield f"  {title}"
        yield from (f"  {line}" for line in lines)


def _columns(columns: Sequence[ColumnProfile]) -> list[str]:
    head = ("column", "type", "distinct", "nulls", "min", "max", "mean", "memory", "values")
    rows = [
        (
            clean(column.name),
            column.type + (" key" if column.primary_key else ""),
            f"{column.distinct_count:,}",
            f"{column.null_count:,}",
            value(column.min),
            value(column.max),
            value(column.mean),
            size(column.memory_bytes),
            sparkline(column.histogram) or ", ".join(f"{value(each)} ×{count:,}" for each, count in column.top_values),
        )
        for column in columns
    ]
    return list(_aligned(head, rows))


def _indexes(diagnosis: Diagnosis) -> list[str]:
    head = ("index", "kind", "uses", "memory")
    rows = [
        (
            clean(", ".join(index.columns)),
            "key" if index.primary else index.kind,
            f"{index.uses:,}",
            size(index.bytes),
        )
        for index in diagnosis.indexes
    ]
    return list(_aligned(head, rows))


def _filters(diagnosis: Diagnosis) -> list[str]:
    head = ("uses", "indexed", "examined", "returned", "time", "filter")
    rows = [
        (
            f"{use.uses:,}",
            f"{use.indexed_uses:,}",
            f"{use.rows_examined:,}",
            f"{use.rows_returned:,}",
            duration(use.seconds),
            clean(use.filter),
        )
        for use in diagnosis.filters
    ]
    return list(_aligned(head, rows))


def _sessions(diagnosis: Diagnosis) -> list[str]:
    head = ("session", "share", "time", "commits", "examined", "watchers")
    rows = [
        (
            clean(cost.session),
            f"{cost.share:.0%}",
            duration(cost.seconds),
            f"{cost.commits:,}",
            f"{cost.rows_examined:,}",
            f"{cost.watcher_count:,}",
        )
        for cost in diagnosis.sessions
    ]
    return list(_aligned(head, rows))


def sparkline(counts: Sequence[int]) -> str:
    """Counts as bars of one character each."""
    most = max(counts, default=0)
    if not most:
        return ""
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] for count in counts)


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns of equal width; the last is as long as it is."""
    widths = [max(map(len, cells)) for cells in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1]]).rstrip()
