"""Queries over relations, each beside what it is in SQL. `ROW` of a table is its place in the order of insertion."""

from __future__ import annotations

from dataclasses import dataclass

from tesseract_grpc.engine.query.computed import ComputedColumn, Lookup
from tesseract_grpc.engine.query.filter import AllOf, AnyOf, Compare, CompareOp, Custom, NullTest
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.source import (
    Join,
    JoinColumn,
    JoinKey,
    JoinKind,
    QuerySource,
    RowSource,
    SubSession,
    TableSource,
    Union,
)
from tesseract_grpc.engine.query.window_column import WindowColumn, WindowFunction

LEFT = JoinKind.LEFT


@dataclass(frozen=True)
class Asked:
    """A query, and the same in SQL: its columns in order."""

    query: Query
    sql: str


def on(*pairs: tuple[str, str]) -> tuple[JoinKey, ...]:
    """Pairs of columns that must be equal."""
    return tuple(JoinKey(left, right) for left, right in pairs)


def table(name: str, **parts: object) -> RowSource:
    """A table, or a query of one in its place."""
    return QuerySource(Query(name, **parts)) if parts else TableSource(name)  # type: ignore[arg-type]


def lookup(name: str, source: RowSource, pairs: tuple[JoinKey, ...], **value: str) -> ComputedColumn:
    """A column that is looked up."""
    return ComputedColumn(name, lookup=Lookup(source, pairs, **value))


AIRLINE = on(("carrier", "code"))
LATE = Compare("delay", CompareOp.GREATER, 0)
BY_CARRIER = Query(
    "flights", group=Grouping(("carrier",), (Aggregate("late", "sum", "delay"), Aggregate("n", "count")))
)
SUMS = "SELECT carrier, sum(delay)::BIGINT late, count(*) n FROM flights GROUP BY carrier"

