"""A mirror: what a client holds after the events it was given, applied exactly as `change.proto` says.

`Mirror` keeps the rows of one watch and takes one response at a time; `fold` is the pure form, from a whole stream to
its last mirror. Both read the contract literally and refuse whatever it does not allow (`MirrorError`): a remove of a
row that is not there, a position outside the window, a change before the snapshot ended. They are written to be
obviously right rather than fast; the client has its own, and the tests compare the two.

A table watch without a snapshot has no rows to hold. Its mirror is `anchored = False` and only counts versions.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from tesseract_grpc._proto.tesseract.v1 import change_pb2, schema_pb2, session_service_pb2, table_service_pb2, value_pb2
from tesseract_grpc.testing.rows import Key, Row, key_of, rows_of

Response: TypeAlias = session_service_pb2.WatchSessionResponse | table_service_pb2.WatchTableResponse


class MirrorError(Exception):
    """A response that cannot be applied to the mirror as it stands."""


class Mirror:
    """The rows of one watch, in order. `rows`, `total_count` and `version` may be read whenever `consistent`."""

    def __init__(self) -> None:
        self.epoch = ""
        self.version = 0
        self.generation = 0
        self.rows: list[Row] = []
        self.total_count = 0
        self.key_names: tuple[str, ...] = ()
        self.column_names: tuple[str, ...] = ()
        self._types: dict[str, int] = {}
        self._edited = False
        self.anchored = False
        self.consistent = False
        self._incoming: list[Row] = []
        self._pieces: list[change_pb2.Changes] = []

    def apply(self, response: Response) -> bool:
        """Takes one response and returns whether the mirror is now at a consistent point."""
        event = response.WhichOneof("event")
        if event is None:
            raise MirrorError("a response without an event")
        if self._edited and event != "changes":
            raise MirrorError(f"{event} between session_changed or table_changed and its changes")
        if event == "begin":
            self._begin(response.begin)
        elif event == "snapshot_rows":
            self._snapshot_rows(response.snapshot_rows)
        elif event == "snapshot_end":
            self._snapshot_end(response.snapshot_end)
        elif event == "changes":
            self._pieces.append(response.changes)
            if not response.continued:
                pieces, self._pieces = self._pieces, []
                self._change(pieces, response)
        elif event == "reset":
            self.rows, self.anchored, self._incoming, self._pieces = [], False, [], []
        elif event == "session_changed" and isinstance(response, session_service_pb2.WatchSessionResponse):
            edit = response.session_changed
            if edit.generation != response.generation or edit.generation <= self.generation:
                raise MirrorError(f"generation {edit.generation} after {self.generation}")
            self._edit(edit.columns, response)
        elif event == "table_changed" and isinstance(response, table_service_pb2.WatchTableResponse):
            self._edit(response.table_changed.columns, response)
        if self._pieces and event != "changes":
            raise MirrorError(f"{event} between two pieces of one change")
        if isinstance(response, session_service_pb2.WatchSessionResponse):
            self.generation = response.generation
        self.consistent = not response.continued and event not in ("begin", "reset") and not self._pieces
        if self.consistent:
            self.version = response.to_version
        return self.consistent

    @property
    def types(self) -> Mapping[str, int]:
        """The DataType of each column, in the order of the columns."""
        return self._types

    def by_key(self) -> dict[Key, Row]:
        """The rows by their keys."""
        return {key_of(row, self.key_names): row for row in self.rows}

    def _begin(self, begin: change_pb2.Begin) -> None:
        if begin.resumed and not self.anchored and (not self.epoch or self._incoming):
            raise MirrorError("resumed, but there is no mirror to go on with")
        if not begin.resumed:
            self.rows, self.anchored, self._incoming, self._pieces = [], False, [], []
        self.epoch = begin.epoch
        self._columns(begin.columns)

    def _columns(self, columns: Iterable[schema_pb2.Column]) -> None:
        columns = list(columns)
        keys = tuple(column.name for column in columns if column.primary_key)
        if not keys:
            raise MirrorError("no column is marked as key")
        self._types = {column.name: column.type for column in columns}
        self.column_names, self.key_names = tuple(self._types), keys

    def _edit(self, columns: Iterable[schema_pb2.Column], response: Response) -> None:
        """Other columns from here on: what stays of each row, which the changes that follow make whole again."""
        types, keys = self._types, self.key_names
        unheld = isinstance(response, table_service_pb2.WatchTableResponse) and not self._incoming
        if not response.continued or not (self.anchored or unheld):
            raise MirrorError("other columns are no consistent point, and come after the snapshot")
        self._columns(columns)
        if set(self.key_names) != set(keys) or any(self._types[name] != types[name] for name in keys):
            raise MirrorError("an edit names rows by other columns")
        stays = [name for name in self.column_names if types.get(name) == self._types[name]]
        self.rows = [{name: row[name] for name in stays} for row in self.rows]
        self._edited = True

    def _snapshot_rows(self, piece: change_pb2.SnapshotRows) -> None:
        if piece.start_index != len(self._incoming):
            raise MirrorError(f"a piece starts at {piece.start_index}, after {len(self._incoming)} rows")
        self._incoming += [self._whole(row) for row in rows_of(piece.rows)]

    def _snapshot_end(self, end: change_pb2.SnapshotEnd) -> None:
        if end.row_count != len(self._incoming):
            raise MirrorError(f"the snapshot says {end.row_count} rows and had {len(self._incoming)}")
        self.rows, self._incoming, self.anchored = self._incoming, [], True
        self.total_count = end.total_count
        if len(self.by_key()) != len(self.rows):
            raise MirrorError("a key twice in one snapshot")

    def _change(self, pieces: list[change_pb2.Changes], response: Response) -> None:
        """Applies the joined pieces of one change, in the order of the proto."""
        if not self.anchored:
            if self._incoming or isinstance(response, session_service_pb2.WatchSessionResponse):
                raise MirrorError("a change before the end of the snapshot")
            self._edited = False
            return
        rows = self.by_key()
        for piece in pieces:
            for removes in piece.removes:
                for key in self._keys(removes.keys):
                    if rows.pop(key, None) is None:
                        raise MirrorError(f"remove of {key}, which is not there")
        for piece in pieces:
            for updates in piece.updates:
                for values in rows_of(updates.rows):
                    key = key_of(values, self.key_names)
                    if key not in rows:
                        raise MirrorError(f"update of {key}, which is not there")
                    if not values.keys() <= set(self.column_names):
                        raise MirrorError(f"update of {key} in columns that are not watched")
                    rows[key] = rows[key] | values
        placed = self._placed(pieces, rows)
        order = list(rows.values())
        for index in sorted(placed):
            if index > len(order):
                raise MirrorError(f"position {index} in a window of {len(order)} rows")
            order.insert(index, placed[index])
        self.rows = order + self._appended(pieces, rows)
        if self._edited:
            self.rows, self._edited = [self._whole(row) for row in self.rows], False
        self.total_count = pieces[-1].total_count

    def _placed(self, pieces: list[change_pb2.Changes], rows: dict[Key, Row]) -> dict[int, Row]:
        """Takes the moved rows out of `rows` and returns them and the inserted ones by their position."""
        placed: list[tuple[int, Row]] = []
        seen = set(rows)
        for piece in pieces:
            keys = self._keys(piece.moves.keys)
            for key, index in zip(keys, piece.moves.indexes, strict=True):
                if key not in rows:
                    raise MirrorError(f"move of {key}, which is not there")
                placed.append((index, rows.pop(key)))
        for piece in pieces:
            if not piece.inserts.indexes:
                continue
            for row, index in zip(rows_of(piece.inserts.rows), piece.inserts.indexes, strict=True):
                key = key_of(row, self.key_names)
                if key in seen:
                    raise MirrorError(f"insert of {key}, which is there already")
                seen.add(key)
                placed.append((index, self._whole(row)))
        if len({index for index, _ in placed}) != len(placed):
            raise MirrorError("two rows at one position")
        return dict(placed)

    def _appended(self, pieces: list[change_pb2.Changes], rows: dict[Key, Row]) -> list[Row]:
        """The inserted rows of a table watch, which have no positions."""
        added: dict[Key, Row] = {}
        for piece in pieces:
            if piece.inserts.indexes:
                continue
            for row in rows_of(piece.inserts.rows):
                key = key_of(row, self.key_names)
                if key in rows or key in added:
                    raise MirrorError(f"insert of {key}, which is there already")
                added[key] = self._whole(row)
        return list(added.values())

    def _keys(self, batch: value_pb2.RowBatch) -> list[Key]:
        return [key_of(row, self.key_names) for row in rows_of(batch)]

    def _whole(self, row: Row) -> Row:
        if row.keys() != set(self.column_names):
            raise MirrorError(f"a row has the columns {sorted(row)} and not {sorted(self.column_names)}")
        return {name: row[name] for name in self.column_names}


def fold(responses: Iterable[Response], start: Mirror | None = None) -> Mirror:
    """The mirror after all of `responses`, beginning from `start` (which stays as it is) or from nothing."""
    mirror = Mirror() if start is None else copy.deepcopy(start)
    for response in responses:
        mirror.apply(response)
    return mirror
