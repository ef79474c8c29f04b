"""Polars in join3: frames, updated by a join of their own; the whole question is asked anew after each batch."""

from __future__ import annotations

from typing import Any, cast

import polars as pl

from benchmarks.flights import FlightUpdates
from benchmarks.joined import Joins, Totals


class PolarsJoined(Joins):
    """polars."""

    name = "polars"

    def __init__(self, cores: int, tables: dict[str, Any]) -> None:
        super().__init__(cores, tables)  # polars starts as many threads as the process may use cores
        self._frames = {name: cast(pl.DataFrame, pl.from_arrow(table)) for name, table in tables.items()}

    def prepare(self, updates: FlightUpdates) -> tuple[pl.DataFrame, pl.DataFrame | None]:
        columns = {"flight_id": updates.flight_id, "dep_delay": updates.dep_delay, "arr_delay": updates.arr_delay}
        renamed = None
        if updates.renamed is not None:
            renamed = pl.DataFrame({"carrier": [updates.renamed[0]], "name": [updates.renamed[1]]})
        return pl.DataFrame(columns), renamed

    def update(self, batch: tuple[pl.DataFrame, pl.DataFrame | None]) -> None:
        rows, renamed = batch
        self._frames["flights"] = self._frames["flights"].update(rows, on="flight_id")
        if renamed is not None:
            self._frames["airlines"] = self._frames["airlines"].update(renamed, on="carrier")
        self.observed += self._joined().height

    def totals(self) -> Totals:
        rows = self._joined()
        counted = rows.group_by("airline").len().iter_rows()
        return rows.height, int(rows["dep_delay"].sum()), dict(counted)

    def _joined(self) -> pl.DataFrame:
        frames = self._frames
        airlines = frames["airlines"].lazy().rename({"name": "airline"})
        planes = frames["planes"].lazy().rename({"year": "built"})
        airports = frames["airports"].lazy().select(pl.col("faa").alias("dest"), pl.col("name").alias("destination"))
        joined = frames["flights"].lazy().join(airlines, on="carrier").join(planes, on="tailnum", how="left")
        return joined.join(airports, on="dest", how="left").collect()
