"""How a watch ends for good."""

from tests.vectors.scene import DELETE_SESSION, commit, drop_table, insert, item, scene

ROWS = [item(id, qty=10 * id) for id in range(3)]
HUGE = 2**62

SCENES = (
    scene(
        "end_session_deleted",
        "The session is deleted.",
        commit(insert(item(9))),
        DELETE_SESSION,
        shows="error, SESSION_DELETED",
        rows=ROWS,
    ),
    scene(
        "end_table_deleted",
        "The table is deleted.",
        commit(insert(item(9))),
        drop_table(),
        shows="error, TABLE_DELETED",
        rows=ROWS,
    ),
)
