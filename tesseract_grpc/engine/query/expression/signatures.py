"""What can be called: names, arguments, results."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tesseract_grpc.engine.query.expression.typed import Type


@dataclass(frozen=True, slots=True)
class Signature:
    """A method: its operation, its arguments, how many of them must be given, and what the others are."""

    op: str
    result: Type
    arguments: tuple[Type, ...] = ()
    least: int = 0
    default: tuple[int | str, ...] = ()


_INT, _TEXT, _BOOL = Type.INT64, Type.STRING, Type.BOOL

CONSTANTS = {
    "Math.PI": math.pi,
    "Math.E": math.e,
    "Math.LN2": math.log(2),
    "Math.LN10": math.log(10),
    "Math.LOG2E": 1 / math.log(2),
    "Math.LOG10E": 1 / math.log(10),
    "Math.SQRT2": math.sqrt(2),
    "Math.SQRT1_2": math.sqrt(0.5),
    "Number.MAX_SAFE_INTEGER": 2.0**53 - 1,
    "Number.MIN_SAFE_INTEGER": 1 - 2.0**53,
    "Number.EPSILON": 2.0**-52,
}
"""Members of the name spaces that are numbers."""

_ONE = "abs floor ceil trunc round sign sqrt cbrt exp expm1 log log2 log10 log1p sin cos tan asin acos atan".split()

FUNCTIONS: dict[str, tuple[int, int]] = {
    **{f"Math.{name}": (1, 1) for name in _ONE},
    "Math.pow": (2, 2),
    "Math.atan2": (2, 2),
    "Math.hypot": (1, 1_000),
    "Math.min": (1, 1_000),
    "Math.max": (1, 1_000),
    "Number": (1, 1),
    "String": (1, 1),
    "Boolean": (1, 1),
    "parseFloat": (1, 1),
    "parseInt": (1, 2),
    "isNaN": (1, 1),
    "isFinite": (1, 1),
    "Number.parseFloat": (1, 1),
    "Number.parseInt": (1, 2),
    "Number.isNaN": (1, 1),
    "Number.isFinite": (1, 1),
    "Date.parse": (1, 1),
    "bucket": (2, 2),
}
"""The functions by their full names, with the least and the most number of arguments."""

TEXT_METHODS: dict[str, Signature] = {
    "charAt": Signature("char_at", _TEXT, (_INT,), 0, (0,)),
    "substring": Signature("substring", _TEXT, (_INT, _INT), 1),
    "slice": Signature("slice", _TEXT, (_INT, _INT), 1),
    "indexOf": Signature("index_of", _INT, (_TEXT, _INT), 1),
    "lastIndexOf": Signature("last_index_of", _INT, (_TEXT,), 1),
    "toLowerCase": Signature("lower", _TEXT),
    "toUpperCase": Signature("upper", _TEXT),
    "trim": Signature("trim", _TEXT),
    "trimStart": Signature("trim_start", _TEXT),
    "trimEnd": Signature("trim_end", _TEXT),
    "replace": Signature("replace", _TEXT, (_TEXT, _TEXT), 2),
    "replaceAll": Signature("replace_all", _TEXT, (_TEXT, _TEXT), 2),
    "startsWith": Signature("starts_with", _BOOL, (_TEXT,), 1),
    "endsWith": Signature("ends_with", _BOOL, (_TEXT,), 1),
    "includes": Signature("includes", _BOOL, (_TEXT,), 1),
    "concat": Signature("concat", _TEXT, (_TEXT,) * 100, 1),
    "padStart": Signature("pad_start", _TEXT, (_INT, _TEXT), 1, (0, " ")),
    "padEnd": Signature("pad_end", _TEXT, (_INT, _TEXT), 1, (0, " ")),
}

NUMBER_METHODS: dict[str, Signature] = {
    "toFixed": Signature("fixed_text", _TEXT, (_INT,), 0, (0,)),
}

_TIME_PARTS = {
    "FullYear": "year",
    "Month": "month",
    "Date": "date",
    "Hours": "hours",
    "Minutes": "minutes",
    "Seconds": "seconds",
    "Milliseconds": "millis",
    "Day": "weekday",
}

TIME_METHODS: dict[str, Signature] = {
    "getTime": Signature("epoch_millis", _INT),
    "valueOf": Signature("epoch_millis", _INT),
    "toISOString": Signature("iso_text", _TEXT),
    "toJSON": Signature("iso_text", _TEXT),
    **{f"get{name}": Signature(op, _INT) for name, op in _TIME_PARTS.items()},
    **{f"getUTC{name}": Signature(op, _INT) for name, op in _TIME_PARTS.items()},
}
"""Parts of a time are those of UTC."""
