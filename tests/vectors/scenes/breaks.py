"""What no server may do: a client does not believe it."""

from typing import Any

from tests.vectors.damage import DAMAGES, RESUMES
from tests.vectors.scene import asks, away, commit, delete, edit, insert, item, scene, update, windowed
from tests.vectors.vector import Vector

ROWS = [item(id, qty=10 * id) for id in range(6)]
BY_QTY = asks(sort=["qty"])
FIRST, SECOND, THIRD = (commit(update({"id": 1, "name": name})) for name in ("first", "second", "third"))


EVERYTHING = commit(delete(4), update({"id": 0, "qty": 35}), insert(item(20, qty=25)))
"""Leads to a change with removes, updates, moves and inserts."""
FULL = (
    "place_beyond", "place_twice", "place_missing", "remove_absent", "remove_twice", "move_absent", "move_removed",
    "update_removed", "insert_present", "insert_incomplete", "keyless", "row_count", "bitmap", "bad_code",
    "unknown_column", "wrong_type",
)  # fmt: skip
EDITS = ("edit_alone", "edit_key", "edit_incomplete")


def _broken(how: str, step: Any = SECOND, **parts: Any) -> Vector:
    about = DAMAGES[how].about
    given = {"query": BY_QTY, **parts}
    return scene(f"broken_{how}", about, FIRST, away(how, step), THIRD, shows="not believed", rows=ROWS, **given)


def _edited(how: str) -> Vector:
    step = edit(f"broken_{how}", asks(columns=["qty", "name", "price"]), "query")
    return _broken(how, step, query=asks(columns=["qty", "name"]))


SCENES = (
    scene(
        "gap",
        "A message is missing: the client sees it by from_version, and asks again from where it was.",
        FIRST,
        away("lose", SECOND, commit(insert(item(20)))),
        THIRD,
        shows="gap, resumed",
        rows=ROWS,
        query=BY_QTY,
    ),
    _broken("unknown_event"),
    _broken("disorder"),
    _broken("back"),
    _broken("malformed"),
    _broken("strange"),
    _broken("wrong_digest", watch=windowed(0, None, include_digest=True)),
    *(_broken(how, EVERYTHING) for how in FULL),
    *map(_edited, EDITS),
    *(
        scene(
            f"broken_{how}", damage.about, FIRST, away(how, SECOND), THIRD,
            shows="resumed, not believed", rows=ROWS, query=BY_QTY,
        )
        for how, damage in RESUMES.items()
    ),
)  # fmt: skip
