"""What values are: no client may bend one."""

import math

from tests import wire
from tests.vectors.scene import PROGRESS, asks, commit, delete, insert, item, items, scene, table, update, windowed
from tests.vectors.vector import Vector

_WIDE = {"id": "int64", "i": "int64", "x": "float64", "t": "timestamp", "s": "string", "b": "bool", "j": "json"}
_KEYS = {"s": "string", "t": "timestamp", "b": "bool", "i": "int64", "v": "float64"}


def _wide() -> dict[str, object]:
    return {"id": 0, "i": None, "x": None, "t": None, "s": None, "b": None, "j": None}


def _of(name: str, about: str, *rows: dict[str, object]) -> Vector:
    full = [{**_wide(), **row, "id": at} for at, row in enumerate(rows)]
    setup = [table("wide", wire.columns(_WIDE, ["id"])), commit(insert(*full, table="wide", types=_WIDE))]
    changed = [{**_wide(), **row, "id": at} for at, row in enumerate([*rows[1:], rows[0]])]
    steps = [commit(update(*changed, table="wide", types=_WIDE))]
    return scene(name, about, *steps, shows="values, snapshot, updates", setup=setup, query=asks(table="wide"))


def _keys() -> Vector:
    """Rows whose keys differ in ways that a careless language loses."""
    rows = [
        {"s": text, "t": at, "b": yes, "i": number, "v": float(place)}
        for place, (text, at, yes, number) in enumerate(
            [
                ("", 0, False, 0),
                ("", 0, False, 2**53),
                ("", 0, False, 2**53 + 1),
                ("", 1, False, 0),
                ("a", 0, True, 0),
                ("a", 0, False, 0),
                ("é", 0, False, 0),
                ("e\u0301", 0, False, 0),
            ]
        )
    ]
    key = ["s", "t", "b", "i"]
    setup = [table("keyed", wire.columns(_KEYS, key)), commit(insert(*rows, table="keyed", types=_KEYS))]
    some = [{**row, "v": -1.0} for row in rows[2:7:2]]
    gone = [{name: rows[at][name] for name in key} for at in (1, 7)]
    leave = delete(table="keyed", types=_KEYS)
    leave.delete.keys.CopyFrom(wire.batch(gone, _KEYS))
    steps = [commit(update(*some, table="keyed", types=_KEYS)), commit(leave)]
    about = "Keys of four columns: numbers beyond 2^53, the empty text, composed and decomposed letters are different."
    return scene(
        "values_keys", about, *steps, shows="values, keys, removes, updates", setup=setup, query=asks(table="keyed")
    )


def _digest() -> Vector:
    """Digests of what is easily bent."""
    rows: list[dict[str, object]] = [
        {"i": 2**63 - 1, "x": -0.0, "t": -1, "s": "", "b": False, "j": "null"},
        {
            "i": -(2**63),
            "x": math.nan,
            "t": 253_402_300_799_999_999,
            "s": "\U00010348 e\u0301 \u0000",
            "b": True,
            "j": '{"a": [1, 2.50]}',
        },
        {"i": 2**53 + 1, "x": math.inf, "t": 0, "s": "é"},
        {"x": -math.inf, "i": 0, "s": "x" * 300},
        {},
    ]
    full = [{**_wide(), **row, "id": at} for at, row in enumerate(rows)]
    setup = [table("wide", wire.columns(_WIDE, ["id"])), commit(insert(*full, table="wide", types=_WIDE))]
    changed = [{**_wide(), **row, "id": at} for at, row in enumerate([*rows[1:], rows[0]])]
    steps = [PROGRESS, commit(update(*changed, table="wide", types=_WIDE)), PROGRESS]
    about = "Digests of minus zero, NaN, infinities, null beside empty, letters of four bytes, texts of documents."
    watch = windowed(0, None, include_digest=True)
    return scene("values_digest", about, *steps, shows="digest", setup=setup, query=asks(table="wide"), watch=watch)


