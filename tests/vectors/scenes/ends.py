"""How a watch ends for good."""

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tests.vectors.scene import (
    DELETE_SESSION,
    REMOVE_SESSION,
    alter,
    asks,
    away,
    commit,
    drop_table,
    ends,
    groups,
    insert,
    item,
    scene,
)

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
    scene(
        "end_sum_overflow",
        "The sum of a group leaves the range of its type.",
        commit(insert(item(9, "a", qty=HUGE))),
        ends(commit(insert(item(10, "a", qty=HUGE)))),
        shows="error, INT64_OVERFLOW",
        rows=[item(1, "a")],
        query=asks(group=groups("name", total="sum qty")),
    ),
    scene(
        "end_table_altered",
        "A column goes that the session asks for.",
        commit(insert(item(9))),
        ends(alter(pb.Alteration(drop_column=pb.DropColumn(column="qty")))),
        shows="error, TABLE_ALTERED",
        rows=ROWS,
        query=asks(sort=["qty"]),
    ),
    scene(
        "end_gone",
        "What is watched was deleted meanwhile: coming back is of no use.",
        commit(insert(item(9))),
        away("gone", REMOVE_SESSION),
        shows="error, UNKNOWN_SESSION",
        rows=ROWS,
    ),
)
