"""The columns of a file that does not say what they are: inferred from all of its values, with reasons and doubts.

Every value is looked at, because a type that is guessed from the first rows fails in the middle. A type is taken when
all values are of it; where nearly all are, the column is a text and the doubt is told. Digits with leading zeros are
texts, for they are names of something and not numbers. What a value is in JSON is said by JSON; in CSV by its form.

A key must name each row. A column called `id`, `key` or after the table (`user_id` for users) is tried first, then the
first column; the first of them without nulls and duplicates is taken. If none is, rows are numbered from 1 in a column
of their own, which keeps every row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from tesseract_grpc._proto.tesseract.v1 import schema_pb2

from ..core.coerce import INT64_MAX, INT64_MIN
from ..core.datatype import BOOL, FLOAT64, INT64, JSON, STRING, TIMESTAMP, DataType, name_of_type, type_of_name
from ..core.schema import columns_of
from .definition import TableBackup
from .errors import BackupFailed, BackupReason, bad_option
from .options import RestoreSettings
from .report import InferredColumn, InferredTable
from .value_texts import INFINITY, MINUS_INFINITY, NAN

KEY_TYPES = frozenset({BOOL, INT64, TIMESTAMP, STRING})
NEARLY = 0.9
ROW = "row"
"""The column that numbers rows where nothing else names them."""

NUMBER_WORDS = frozenset({NAN, INFINITY, MINUS_INFINITY})


class Form(Enum):
    """What a value looks like."""

    TRUTH = "a truth value"
    WHOLE = "a whole number"
    NUMBER = "a number"
    WORD = "NaN or an infinity"
    MOMENT = "a point in time"
    DAY = "a date"
    ZEROS = "digits with leading zeros"
    HUGE = "a whole number outside of int64"
    TEXT = "a text"
    DOCUMENT = "a list or an object"


_TRUTH = re.compile(r"(?:true|false)\Z", re.IGNORECASE)
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
_ZEROS = re.compile(r"-?0[0-9]+\Z")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_MOMENT = re.compile(
    r"(?:[+-]?[0-9]{4,6}|-[0-9]{1,3})-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?\Z"
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


def form_of_text(text: str) -> Form:
    """What a text of a CSV file looks like."""
    if _WHOLE.match(text):
        return Form.WHOLE if INT64_MIN <= int(text) <= INT64_MAX else Form.HUGE
    if _ZEROS.match(text):
        return Form.ZEROS
    if _NUMBER.match(text):
        return Form.NUMBER
    if _TRUTH.match(text):
        return Form.TRUTH
    return form_of_string(text)


def form_of_string(text: str) -> Form:
    """What a text of a JSON file looks like."""
    if text in NUMBER_WORDS:
        return Form.WORD
    if _MOMENT.match(text):
        return Form.MOMENT
    return Form.DAY if _DAY.match(text) else Form.TEXT


def form_of_value(value: object) -> Form:
    """What a value of a JSON file is."""
    if isinstance(value, str):
        return form_of_string(value)
    if isinstance(value, bool):
        return Form.TRUTH
    if isinstance(value, int):
        return Form.WHOLE if INT64_MIN <= value <= INT64_MAX else Form.HUGE
    return Form.NUMBER if isinstance(value, float) else Form.DOCUMENT


@dataclass(slots=True)
class Looked:
    """What was seen of one column."""

    forms: Counter[Form] = field(default_factory=Counter)
    examples: dict[Form, Any] = field(default_factory=dict)
    rows: int = 0
    hashes: list[Any] | None = None
    """Of a column that may be the key: a hash of each value."""

    def see(self, forms: Mapping[Form, int], examples: Mapping[Form, Any], rows: int) -> None:
        """More rows; `forms` counts their values that are not null."""
        self.forms.update(forms)
        for form, example in examples.items():
            self.examples.setdefault(form, example)
        self.rows += rows

    @property
    def values(self) -> int:
        """How many are not null."""
        return sum(self.forms.values())

    @property
    def unique(self) -> bool:
        """Whether each row has a value, and no two the same."""
        if self.hashes is None or self.values != self.rows:
            return False
        hashes = np.concatenate(self.hashes) if self.hashes else np.zeros(0, np.int64)
        return len(np.unique(hashes)) == self.rows


def see_values(looked: Looked, values: Sequence[Any], form: Any) -> None:
    """Looks at some values of a column; None is null."""
    counts: Counter[Form] = Counter()
    examples: dict[Form, Any] = {}
    for value, times in Counter(map(_hashable, values)).items():
        if value is not None:
            kind, raw = value if isinstance(value, tuple) else ("", value)
            found = Form.DOCUMENT if kind == "document" else form(raw)
            counts[found] += times
            examples.setdefault(found, raw)
    looked.see(counts, examples, len(values))
    if looked.hashes is not None:
        looked.hashes.append(np.fromiter((hash(_hashable(value)) for value in values), np.int64, len(values)))


def _hashable(value: Any) -> Any:
    """A value that can be counted: 1, 1.0 and True are three."""
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, list | dict):
        return ("document", repr(value))
    return (type(value).__name__, value)


_RULES: tuple[tuple[DataType, frozenset[Form]], ...] = (
    (BOOL, frozenset({Form.TRUTH})),
    (INT64, frozenset({Form.WHOLE})),
    (FLOAT64, frozenset({Form.WHOLE, Form.NUMBER, Form.WORD, Form.HUGE})),
    (TIMESTAMP, frozenset({Form.MOMENT, Form.DAY})),
    (STRING, frozenset({Form.TEXT, Form.MOMENT, Form.DAY, Form.WORD})),
)


def type_of(looked: Looked, *, documents: bool) -> tuple[DataType, str, tuple[str, ...]]:
    """The type that all values have, why, and what speaks against it; `documents` says whether mixed values become JSON
    documents (of a JSON file) or texts (of a CSV file)."""
    forms = set(looked.forms)
    if not forms:
        return STRING, "it has no values", ("every row is null: any type would do",)
    for type, allowed in _RULES:
        if forms <= allowed and forms != {Form.WORD}:
            return type, _said(looked, forms), _doubts(looked, type, documents=documents)
    if documents and forms != {Form.WORD}:
        why = (
            "it has lists or objects" if Form.DOCUMENT in forms else f"its values are of several kinds: {_list(forms)}"
        )
        doubts = () if forms == {Form.DOCUMENT} else (f"{_list(forms)} become JSON documents",)
        return JSON, why, doubts
    return STRING, _said(looked, forms), _doubts(looked, STRING, documents=documents)


def _said(looked: Looked, forms: set[Form]) -> str:
    return f"all {looked.values:,} values are {_list(forms)}"


def _list(forms: Iterable[Form]) -> str:
    return " or ".join(sorted(form.value for form in forms))


def _doubts(looked: Looked, type: DataType, *, documents: bool) -> tuple[str, ...]:
    forms, doubts = looked.forms, list[str]()
    if type == FLOAT64 and Form.HUGE in forms:
        doubts.append(f"{looked.examples[Form.HUGE]} does not fit int64, and loses digits as a float64")
    if type == TIMESTAMP and Form.DAY in forms:
        doubts.append("dates become midnight UTC")
    if type == TIMESTAMP and documents:
        doubts.append("they are texts in the file")
    if type == STRING and Form.ZEROS in forms:
        doubts.append(f"digits with leading zeros ({looked.examples[Form.ZEROS]}) are kept as texts")
    if type == STRING and not documents:
        for wanted, allowed in _RULES[:4]:
            count = sum(forms[form] for form in allowed)
            if looked.values > count >= NEARLY * looked.values:
                other = next(example for form, example in looked.examples.items() if form not in allowed)
                doubts.append(
                    f"{count:,} of {looked.values:,} values would be {name_of_type(wanted)}; {other!r:.60} is not"
                )
                break
    return tuple(doubts)


def key_candidates(names: Sequence[str], table: str) -> list[str]:
    """Columns worth trying as the key, the best first."""
    singular = table.removesuffix("s").lower()
    wanted = ("id", "key", f"{table.lower()}_id", f"{singular}_id", f"{singular}id", table.lower(), singular)
    by_name = {name.lower(): name for name in names}
    found = [by_name[name] for name in wanted if name in by_name] + list(names[:1])
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Inference:
    """What a file's columns are, as a definition, and how that was found."""

    table: TableBackup
    report: InferredTable
    numbered: str = ""
    """The column that numbers rows, which the file does not have; empty where there is none."""


