"""Edits of a session while it is watched."""

from google.protobuf import field_mask_pb2

from tesseract_grpc._proto.tesseract.v1 import schema_pb2, value_pb2
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tests.vectors.scene import (
    alter,
    asks,
    away,
    commit,
    edit,
    groups,
    insert,
    item,
    items,
    scene,
    swap,
    update,
    windowed,
)

ROWS = [item(id, f"name {id % 3}", qty=10 * id) for id in range(8)]

NOTE = schema_pb2.Column(name="note", type=value_pb2.DATA_TYPE_STRING)

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
    scene(
        "alter_columns",
        "The table is altered: a column comes, one goes, one has another name; all in one commit.",
        alter(
            pb.Alteration(add_column=pb.AddColumn(column=NOTE, backfill="name + '!'", after="name")),
            pb.Alteration(drop_column=pb.DropColumn(column="doc")),
            pb.Alteration(rename_column=pb.RenameColumn(column="price", new_name="prix")),
        ),
        commit(update({"id": 2, "note": None}, types={"id": "int64", "note": "string"})),
        shows="SessionChanged, AlterTable",
        rows=ROWS,
        query=asks(sort=["-qty"]),
    ),
    scene(
        "alter_type",
        "The table is altered: numbers become texts.",
        alter(
            pb.Alteration(
                change_column=pb.ChangeColumn(
                    column="qty",
                    definition=schema_pb2.Column(type=value_pb2.DATA_TYPE_STRING),
                    update_mask=field_mask_pb2.FieldMask(paths=["type"]),
                )
            )
        ),
        shows="SessionChanged, AlterTable, columns",
        rows=ROWS,
        query=asks(sort=["-qty"]),
        watch=windowed(0, 4),
    ),
    scene(
        "alter_key",
        "The table is altered: its rows are named by other columns.",
        alter(pb.Alteration(set_key=pb.SetKey(columns=["qty", "id"]))),
        commit(insert(item(20, qty=45))),
        shows="Reset, TABLE_CHANGED, AlterTable",
        rows=ROWS,
        query=asks(sort=["-qty"]),
    ),
    scene(
        "alter_while_away",
        "The table was altered meanwhile.",
        away("disconnect", alter(pb.Alteration(drop_column=pb.DropColumn(column="doc")))),
        commit(insert({name: value for name, value in item(20).items() if name != "doc"})),
        shows="Reset, AlterTable",
        rows=ROWS,
    ),
    scene(
        "swap",
        "Two tables were exchanged: the session reads the other one.",
        swap("items", "others"),
        commit(insert(item(21, qty=70))),
        shows="SwapTables",
        setup=[
            items(),
            items("others"),
            commit(insert(*ROWS)),
            commit(insert(item(2, "second", qty=1), item(9, "ninth", qty=2), table="others")),
        ],
        query=asks(sort=["-qty"]),
    ),
)
