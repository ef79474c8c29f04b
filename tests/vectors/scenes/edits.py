"""Edits of a session while it is watched."""

from tests.vectors.scene import asks, away, commit, edit, groups, insert, item, scene, update, windowed

ROWS = [item(id, f"name {id % 3}", qty=10 * id) for id in range(8)]

SCENES = (
    scene(
        "edit_filter",
        "Another filter: the difference, and no snapshot.",
        edit("edit_filter", asks("qty >= 30"), "query"),
        commit(insert(item(20, qty=5), item(21, qty=50))),
        shows="SessionChanged",
        rows=ROWS,
        query=asks("qty < 50"),
    ),
    scene(
        "edit_sort",
        "Another order: the fewest moves.",
        edit("edit_sort", asks(sort=["-qty"]), "query"),
        commit(insert(item(20, qty=35))),
        shows="SessionChanged, moves",
        rows=ROWS,
        query=asks(sort=["qty"]),
    ),
    scene(
        "edit_columns_more",
        "More columns: each row that stays has them in an update.",
        edit("edit_columns_more", asks(columns=["qty", "name", "price"]), "query"),
        commit(update({"id": 2, "price": 9.0})),
        shows="SessionChanged, columns",
        rows=ROWS,
        query=asks(columns=["name"]),
    ),
    scene(
        "edit_columns_fewer",
        "Fewer columns, in another order.",
        edit("edit_columns_fewer", asks(columns=["price", "id"]), "query"),
        commit(update({"id": 2, "price": 9.0})),
        shows="SessionChanged, columns",
        rows=ROWS,
        query=asks(columns=["name", "price", "qty"]),
    ),
    scene(
        "edit_nothing",
        "An edit that changes no row.",
        edit("edit_nothing", asks("qty >= -5"), "query"),
        commit(update({"id": 2, "price": 9.0})),
        shows="SessionChanged",
        rows=ROWS,
        query=asks("qty >= 0"),
    ),
    scene(
        "edit_key",
        "Rows are named by other columns: Reset and a snapshot.",
        edit("edit_key", asks(group=groups("name", n="count")), "query"),
        commit(insert(item(20, "name 9"))),
        shows="Reset, DEFINITION_CHANGED",
        rows=ROWS,
    ),
    scene(
        "edit_window",
        "In a window.",
        edit("edit_window", asks("qty >= 20", ["-qty"]), "query"),
        shows="SessionChanged, window",
        rows=ROWS,
        query=asks(sort=["qty"]),
        watch=windowed(1, 3),
    ),
    scene(
        "edit_while_away",
        "The session was edited meanwhile: the token is of another definition.",
        away("disconnect", edit("edit_while_away", asks("qty >= 30"), "query")),
        commit(insert(item(20, qty=50))),
        shows="Reset, DEFINITION_CHANGED",
        rows=ROWS,
        query=asks("qty < 50"),
    ),
)