def infer(
    table: str,
    looked: Mapping[str, Looked],
    rows: int,
    settings: RestoreSettings,
    *,
    documents: bool,
    sure: Mapping[str, DataType] | None = None,
) -> Inference:
    """The columns of a file; `sure` are types that the file does say. Raises BackupFailed, InvalidRequest."""
    given = _given_types(looked, settings)
    columns: list[InferredColumn] = []
    types: dict[str, DataType] = {}
    for name, seen in looked.items():
        doubts: tuple[str, ...] = ()
        if name in given:
            type, why = given[name], "as asked"
        elif sure is not None and name in sure:
            type, why = sure[name], "the file says so"
        else:
            type, why, doubts = type_of(seen, documents=documents)
        types[name] = type
        columns.append(InferredColumn(name, name_of_type(type), why, doubts))
    key, why, numbered = _key(table, looked, types, settings)
    definition = schema_pb2.Table()
    if isinstance(settings.columns, Sequence):
        messages, indexes = columns_of(settings.columns)
        definition.columns.extend(messages)
        definition.indexes.extend(indexes)
        key = tuple(column.name for column in messages if column.primary_key)
        return Inference(TableBackup(table, rows, definition), InferredTable(tuple(columns), key, "as asked"))
    if numbered:
        definition.columns.add(name=numbered, type=INT64, primary_key=True)
    order = sorted(types, key=lambda name: key.index(name) if name in key else len(key))
    for name in order:
        definition.columns.add(name=name, type=types[name], primary_key=name in key)
    return Inference(TableBackup(table, rows, definition), InferredTable(tuple(columns), key, why), numbered)


