"""DuckDB in join3: tables with keys, updated in place; the whole question is asked anew after each batch."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa

from benchmarks.flights import FlightUpdates
from benchmarks.joined import Joins, Totals

_KEYS = {"airlines": "carrier", "planes": "tailnum", "airports": "faa", "flights": "flight_id"}
_JOINED = """select f.*, a.name as airline, p.manufacturer, p.model, p.year as built, d.name as destination
from flights f join airlines a using (carrier)
left join planes p using (tailnum) left join airports d on d.faa = f.dest"""
_UPDATE = """update flights set dep_delay = batch.dep_delay, arr_delay = batch.arr_delay
from batch where flights.flight_id = batch.flight_id"""


class DuckDBJoined(Joins):
    """duckdb."""

    name = "duckdb"

    def __init__(self, cores: int, tables: dict[str, Any]) -> None:
        super().__init__(cores, tables)
        self._connection = duckdb.connect(config={"threads": cores})
        for name, table in tables.items():
            self._connection.register("given", table)
            self._connection.execute(f"create table {name} as select * from given")
            self._connection.execute(f"create unique index {name}_key on {name} ({_KEYS[name]})")
            self._connection.unregister("given")

    def prepare(self, updates: FlightUpdates) -> tuple[pa.Table, tuple[str, str] | None]:
        columns = {"flight_id": updates.flight_id, "dep_delay": updates.dep_delay, "arr_delay": updates.arr_delay}
        return pa.table(columns), updates.renamed

    def update(self, batch: tuple[pa.Table, tuple[str, str] | None]) -> None:
        rows, renamed = batch
        self._connection.register("batch", rows)
        self._connection.execute("begin")
        self._connection.execute(_UPDATE)
        if renamed is not None:
            self._connection.execute("update airlines set name = ? where carrier = ?", [renamed[1], renamed[0]])
        self._connection.execute("commit")
        self._connection.unregister("batch")
        answer: pa.Table = self._connection.execute(_JOINED).to_arrow_table()
        self.observed += answer.num_rows

    def totals(self) -> Totals:
        rows = f"from ({_JOINED})"
        counted = self._connection.execute(f"select airline, count(*) {rows} group by airline").fetchall()
        whole = self._connection.execute(f"select count(*), sum(dep_delay) {rows}").fetchone()
        assert whole is not None
        return int(whole[0]), int(whole[1]), {airline: int(count) for airline, count in counted}
