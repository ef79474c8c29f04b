"""What a watch delivers: snapshots and net changes as the bodies of events, in pieces.

A change that fits one message is one message. A larger one is cut by rows; each piece says `total_count`, and a reader
joins all pieces before it applies them, so the order of the pieces carries no meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.live.changes import Changes, Inserts, Moves, Removes, Updates
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.encode import encode_batch
from tesseract_grpc.server.codec.pieces import row_pieces

_SMALL_ROWS = 512
"""Changes of up to this many rows are tried as one message first."""


def snapshot_bodies(rows: Batch, target: int) -> Iterator[bytes]:
    """The SnapshotRows of a snapshot. Lazy: one piece is encoded for each step."""
    for start, piece in row_pieces(rows, target):
        yield twin.change.SnapshotRows(rows=piece, start_index=start).SerializeToString()


def change_bodies(changes: Changes, target: int) -> Iterator[bytes]:
    """The Changes messages of a change, at least one. Lazy."""
    if _row_count(changes) <= _SMALL_ROWS:
        body = _whole(changes).SerializeToString()
        if len(body) <= target:
            yield body
            return
    for message in _cut(changes, target):
        message.total_count = changes.total_count
        yield message.SerializeToString()


def _row_count(changes: Changes) -> int:
    return (
        sum(len(removes.keys) for removes in changes.removes)
        + sum(len(updates.rows) for updates in changes.updates)
        + (len(changes.moves.keys) if changes.moves is not None else 0)
        + (len(changes.inserts.rows) if changes.inserts is not None else 0)
    )


def _whole(changes: Changes) -> twin.change.Changes:
    message = twin.change.Changes(total_count=changes.total_count)
    for removes in changes.removes:
        _put_removes(message, removes, encode_batch(removes.keys), removes.old_rows)
    for updates in changes.updates:
        _put_updates(message, encode_batch(updates.rows), updates.old_values)
    if changes.moves is not None:
        _put_moves(message, changes.moves, encode_batch(changes.moves.keys), 0)
    if changes.inserts is not None:
        _put_inserts(message, changes.inserts, encode_batch(changes.inserts.rows), 0)
    return message


def _cut(changes: Changes, target: int) -> Iterator[twin.change.Changes]:
    for removes in changes.removes:
        yield from _cut_removes(removes, target)
    for updates in changes.updates:
        yield from _cut_updates(updates, target)
    if changes.moves is not None:
        for start, piece in row_pieces(changes.moves.keys, target):
            message = twin.change.Changes()
            _put_moves(message, changes.moves, piece, start)
            yield message
    if changes.inserts is not None:
        for start, piece in row_pieces(changes.inserts.rows, target):
            message = twin.change.Changes()
            _put_inserts(message, changes.inserts, piece, start)
            yield message


def _cut_removes(removes: Removes, target: int) -> Iterator[twin.change.Changes]:
    # With old rows two batches share a message: cut by the larger one, and halve the target so that both fit.
    measure = removes.keys if removes.old_rows is None else removes.old_rows
    for start, piece in row_pieces(measure, target if removes.old_rows is None else target // 2):
        message = twin.change.Changes()
        stop = start + piece.row_count
        if removes.old_rows is None:
            _put_removes(message, removes, piece, None)
        else:
            keys = encode_batch(removes.keys.slice(start, stop))
            _put_removes(message, removes, keys, removes.old_rows.slice(start, stop))
        yield message


def _cut_updates(updates: Updates, target: int) -> Iterator[twin.change.Changes]:
    old = updates.old_values
    for start, piece in row_pieces(updates.rows, target if old is None else target // 2):
        message = twin.change.Changes()
        _put_updates(message, piece, None if old is None else old.slice(start, start + piece.row_count))
        yield message


def _put_removes(message: twin.change.Changes, removes: Removes, keys: twin.value.RowBatch, old: Batch | None) -> None:
    part = message.removes.add()
    part.reason = cast("twin.change.RemoveReason.ValueType", int(removes.reason))
    part.keys.CopyFrom(keys)
    if old is not None:
        part.old_rows.CopyFrom(encode_batch(old))


def _put_updates(message: twin.change.Changes, rows: twin.value.RowBatch, old: Batch | None) -> None:
    part = message.updates.add()
    part.rows.CopyFrom(rows)
    if old is not None:
        part.old_values.CopyFrom(encode_batch(old))


def _put_moves(message: twin.change.Changes, moves: Moves, keys: twin.value.RowBatch, start: int) -> None:
    message.moves.keys.CopyFrom(keys)
    message.moves.indexes.extend(moves.indexes[start : start + keys.row_count].tolist())


def _put_inserts(message: twin.change.Changes, inserts: Inserts, rows: twin.value.RowBatch, start: int) -> None:
    message.inserts.rows.CopyFrom(rows)
    if inserts.indexes is not None:
        message.inserts.indexes.extend(inserts.indexes[start : start + rows.row_count].tolist())
