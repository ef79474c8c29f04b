"""Results that are no rows of a table: groups, trees, joins, computed columns, time."""

from tesseract_grpc._proto.tesseract.v1 import query_pb2, session_service_pb2, value_pb2
from tests import wire
from tests.vectors.scene import (
    advance,
    asks,
    commit,
    delete,
    groups,
    insert,
    item,
    items,
    scene,
    table,
    update,
    windowed,
)

ROWS = [item(id, f"name {id % 3}", qty=10 * id) for id in range(8)]
START = 1_000_000_000
"""The hub's clock when a vector begins, in microseconds."""
RATES = {"grade": "string", "rate": "float64"}


def _rolled() -> query_pb2.Query:
    return asks(group=groups("grade", "name", mode="ROLLUP", total="sum qty", n="count"))


def _open(depth: int, *nodes: str) -> session_service_pb2.WatchSessionRequest:
    window = windowed(0)
    window.window.expansion.depth = depth
    for node in nodes:
        window.window.expansion.expanded.add(values=[value_pb2.Value(string_value=node)])
    return window


_JOINED = query_pb2.Query(
    table="items",
    columns=["name", "qty", "rate"],
    joins=[
        query_pb2.Join(
            source=query_pb2.Source(table="rates"),
            kind=query_pb2.JOIN_KIND_LEFT,
            on=[query_pb2.JoinKey(left="name", right="grade")],
        )
    ],
)
_WITH_RATES = [
    items(),
    table("rates", wire.columns(RATES, ["grade"])),
    commit(insert(*ROWS[:4]), insert({"grade": "name 0", "rate": 0.5}, table="rates", types=RATES)),
]

SCENES = (
    scene(
        "groups",
        "Groups come, change and go; their key is what they are grouped by.",
        commit(insert(item(20, "name 9"))),
        commit(update({"id": 20, "name": "name 1"})),
        commit(delete(0, 3, 6)),
        shows="groups",
        rows=ROWS,
        query=asks(group=groups("name", total="sum qty", n="count", mean="avg price")),
    ),
    scene(
        "groups_null",
        "Null is a group of its own.",
        commit(insert(item(21, None))),
        commit(delete(20)),
        commit(delete(21)),
        shows="groups, keys",
        rows=[*ROWS, item(20, None)],
        query=asks(group=groups("name", n="count")),
    ),
    scene(
        "groups_sorted",
        "Groups by their aggregates, in a window.",
        commit(update({"id": 1, "qty": 900})),
        commit(update({"id": 2, "qty": 950})),
        shows="groups, moves, window",
        rows=ROWS,
        query=asks(sort=["-total"], group=groups("name", total="sum qty")),
        watch=windowed(0, 2),
    ),
    scene(
        "tree_all_open",
        "A tree of groups with all nodes open: level 0 is the total.",
        commit(insert(item(20, "name 9"))),
        commit(delete(0, 3, 6)),
        shows="tree",
        rows=ROWS,
        query=_rolled(),
    ),
    scene(
        "tree_closed",
        "Only the first level shows; total_count counts what shows.",
        commit(insert(item(20, "name 9"))),
        commit(delete(1, 3, 5, 7)),
        shows="tree, total_count",
        rows=ROWS,
        query=_rolled(),
        watch=_open(1),
    ),
    scene(
        "tree_one_open",
        "One node of a closed level is open.",
        commit(insert(item(20, "name 9"), item(21, "name 8"))),
        shows="tree",
        rows=ROWS,
        query=_rolled(),
        watch=_open(1, "low"),
    ),
    scene(
        "joined",
        "A left join: what comes on the other side changes rows.",
        commit(insert({"grade": "name 1", "rate": 2.0}, table="rates", types=RATES)),
        commit(delete("name 0", table="rates", column="grade", types=RATES)),
        shows="join",
        setup=_WITH_RATES,
        query=_JOINED,
    ),
    scene(
        "computed",
        "A computed column.",
        commit(update({"id": 3, "qty": 1})),
        shows="computed",
        rows=ROWS,
        query=asks(
            "worth > 100",
            ["-worth"],
            ["name", "worth"],
            computed=[query_pb2.ComputedColumn(name="worth", expression="qty * price")],
        ),
    ),
    scene(
        "ranked",
        "A window column: a row that overtakes changes the numbers of others.",
        commit(update({"id": 1, "qty": 45})),
        shows="window columns, updates",
        rows=ROWS,
        query=asks(
            sort=["place"],
            columns=["qty", "place"],
            window_columns=[
                query_pb2.WindowColumn(
                    name="place",
                    function=query_pb2.WINDOW_FUNCTION_ROW_NUMBER,
                    order_by=[query_pb2.SortKey(column="qty", direction=query_pb2.SORT_DIRECTION_DESCENDING)],
                )
            ],
        ),
    ),
    scene(
        "expires",
        "Rows leave by themselves as time passes, with the reason EXPIRED.",
        advance(15.0),
        advance(20.0),
        shows="removes, EXPIRED",
        rows=[item(id, at=START - 10_000_000 * id) for id in range(5)],
        query=asks("at > now() - 30s"),
    ),
    scene(
        "pivoted",
        "Values of a column become columns.",
        commit(update({"id": 1, "qty": 77})),
        shows="pivot",
        rows=ROWS,
        query=asks(
            group=query_pb2.Grouping(
                by=["name"],
                aggregates=groups("name", total="sum qty").aggregates,
                split_by=query_pb2.Pivot(column="grade"),
            )
        ),
    ),
)
