"""What no server may do: a client does not believe it."""

from typing import Any

from tests.vectors.scene import asks, away, commit, insert, item, scene, update, windowed
from tests.vectors.vector import Vector

ROWS = [item(id, qty=10 * id) for id in range(6)]
BY_QTY = asks(sort=["qty"])
FIRST, SECOND, THIRD = (commit(update({"id": 1, "name": name})) for name in ("first", "second", "third"))


def _broken(how: str, about: str, **parts: Any) -> Vector:
    return scene(
        f"broken_{how}", about, FIRST, away(how, SECOND), THIRD, shows="not believed", rows=ROWS, query=BY_QTY, **parts
    )


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
    _broken("unknown_event", "An event that the client does not know: it cannot know what it means for its rows."),
    _broken("disorder", "The end of a snapshot where none was begun."),
    _broken("back", "A version that goes back."),
    _broken("malformed", "A column with more values than rows."),
    _broken("strange", "An update of a row that is not there."),
    _broken(
        "wrong_digest",
        "The digest is not that of the rows: one of both is wrong.",
        watch=windowed(0, None, include_digest=True),
    ),
)
