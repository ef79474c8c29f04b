"""All workloads, by name: what each yields and who takes part."""

from __future__ import annotations

from functools import partial

from benchmarks import aggregates, joined, live, load, migrate, oneshot, retention
from benchmarks.clients import measuring
from benchmarks.clients.programs import LANGUAGES
from benchmarks.field import LIVE_PEERS, PEERS
from benchmarks.wire.workloads import WIRE
from benchmarks.workload import OURS, Better, Figures, Metric, Settings, Workload

_LIVE = (OURS, *LIVE_PEERS)
# Of 70 numbers with 0.591 and 0.604 in the middle, Perspective's median was 0.564: what is wrong is not measured.
_WRONG: dict[str, tuple[str, ...]] = {"sum": (), "median": ("perspective",), "distinct": ()}
_HIGHER, _LOWER = Better.HIGHER, Better.LOWER


def _batches(sessions: int, *, grouped: bool) -> Workload:
    name = f"W4_{sessions}_group" if grouped else f"W4_{sessions}"
    about = f"1 M rows, batches of 1,000 updates, {sessions} filtered" + (" and 1 grouped" * grouped) + " live"
    return Workload(
        name,
        (Metric(name, "rows/s", _HIGHER, about),),
        _LIVE,
        partial(_run_batches, name, sessions, grouped),
    )


def _run_batches(metric: str, sessions: int, grouped: bool, name: str, settings: Settings) -> Figures:
    return live.run_batches(metric, sessions, grouped=grouped, name=name, settings=settings)


def _singles(name: str, rows: int, sessions: int, *, grouped: bool) -> Workload:
    size = "1 M" if rows == load.ROWS else "100 k"
    about = f"{size} rows, single updates, {sessions} filtered" + (" and 1 grouped" * grouped) + " live"
    return Workload(
        name,
        (Metric(name, "updates/s", _HIGHER, about),),
        _LIVE,
        partial(_run_singles, name, rows, sessions, grouped),
    )


def _run_singles(metric: str, rows: int, sessions: int, grouped: bool, name: str, settings: Settings) -> Figures:
    return live.run_singles(metric, rows, sessions, grouped=grouped, name=name, settings=settings)


_IN_PROCESS = (
    Workload(
        "W1",
        (
            Metric("W1", "rows/s", _HIGHER, "load 1 M rows in batches of 10,000"),
            Metric("W1_bytes", "bytes/row", _LOWER, "memory of the loaded table"),
        ),
        (OURS, *PEERS),
        load.run_load,
    ),
    Workload(
        "W2",
        (Metric("W2", "ms", _LOWER, "1 M rows: filter, sort, first 100; a new query each time"),),
        (OURS, *PEERS),
        oneshot.run_top,
    ),
    Workload(
        "W3",
        (Metric("W3", "ms", _LOWER, "1 M rows: group by symbol, five aggregates; asked once"),),
        (OURS, *PEERS),
        oneshot.run_groups,
    ),
    *(_batches(sessions, grouped=False) for sessions in (1, 10, 50)),
    _batches(50, grouped=True),
    _singles("W5", load.ROWS, 10, grouped=True),
    _singles("W6_0", live.SMALL_ROWS, 0, grouped=False),
    _singles("W6_100", live.SMALL_ROWS, 100, grouped=False),
    Workload(
        "W7",
        (Metric("W7", "ms", _LOWER, "1 M rows: count where price * qty > 500,000"),),
        (OURS, *PEERS),
        oneshot.run_products,
    ),
    Workload(
        "W8",
        (Metric("W8", "updates/s", _HIGHER, "100 k rows, single updates, 10,000 filtered live, 10 of them match"),),
        (OURS, "perspective"),
        live.run_distinct,
        slow=("perspective",),
    ),
    Workload(
        joined.METRIC,
        (Metric(joined.METRIC, "updates/s", _HIGHER, "336,776 flights joined live with 3 tables, batches of 100"),),
        (OURS, *joined.PEERS),
        joined.run,
    ),
    Workload(
        "expire_age",
        (
            Metric(
                "expire_age", "rows/s", _HIGHER, "1 M rows, 50 filtered and 1 grouped live: 1,000 rows expire a tick"
            ),
            Metric("expire_idle_tick", "us", _LOWER, "the same table: a tick at which no row expires"),
        ),
        (OURS,),
        retention.run_age,
    ),
    Workload(
        "expire_ring",
        (
            Metric(
                "expire_ring", "rows/s", _HIGHER, "a full ring of 1 M rows, 51 sessions: 1,000 come and leave a commit"
            ),
        ),
        (OURS,),
        retention.run_ring,
    ),
    Workload(
        "drop_texts",
        (
            Metric("drop_texts", "texts/s", _HIGHER, "1 M texts that no row has, dropped in slices"),
            Metric("drop_texts_sorted", "texts/s", _HIGHER, "the same of a column that is sorted"),
        ),
        (OURS,),
        retention.run_texts,
    ),
    *(
        aggregates.workload(function, (OURS, *(peer for peer in PEERS if peer not in wrong)), by_symbol=by_symbol)
        for by_symbol in (False, True)
        for function, wrong in _WRONG.items()
    ),
)

_MIGRATE = Workload(
    migrate.METRIC,
    (Metric(migrate.METRIC, "rows/s", _HIGHER, "a table of PostgreSQL of 1 M rows, migrated and compared"),),
    (OURS,),
    migrate.run,
    pinned=False,
)

_CLIENTS = tuple(
    Workload(
        f"client_{language}",
        (
            Metric(f"client_{language}_write", "rows/s", _HIGHER, "batches of 1,000 rows through the library"),
            Metric(f"client_{language}_snapshot", "rows/s", _HIGHER, "a snapshot of 100,000 rows into a mirror"),
            Metric(f"client_{language}_fold", "rows/s", _HIGHER, "changed rows into a mirror of 5,000, 100 a message"),
        ),
        (OURS,),
        partial(measuring.run, language),
        pinned=False,
        prepare=partial(measuring.prepare, language),
    )
    for language in LANGUAGES
)

WORKLOADS: dict[str, Workload] = {workload.name: workload for workload in (*_IN_PROCESS, *WIRE, _MIGRATE, *_CLIENTS)}
METRICS: dict[str, Metric] = {metric.name: metric for workload in WORKLOADS.values() for metric in workload.metrics}