def _names() -> Vector:
    """Columns whose names are not those of a program."""
    types = {"größe": "int64", "名前": "string", "class": "string", "toString": "int64", "constructor": "float64"}
    rows: list[dict[str, object]] = [
        {"größe": at, "名前": f"{at}", "class": "c", "toString": at, "constructor": at / 2} for at in range(3)
    ]
    another = {"größe": 7, "名前": "七", "class": "", "toString": 1, "constructor": 0.5}
    setup = [table("named", wire.columns(types, ["größe"])), commit(insert(*rows, table="named", types=types))]
    steps = [
        commit(update({"größe": 1, "constructor": 7.0, "class": None}, table="named", types=types)),
        commit(insert(another, table="named", types=types)),
        PROGRESS,
    ]
    about = "Names of columns in other letters, and such as programs use themselves."
    watch = windowed(0, None, include_digest=True)
    return scene("values_names", about, *steps, shows="names", setup=setup, query=asks(table="named"), watch=watch)


SCENES = (
    _of(
        "values_nulls",
        "Null is not zero, not the empty text and not false.",
        {},
        {"i": 0, "x": 0.0, "t": 0, "s": "", "b": False, "j": "null"},
    ),
    _of(
        "values_int64",
        "Whole numbers beyond 2^53 and at both ends.",
        {"i": 2**63 - 1},
        {"i": -(2**63)},
        {"i": 2**53 + 1},
        {"i": -(2**53) - 1},
        {"i": -1},
    ),
    _of(
        "values_float64",
        "Doubles: infinities, NaN, the largest and the smallest.",
        {"x": math.inf},
        {"x": -math.inf},
        {"x": math.nan},
        {"x": 1.7976931348623157e308},
        {"x": 5e-324},
        {"x": 0.1},
    ),
    _of(
        "values_timestamps",
        "Microseconds, before 1970 and in the year 9999.",
        {"t": 1},
        {"t": -1},
        {"t": 253_402_300_799_999_999},
        {"t": -62_135_596_800_000_000},
        {"t": 1_700_000_000_123_456},
    ),
    _of(
        "values_texts",
        "Texts of any script, with a zero character, line ends and emoji.",
        {"s": "a\u0000b"},
        {"s": "línea\r\n\t"},
        {"s": "日本語"},
        {"s": "👩‍👩‍👧"},
        {"s": " "},
    ),
    _of(
        "values_json",
        "Documents are texts: their numbers and the order of their members stay.",
        {"j": '{"b":1,"a":[1,2.50,null]}'},
        {"j": "12345678901234567890"},
        {"j": '"text"'},
        {"j": "[]"},
        {"j": "false"},
    ),
    _of("values_bools", "true, false and null.", {"b": True}, {"b": False}, {}, {"b": True}),
    _keys(),
    scene(
        "values_dictionary",
        "A batch of more than 32 rows has its texts once each and codes for the rows; nulls among them.",
        commit(insert(*(item(id, None if id % 5 == 0 else f"text {id % 3}") for id in range(100, 150)))),
        shows="values, snapshot, inserts",
        rows=[item(id, None if id % 7 == 0 else f"text {id % 4}") for id in range(60)],
    ),
    scene(
        "values_dictionary_null",
        "A dictionary without texts, for rows that are all null; their codes mean nothing.",
        commit(insert(*(item(id, None, grade=None) for id in range(100, 150)))),
        commit(update({"id": 120, "name": "a text"})),
        shows="values, snapshot, inserts",
        rows=[item(id, None, grade=None, doc=None) for id in range(60)],
    ),
    scene(
        "values_all_null",
        "A column whose values are all null has no values on the wire at all.",
        commit(update({"id": 1, "name": "not null"})),
        shows="values, updates",
        rows=[item(1, None), item(2, None)],
        query=asks(columns=["name"]),
    ),
    scene(
        "values_empty",
        "An empty result has an end of its snapshot, too.",
        commit(insert(item(1))),
        shows="snapshot, inserts",
        setup=[items()],
    ),
    _digest(),
    _names(),
)
