"""What a read returns: the rows, as a sequence of dicts, and everything that is known about them.

`Rows` behaves as the list of its dicts (index it, iterate, compare it with a list), and makes them the first time that
they are looked at. `to_arrow`, `to_pandas`, `to_polars` and `to_numpy` go straight from the columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np

from .batch import Block, Types
from .frames import arrow_table
from .vector import Array

Row = dict[str, Any]


class Rows(Sequence[Row]):
    """Rows of one result at one version."""

    def __init__(
        self,
        blocks: Iterable[Block],
        types: Types,
        *,
        total_count: int,
        version: int,
        row_versions: Sequence[int] = (),
        dicts: list[Row] | None = None,
    ) -> None:
        self.blocks = tuple(blocks)
        self.types = dict(types)
        """Column name to type, in the order of the result."""
        self.total_count = total_count
        """The number of rows of the whole result, of which these may be a part."""
        self.version = version
        """The version at which these rows are the result."""
        self.row_versions = tuple(row_versions)
        """For reads by key: the version of the last commit that wrote each row."""
        self._length = sum(len(block) for block in self.blocks)
        self._dicts = dicts

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self.types)

    def to_list(self) -> list[Row]:
        """A list of dicts, for whoever insists on a list (`json.dumps` does)."""
        if self._dicts is None:
            self._dicts = [row for block in self.blocks for row in self._ordered(block).to_dicts()]
        return list(self._dicts)

    def to_arrow(self) -> Any:
        """A pyarrow.Table. JSON columns are texts."""
        return arrow_table(self.blocks, self.types)

    def to_pandas(self) -> Any:
        """A pandas DataFrame, made from the Arrow table."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> Any:
        """A polars DataFrame, made from the Arrow table."""
        import polars

        return polars.from_arrow(self.to_arrow())

    def to_numpy(self) -> dict[str, Array]:
        """One array a column: datetime64[us] for timestamps, objects for texts; masked where there are nulls."""
        return {name: self._joined(name) for name in self.types}

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if self._dicts is None:
            self.to_list()
        assert self._dicts is not None
        return self._dicts[index]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.to_list())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Rows):
            other = other.to_list()
        return self.to_list() == other if isinstance(other, list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have none either

    def __repr__(self) -> str:
        return repr(self.to_list())

    def _ordered(self, block: Block) -> Block:
        return Block(len(block), {name: block.columns[name] for name in self.types if name in block.columns})

    def _joined(self, name: str) -> Array:
        arrays = [block.columns[name].to_numpy() for block in self.blocks]
        if any(isinstance(array, np.ma.MaskedArray) for array in arrays):
            joined: Array = np.ma.concatenate(arrays)  # type: ignore[no-untyped-call]
            return joined
        return np.concatenate(arrays) if arrays else np.empty(0, object)
