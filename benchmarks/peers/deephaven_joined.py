"""Deephaven in join3: two keyed input tables (flights, airlines), two static ones, natural joins and one listener."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.flights import FlightUpdates
from benchmarks.joined import Joins, Totals
from benchmarks.peers.deephaven import start_server


class DeephavenJoined(Joins):
    """deephaven-server. An update carries whole rows; airlines that are renamed are a commit of their own."""

    name = "deephaven"
    warm_ups = 20

    def __init__(self, cores: int, tables: dict[str, Any]) -> None:
        super().__init__(cores, tables)
        start_server(cores)
        from deephaven import input_table
        from deephaven.arrow import to_table
        from deephaven.table_listener import listen

        self._given = tables["flights"]
        self._flights = input_table(init_table=to_table(tables["flights"]), key_cols="flight_id")
        self._airlines = input_table(init_table=to_table(tables["airlines"]), key_cols="carrier")
        planes, airports = to_table(tables["planes"]), to_table(tables["airports"])
        self._joined = (
            self._flights.natural_join(self._airlines, on="carrier", joins="airline=name")
            .natural_join(planes, on="tailnum", joins=["manufacturer", "model", "built=year"])
            .natural_join(airports, on="dest=faa", joins="destination=name")
        )
        self._listener = listen(self._joined, self._on_update)

    def prepare(self, updates: FlightUpdates) -> tuple[Any, Any]:
        from deephaven.arrow import to_table

        rows = self._given.take(pa.array(updates.flight_id - 1))
        for name, values in (("dep_delay", updates.dep_delay), ("arr_delay", updates.arr_delay)):
            rows = rows.set_column(rows.schema.get_field_index(name), name, pa.array(values))
        if updates.renamed is None:
            return to_table(rows), None
        carrier, name = updates.renamed
        return to_table(rows), to_table(pa.table({"carrier": [carrier], "name": [name]}))

    def update(self, batch: tuple[Any, Any]) -> None:
        from deephaven.update_graph import shared_lock

        flights, airlines = batch
        self._flights.add(flights)
        if airlines is not None:
            self._airlines.add(airlines)
        with shared_lock(self._joined.update_graph):
            pass

    def totals(self) -> Totals:
        from deephaven.arrow import to_arrow

        rows = to_arrow(self._joined)
        counted = rows["airline"].combine_chunks().value_counts().to_pylist()
        delay = pc.sum(rows["dep_delay"]).as_py()
        return len(rows), int(delay), {each["values"]: each["counts"] for each in counted}

    def _on_update(self, update: Any, _is_replay: bool) -> None:
        for part in (update.added(), update.removed(), update.modified()):
            self.observed += len(part["flight_id"]) if part else 0
