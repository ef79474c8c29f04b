"""One client measured: each mode beside the stubs of its language, against servers of ours, and the work compared.

`write` goes to a real server, whose table must hold the rows afterwards; `snapshot` and `fold` are given recorded
streams, whose digest is the server's own. What a program says it did is not believed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.clients.programs import Client, ProgramFailed
from benchmarks.clients.recording import COLUMNS, FOLD, SNAPSHOT, Recordings, record, row
from benchmarks.clients.replay import replaying
from benchmarks.wire.server import ServerProcess
from benchmarks.workload import Figure, Figures, Settings
from tesseract_grpc.client import EventHorizon

RECORDING = "BENCH_CLIENTS_STREAMS"
"""The variable that names the file of the streams, for the processes that measure."""
SECONDS = 3.0
TABLE, ROWS, BATCH = "bench_write", 100_000, 1_000

_kept: list[tempfile.TemporaryDirectory[str]] = []
"""Lives as long as this process: the streams are recorded once for all languages and runs."""


def prepare(language: str, settings: Settings) -> str:
    """Builds the programs of a language and records the streams; returns what this machine lacks, in words."""
    try:
        client = Client.of(language)
        lacks = client.lacks()
        if not lacks:
            client.build()
    except ProgramFailed as failure:
        return str(failure)
    if not lacks and RECORDING not in os.environ:
        _kept.append(tempfile.TemporaryDirectory(prefix="bench-clients-"))
        path = Path(_kept[-1].name) / "streams"
        record(settings).save(path)
        os.environ[RECORDING] = str(path)
    return lacks


def run(language: str, _: str, settings: Settings) -> Figures:
    """The workload of a language."""
    lacks = prepare(language, settings)
    if lacks:
        raise ProgramFailed(lacks)
    client, path = Client.of(language), Path(os.environ[RECORDING])
    return {
        f"client_{language}_write": _write(client, settings),
        **_watches(client, path, min(SECONDS, settings.seconds)),
    }


def _write(client: Client, settings: Settings) -> Figure:
    rows = BATCH * settings.scaled(ROWS // BATCH)
    words = {"table": TABLE, "rows": rows, "batch": BATCH, "seconds": min(SECONDS, settings.seconds)}
    rates = {}
    for mode in ("raw_write", "write"):
        with ServerProcess("--log-level", "warning") as server, EventHorizon.connect(server.address) as hub:
            table = hub.create_tesseract(TABLE, COLUMNS)
            answer = client.bench(mode, address=server.address, **words)
            _check_rows(client, table.get_data(), rows)
            info = hub.info()
            if answer["version"] != info.version:
                raise ProgramFailed(f"{client.language}: {mode} ends at {answer['version']} and not at {info.version}")
            rates[mode] = answer["rows"] / answer["seconds"]
    return _figure(rates["write"], rates["raw_write"])


def _check_rows(client: Client, found: Any, rows: int) -> None:
    """Whether the table holds the rows that clients/BENCH.md defines."""
    expected = EXPECTED.setdefault(rows, _expected(rows))
    if len(found) != rows:
        raise ProgramFailed(f"{client.language}: the table holds {len(found)} rows and not {rows}")
    columns = found.to_numpy()
    for name, values in expected.items():
        if columns[name].tolist() != values:
            raise ProgramFailed(f"{client.language}: the column {name} holds other values than it should")


EXPECTED: dict[int, dict[str, list[Any]]] = {}


def _expected(rows: int) -> dict[str, list[Any]]:
    made = [row(i) for i in range(rows)]
    return {column["name"]: [found[column["name"]] for found in made] for column in COLUMNS if column["name"] != "ts"}


def _watches(client: Client, path: Path, seconds: float) -> Figures:
    recordings, figures = Recordings.load(path), {}
    with replaying(path) as address:
        for mode, session, rows in (
            ("snapshot", SNAPSHOT, recordings.watches[SNAPSHOT].rows),
            ("fold", FOLD, recordings.watches[FOLD].changed_rows),
        ):
            watch, rates = recordings.watches[session], {}
            words = {"address": address, "session": session, "version": watch.version, "seconds": seconds}
            for which in (f"raw_{mode}", mode):
                answer = client.bench(which, **words)
                raw = which != mode
                expected = {"messages": len(watch.messages)} if raw else {"rows": watch.rows, "digest": watch.digest}
                said = {name: answer.get(name) for name in expected}
                if said != expected:
                    raise ProgramFailed(f"{client.language}: {which} says {said} and not {expected}")
                rates[which] = rows * answer["repetitions"] / answer["seconds"]
            figures[f"client_{client.language}_{mode}"] = _figure(rates[mode], rates[f"raw_{mode}"])
    return figures


def _figure(rate: float, raw: float) -> Figure:
    return Figure(rate, {"raw": raw, "ratio": rate / raw})
