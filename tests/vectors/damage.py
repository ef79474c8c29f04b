"""What no server may say: a message of a real one, with one thing wrong in it.

A damage has the reason for which a client must give up the stream, and the number of the message that it is done to,
counted from the first that the damaged step leads to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ABSENT = 999
"""A key that no row has."""


@dataclass(frozen=True)
class Damage:
    """One thing wrong."""

    reason: str
    about: str
    do: Callable[[Any], None]
    at: int = 0


def _column(batch: Any, name: str) -> Any:
    return next(column for column in batch.columns if column.name == name)


def _ids(batch: Any) -> Any:
    return _column(batch, "id").int64s.values


def _unknown(response: Any) -> None:
    response.ClearField("changes")


def _disorder(response: Any) -> None:
    response.ClearField("changes")
    response.snapshot_end.row_count = 1


def _back(response: Any) -> None:
    response.to_version = response.from_version - 1


def _malformed(response: Any) -> None:
    (column, *_) = response.changes.updates[0].rows.columns
    column.int64s.values.append(7)


def _strange(response: Any) -> None:
    _ids(response.changes.updates[0].rows)[0] = ABSENT


def _wrong_digest(response: Any) -> None:
    assert response.progress.digest
    response.progress.digest = bytes(32)


def _place_beyond(response: Any) -> None:
    response.changes.inserts.indexes[0] = 99


def _place_twice(response: Any) -> None:
    response.changes.inserts.indexes[0] = response.changes.moves.indexes[0]


def _place_missing(response: Any) -> None:
    response.changes.inserts.indexes.pop()


def _remove_absent(response: Any) -> None:
    _ids(response.changes.removes[0].keys)[0] = ABSENT


def _remove_twice(response: Any) -> None:
    removes = response.changes.removes
    removes.add().CopyFrom(removes[0])


def _move_absent(response: Any) -> None:
    _ids(response.changes.moves.keys)[0] = ABSENT


def _move_removed(response: Any) -> None:
    _ids(response.changes.moves.keys)[0] = _ids(response.changes.removes[0].keys)[0]


def _update_removed(response: Any) -> None:
    _ids(response.changes.updates[0].rows)[0] = _ids(response.changes.removes[0].keys)[0]


def _insert_present(response: Any) -> None:
    _ids(response.changes.inserts.rows)[0] = 1


def _insert_incomplete(response: Any) -> None:
    columns = response.changes.inserts.rows.columns
    columns.remove(_column(response.changes.inserts.rows, "price"))


def _keyless(response: Any) -> None:
    rows = response.changes.updates[0].rows
    rows.columns.remove(_column(rows, "id"))


def _row_count(response: Any) -> None:
    response.changes.updates[0].rows.row_count = 5


def _short_bitmap(response: Any) -> None:
    _column(response.changes.inserts.rows, "name").validity = b"\xff\xff\xff"


def _bad_code(response: Any) -> None:
    column = _column(response.changes.inserts.rows, "name")
    column.dictionary.dictionary.append("one")
    column.dictionary.codes.append(7)


def _unknown_column(response: Any) -> None:
    _column(response.changes.updates[0].rows, "qty").name = "nobody"


def _wrong_type(response: Any) -> None:
    column = _column(response.changes.updates[0].rows, "qty")
    column.strings.values.append("many")


def _edit_alone(response: Any) -> None:
    response.continued = False


def _edit_key(response: Any) -> None:
    for column in response.session_changed.columns:
        column.primary_key = column.name == "qty"


def _edit_incomplete(response: Any) -> None:
    response.changes.ClearField("updates")


DAMAGES: dict[str, Damage] = {
    "unknown_event": Damage(
        "unknown_event", "An event that the client does not know: it cannot know what it means for its rows.", _unknown
    ),
    "disorder": Damage("disorder", "The end of a snapshot where none was begun.", _disorder),
    "back": Damage("disorder", "A version that goes back.", _back),
    "malformed": Damage("malformed", "A column with more values than rows.", _malformed),
    "strange": Damage("malformed", "An update of a row that is not there.", _strange),
    "wrong_digest": Damage("digest", "The digest is not that of the rows: one of both is wrong.", _wrong_digest),
    "place_beyond": Damage("malformed", "A row at a position outside the window.", _place_beyond),
    "place_twice": Damage("malformed", "Two rows at one position.", _place_twice),
    "place_missing": Damage("malformed", "Fewer positions than rows.", _place_missing),
    "remove_absent": Damage("malformed", "A remove of a row that is not there.", _remove_absent),
    "remove_twice": Damage("malformed", "A row that is removed twice in one change.", _remove_twice),
    "move_absent": Damage("malformed", "A move of a row that is not there.", _move_absent),
    "move_removed": Damage("malformed", "A row that leaves and moves in one change.", _move_removed),
    "update_removed": Damage("malformed", "A row that leaves and is updated in one change.", _update_removed),
    "insert_present": Damage("malformed", "A row comes that is there already.", _insert_present),
    "insert_incomplete": Damage("malformed", "A row comes without one of its columns.", _insert_incomplete),
    "keyless": Damage("malformed", "Updates that do not say of which rows.", _keyless),
    "row_count": Damage("malformed", "Fewer values than rows.", _row_count),
    "bitmap": Damage("malformed", "A validity bitmap of the wrong size.", _short_bitmap),
    "bad_code": Damage("malformed", "A code outside its dictionary.", _bad_code),
    "unknown_column": Damage("malformed", "A value of a column that there is not.", _unknown_column),
    "wrong_type": Damage("malformed", "Texts in a column of numbers.", _wrong_type),
    "edit_alone": Damage("disorder", "Other columns, and no change that follows.", _edit_alone),
    "edit_key": Damage("definition_changed", "Other columns that name the rows, without a Reset.", _edit_key),
    "edit_incomplete": Damage(
        "malformed", "Other columns, and a change that does not have them for the rows that stay.", _edit_incomplete, 1
    ),
}
"""By their names."""


def _another_version(response: Any) -> None:
    response.from_version += 1
    response.to_version += 1


def _another_epoch(response: Any) -> None:
    response.begin.epoch = "epoch-2"


def _other_columns(response: Any) -> None:
    columns = response.begin.columns
    columns.remove(next(column for column in columns if column.name == "price"))


def _unasked(response: Any) -> None:
    response.begin.resumed = True


RESUMES: dict[str, Damage] = {
    "resumed_elsewhere": Damage("disorder", "Resumed, but at another version than the token.", _another_version),
    "resumed_epoch": Damage("disorder", "Resumed, but in another epoch.", _another_epoch),
    "resumed_columns": Damage("disorder", "Resumed, but with other columns.", _other_columns),
    "resumed_unasked": Damage("disorder", "Resumed, although there was no token.", _unasked),
}
"""Things wrong with the Begin of a stream that is resumed."""