QUERIES = {
    "lookup join, left": Asked(
        Query("flights", joins=(Join(TableSource("airlines"), AIRLINE, LEFT),)),
        "SELECT f.*, a.name FROM flights f LEFT JOIN airlines a ON carrier = code",
    ),
    "lookup join, inner, filtered": Asked(
        Query(
            "flights",
            AllOf((LATE, NullTest("name", negated=True))),
            joins=(Join(TableSource("airlines"), AIRLINE),),
            sort=(SortKey("name", descending=True), SortKey("delay")),
        ),
        "SELECT f.*, a.name FROM flights f JOIN airlines a ON carrier = code WHERE delay > 0 AND name IS NOT NULL",
    ),
    "three tables": Asked(
        Query(
            "flights",
            joins=(
                Join(TableSource("airlines"), AIRLINE, LEFT, prefix="a_"),
                Join(TableSource("planes"), on(("plane", "tail")), columns=(JoinColumn("maker"), JoinColumn("owner"))),
                Join(TableSource("airlines"), on(("owner", "code")), LEFT, (JoinColumn("name", "owned_by"),)),
            ),
            sort=(SortKey("maker"),),
        ),
        """SELECT f.*, a.name, maker, owner, o.name FROM flights f LEFT JOIN airlines a ON carrier = a.code
           JOIN planes ON plane = tail LEFT JOIN airlines o ON owner = o.code""",
    ),
    "many to many, inner": Asked(
        Query("flights", joins=(Join(TableSource("routes"), on(("carrier", "carrier"))),)),
        "SELECT f.*, stop, place FROM flights f JOIN routes r ON f.carrier = r.carrier",
    ),
    "many to many, left, filtered on both sides": Asked(
        Query(
            "flights",
            AllOf((LATE, AnyOf((Compare("r_place", CompareOp.EQUAL, "JFK"), NullTest("r_place"))))),
            joins=(Join(TableSource("routes"), on(("carrier", "carrier")), LEFT, prefix="r_"),),
        ),
        """SELECT f.*, stop, place FROM flights f LEFT JOIN routes r ON f.carrier = r.carrier
           WHERE delay > 0 AND (place = 'JFK' OR place IS NULL)""",
    ),
    "many to many, inner, filtered on the right": Asked(
        Query(
            "flights",
            AllOf((Compare("r_place", CompareOp.EQUAL, "JFK"), Compare("stop", CompareOp.LESS, 2), LATE)),
            joins=(
                Join(
                    TableSource("routes"),
                    on(("carrier", "carrier")),
                    columns=(JoinColumn("place"), JoinColumn("stop", "stop")),
                    prefix="r_",
                ),
            ),
        ),
        """SELECT f.*, place, stop FROM flights f JOIN routes r ON f.carrier = r.carrier
           WHERE delay > 0 AND place = 'JFK' AND stop < 2""",
    ),
    "doubles and texts": Asked(
        Query("flights", joins=(Join(TableSource("planes"), on(("ratio", "ratio"), ("carrier", "owner")), LEFT),)),
        "SELECT f.*, tail, maker FROM flights f LEFT JOIN planes p ON f.ratio = p.ratio AND f.carrier = p.owner",
    ),
    "itself by key": Asked(
        Query(
            "flights",
            joins=(Join(TableSource("flights"), on(("before", "id")), LEFT, (JoinColumn("delay"),), "before_"),),
        ),
        "SELECT f.*, b.delay FROM flights f LEFT JOIN flights b ON f.before = b.id",
    ),
    "itself by value": Asked(
        Query(
            "flights",
            Custom("delay != other_delay"),
            joins=(Join(TableSource("flights"), on(("carrier", "carrier")), prefix="other_"),),
            columns=("delay", "other_delay"),
        ),
        """SELECT f.id, o.id, f.delay, o.delay FROM flights f JOIN flights o ON f.carrier = o.carrier
           WHERE f.delay <> o.delay""",
    ),
    "joined with a filter": Asked(
        Query("flights", joins=(Join(table("flights", filter=LATE), on(("carrier", "carrier")), LEFT, prefix="l_"),)),
        """SELECT f.*, l.id, l.plane, l.delay, l.ratio, l.before FROM flights f
           LEFT JOIN (SELECT * FROM flights WHERE delay > 0) l ON f.carrier = l.carrier""",
    ),
    "joined with groups of itself": Asked(
        Query("flights", joins=(Join(QuerySource(BY_CARRIER), on(("carrier", "carrier")), LEFT),)),
        f"SELECT f.*, late, n FROM flights f LEFT JOIN ({SUMS}) g ON f.carrier = g.carrier",
    ),
    "joined with what has the same number": Asked(
        Query("flights", joins=(Join(QuerySource(BY_CARRIER), on(("plane", "n")), prefix="g_"),)),
        f"SELECT f.*, g.carrier, late FROM flights f JOIN ({SUMS}) g ON f.plane = g.n",
    ),
    "groups of a join": Asked(
        Query(
            "flights",
            joins=(Join(TableSource("routes"), on(("carrier", "carrier"))),),
            group=Grouping(("place",), (Aggregate("total", "sum", "delay"), Aggregate("rows", "count"))),
            having=AllOf((Compare("place", CompareOp.NOT_EQUAL, "LGA"), Compare("rows", CompareOp.GREATER, 1))),
        ),
        """SELECT place, sum(delay)::BIGINT, count(*) FROM flights f JOIN routes r ON f.carrier = r.carrier
           GROUP BY place HAVING place <> 'LGA' AND count(*) > 1""",
    ),
    "union": Asked(
        Query(
            source=Union((table("flights"), table("flights", filter=LATE), table("flights"))),
            filter=Compare("carrier", CompareOp.EQUAL, "UA"),
        ),
        """SELECT * FROM (SELECT 0 branch, * FROM flights UNION ALL SELECT 1, * FROM flights WHERE delay > 0
           UNION ALL SELECT 2, * FROM flights) WHERE carrier = 'UA'""",
    ),
    "union of two tables, grouped": Asked(
        Query(
            source=Union(
                (
                    table("flights", computed=(ComputedColumn("key", expression="id"),), columns=("carrier", "ratio")),
                    QuerySource(
                        Query(
                            source=QuerySource(
                                Query(
                                    "flights",
                                    joins=(Join(TableSource("planes"), on(("plane", "tail")), prefix="p_"),),
                                    computed=(ComputedColumn("key", expression="id"),),
                                    columns=("carrier", "ratio"),
                                )
                            )
                        )
                    ),
                )
            ),
            group=Grouping(("branch", "carrier"), (Aggregate("rows", "count"),)),
            having=Compare("branch", CompareOp.LESS, 2),
        ),
        """SELECT branch, carrier, count(*) FROM (SELECT 0 branch, carrier FROM flights
           UNION ALL SELECT 1, carrier FROM flights JOIN planes ON plane = tail) GROUP BY ALL""",
    ),
    "lookups": Asked(
        Query(
            "flights",
            computed=(
                lookup("airline", TableSource("airlines"), AIRLINE, column="name"),
                ComputedColumn("said", template="${airline}!"),
                lookup("shout", TableSource("airlines"), AIRLINE, expression="name.toUpperCase()"),
                lookup("tag", TableSource("airlines"), AIRLINE, template="<${code}>"),
                lookup("owned", TableSource("planes"), on(("plane", "tail")), column="owner"),
                lookup("owner_name", TableSource("airlines"), on(("owned", "code")), column="name"),
            ),
            filter=NullTest("airline", negated=True),
        ),
        """SELECT f.*, a.name, a.name || '!', upper(a.name), '<' || a.code || '>', owner, o.name
           FROM flights f JOIN airlines a ON carrier = a.code LEFT JOIN planes ON plane = tail
           LEFT JOIN airlines o ON owner = o.code WHERE a.name IS NOT NULL""",
    ),
    "the first of several": Asked(
        Query("airlines", computed=(lookup("first", TableSource("flights"), on(("code", "carrier")), column="id"),)),
        """SELECT a.*, (SELECT arg_min(id, row) FROM flights_rows f WHERE f.carrier = a.code) FROM airlines a""",
    ),
    "the first of several that are kept": Asked(
        Query(
            "airlines",
            computed=(
                lookup("first", table("flights", filter=LATE), on(("code", "carrier")), column="id"),
                lookup("place", TableSource("routes"), on(("code", "carrier")), column="stop"),
            ),
        ),
        """SELECT a.*, (SELECT arg_min(id, row) FROM flights_rows f WHERE f.carrier = a.code AND delay > 0),
           (SELECT arg_min(stop, row) FROM routes_rows r WHERE r.carrier = a.code) FROM airlines a""",
    ),
    "the first of groups": Asked(
        Query(
            "planes",
            computed=(lookup("carrier", QuerySource(BY_CARRIER), on(("tail", "n")), column="carrier"),),
        ),
        f"""SELECT p.*, (SELECT arg_min(coalesce(carrier, '~'), coalesce(carrier, '~')) FROM ({SUMS}) g
            WHERE g.n = p.tail) FROM planes p""",
    ),
    "sub-sessions": Asked(
        Query(
            source=SubSession("named"),
            sub_sessions=(
                ("late", Query("flights", LATE)),
                ("named", Query(source=SubSession("late"), joins=(Join(SubSession("airlines"), AIRLINE),))),
                ("airlines", Query("airlines", NullTest("name", negated=True))),
            ),
            group=Grouping(("name",), (Aggregate("rows", "count"), Aggregate("worst", "max", "delay"))),
        ),
        """SELECT name, count(*), max(delay) FROM flights JOIN airlines ON carrier = code
           WHERE delay > 0 AND name IS NOT NULL GROUP BY name""",
    ),
    "groups of groups, filtered from outside": Asked(
        Query(
            source=QuerySource(BY_CARRIER),
            filter=AllOf((Compare("carrier", CompareOp.LESS, "UA"), Compare("n", CompareOp.LESS, 4))),
            joins=(Join(TableSource("routes"), on(("carrier", "carrier")), prefix="r_"),),
        ),
        f"""SELECT g.*, stop, place FROM ({SUMS}) g JOIN routes r ON g.carrier = r.carrier
            WHERE g.carrier < 'UA' AND n < 4""",
    ),
    "places among rows, filtered from outside": Asked(
        Query(
            source=table(
                "flights",
                window_columns=(WindowColumn("place", WindowFunction.ROW_NUMBER, "", ("carrier",), (SortKey("id"),)),),
                columns=("carrier", "delay", "place"),
            ),
            filter=LATE,
            joins=(Join(TableSource("routes"), on(("carrier", "carrier")), LEFT, prefix="r_"),),
        ),
        """SELECT f.*, stop, r.place FROM (SELECT id, carrier, delay, row_number() OVER (PARTITION BY carrier
           ORDER BY id) FROM flights) f LEFT JOIN routes r ON f.carrier = r.carrier WHERE delay > 0""",
    ),
    "sums called like what is summed": Asked(
        Query(
            "flights",
            group=Grouping(("carrier",), (Aggregate("delay", "sum", "delay"),)),
            having=Compare("delay", CompareOp.LESS, 2),
        ),
        "SELECT carrier, sum(delay)::BIGINT FROM flights GROUP BY carrier HAVING sum(delay) < 2",
    ),
    "routes that nobody flies": Asked(
        Query(
            "routes",
            NullTest("f_id"),
            joins=(
                Join(table("flights", filter=LATE), on(("carrier", "carrier"), ("stop", "delay")), LEFT, prefix="f_"),
            ),
        ),
        """SELECT r.*, id, plane, ratio, before FROM routes r LEFT JOIN (SELECT * FROM flights WHERE delay > 0) f
           ON r.carrier = f.carrier AND stop = delay WHERE id IS NULL""",
    ),
    "columns that are hidden": Asked(
        Query(
            source=table("flights", columns=("carrier", "delay")),
            computed=(ComputedColumn("ratio", expression="delay * 2"), ComputedColumn("plane", expression="delay + 1")),
            filter=AllOf((Compare("ratio", CompareOp.GREATER, 1), LATE)),
            joins=(Join(TableSource("planes"), on(("delay", "tail")), LEFT, (JoinColumn("maker", "before"),)),),
        ),
        """SELECT id, carrier, delay, maker, delay * 2, delay + 1 FROM flights LEFT JOIN planes ON delay = tail
           WHERE delay > 0""",
    ),
}