def _given_types(looked: Mapping[str, Looked], settings: RestoreSettings) -> dict[str, DataType]:
    given = settings.columns
    if given is None:
        return {}
    if isinstance(given, Mapping):
        found = {name: type_of_name(word, f"columns[{name!r}]") for name, word in given.items()}
    else:
        messages, _ = columns_of(given)
        found = {column.name: column.type for column in messages if not column.expression}
        missing = looked.keys() - {column.name for column in messages}
        if missing:
            raise bad_option(f"the file has a column {min(missing)!r}, of which columns says nothing", "columns")
    unknown = found.keys() - looked.keys()
    if unknown and isinstance(given, Mapping):
        raise bad_option(f"the file has no column {min(unknown)!r}", "columns", f"its columns are {', '.join(looked)}")
    return found


def _key(
    table: str, looked: Mapping[str, Looked], types: Mapping[str, DataType], settings: RestoreSettings
) -> tuple[tuple[str, ...], str, str]:
    """The key columns, why, and the column that numbers rows if there is one."""
    for name in settings.key:
        if name not in types:
            raise bad_option(f"the file has no column {name!r}", "key", f"its columns are {', '.join(types)}")
        if types[name] not in KEY_TYPES:
            raise bad_option(f"column {name!r} is {name_of_type(types[name])}, which cannot be a key", "key")
    if settings.key:
        return settings.key, "as asked", ""
    if not types:
        hint = "give its columns, or restore it from a format that keeps them"
        raise BackupFailed(BackupReason.NOT_INFERRED, "the file has no columns", hint=hint)
    candidates = [name for name in key_candidates(list(types), table) if types[name] in KEY_TYPES]
    for name in candidates:
        if looked[name].unique:
            return (name,), "no nulls, no duplicates", ""
    number = ROW
    while number in types:
        number += "_"
    told = " and ".join(f'"{name}"' for name in candidates) + " has nulls or duplicates"
    return (number,), f"rows numbered from 1, because {told if candidates else 'no column looks like a key'}", number
