"""Texts that no row has any more are dropped from dictionaries, between commits.

Whoever holds codes is asked for them: columns (all their slots: those of removed rows are emptied when history has
forgotten them), the before-images of histories, groups and join keys, literals of queries. What nobody holds is let go,
and its code is given to another text later (`data/dictionary.py`). So no code that anybody has changes its meaning, and
nothing has to be translated. Codes are no part of what a hub keeps, so it does not matter when this is done.

Looking costs a pass over the slots of the columns of a dictionary, and is done when half as many rows have been
written, or texts have come, as it has texts. Dropping is done in slices of `BUDGET` texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.extended_table import ExtendedTable, root
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.vector import BoolArray
from tesseract_grpc.engine.live.source import Source

BUDGET = 4_096
"""Texts that are dropped at once: a few milliseconds."""
LABELLED = 8
"""A text that has an order label takes the time of so many others."""
SMALLEST = 1_024
"""Dictionaries with fewer texts are not looked at by themselves."""

_Owners = dict[Dictionary, list[tuple[Source, set[int]]]]


class TextSweep:
    """Drops texts from the dictionaries of a hub."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources
        self._seen: WeakKeyDictionary[Dictionary, tuple[int, int]] = WeakKeyDictionary()
        """When it was swept last, how many rows had been written to what has the dictionary, and its texts."""
        self.dropped = 0
        """Texts that were dropped."""

    def run(self, name: str | None = None, budget: int = BUDGET) -> int:
        """Drops texts where it is worth it; with a name, from the dictionaries of that table in any case.

        Returns how many. O(columns) where nothing is to be done, else O(slots + history) of one dictionary after the
        other, until the budget is used up.
        """
        owners = self._owners()
        wanted = owners.keys() if name is None else self._of_table(name)
        left, before = budget, self.dropped
        for dictionary in wanted:
            churn = sum(source.table.changelog.recorded for source, _ in owners.get(dictionary, ()))
            if name is None and not self._worth(dictionary, churn):
                continue
            for source, positions in owners.get(dictionary, ()):
                _empty_free_slots(source, positions)
            found = self._unheld(dictionary, owners.get(dictionary, []))
            share = left if not dictionary.labelled else -(-left // LABELLED)
            gone = found[:share]
            dictionary.let_go(gone)
            self.dropped += len(gone)
            if len(gone) == len(found):
                self._seen[dictionary] = churn, dictionary.count
            left -= len(gone) if not dictionary.labelled else LABELLED * len(gone)
            if left <= 0:
                break
        return self.dropped - before

    def _worth(self, dictionary: Dictionary, churn: int) -> bool:
        count, (churned, counted) = dictionary.count, self._seen.get(dictionary, (0, 0))
        return count >= SMALLEST and churn - churned + count - counted >= max(SMALLEST, count // 2)

    def _owners(self) -> _Owners:
        """Who has columns with each dictionary, and which."""
        found: _Owners = {}
        for source in self._all():
            for position, column in enumerate(source.table.columns):
                dictionary = column.dictionary
                if dictionary is None or dictionary.fixed:
                    continue
                parts = found.setdefault(dictionary, [])
                if not parts or parts[-1][0] is not source:
                    parts.append((source, set()))
                parts[-1][1].add(position)
        return found

    def _of_table(self, name: str) -> list[Dictionary]:
        columns = self._sources[name].table.columns
        return [c.dictionary for c in columns if c.dictionary is not None and not c.dictionary.fixed]

    def _all(self) -> Iterator[Source]:
        for source in tuple(self._sources.values()):
            yield from _with_derived(source)

    def _unheld(self, dictionary: Dictionary, owners: list[tuple[Source, set[int]]]) -> NDArray[np.int32]:
        histories = _Histories(owners)
        dictionary.holders.add(histories)
        return dictionary.unheld()


class _Histories:
    """The before-images of relations and of the results over them."""

    def __init__(self, owners: list[tuple[Source, set[int]]]) -> None:
        self._owners = owners

    def mark_codes(self, dictionary: Dictionary, used: BoolArray) -> None:
        """Marks the codes that history tells of."""
        for source, positions in self._owners:
            source.table.changelog.mark_codes(positions, used)
            for result in source.results.values():
                result.history.mark_codes(positions, used)


def _with_derived(source: Source) -> Iterator[Source]:
    yield source
    for node in tuple(source.nodes.values()):
        yield from _with_derived(node.source)


def _empty_free_slots(source: Source, positions: set[int]) -> None:
    """Columns that share slots hold what they held when the slots are free below."""
    table, below = source.table, root(source.table)
    if not isinstance(table, ExtendedTable) or not isinstance(below, Table):
        return
    free = below.free[below.free < len(table.alive)]
    first = len(table.base.columns)
    for position in positions:
        if position >= first:
            table.columns[position].values[free] = 0
