"""`--filter`: one condition on one column, or a JSON tree.

    carrier == UA              dep_delay >= 15             name like "%Air%"      name ~ jet
    carrier in UA, AA, "9E"    dep_delay between 0 and 15  arr_time is_null       arr_time is_not_null

Operators: == != > >= < <= in like ~ between is_null is_not_null. Several `--filter` are joined by "and"; for
everything else ("or", "not") write the tree that the Python client takes, as JSON. The value runs to the end of the
text and is read as the column's type. Double quotes, as in JSON, keep blanks, commas and the word `null` as text; an
unquoted `null` after == and != is the null test. `~` means "contains"; `like` does too, unless the value has a % in it.
"""

from __future__ import annotations

import csv
import json
import re
from typing import Any

from tesseract_grpc.cli.columns import Column, Columns
from tesseract_grpc.cli.errors import BadArgument
from tesseract_grpc.cli.literal import Literal, read_literal, unquoted

FilterNode = dict[str, Any]

OPERATORS = ("==", "!=", ">=", "<=", ">", "<", "in", "like", "~", "between", "is_null", "is_not_null")
SHAPE = re.compile(
    r"""\s*(?P<column>"(?:[^"\\]|\\.)*"|[^\s=!<>~"]+)\s*"""
    r"""(?P<operator>==|!=|>=|<=|>|<|=|~|(?:in|like|between|is_null|is_not_null)(?=[\s(\["]|$))"""
    r"""(?P<operand>.*)""",
    re.DOTALL | re.IGNORECASE,
)
FIELD = "--filter"
EXAMPLE = "write COLUMN OPERATOR VALUE, for example 'dep_delay >= 15'; the operators are " + " ".join(OPERATORS)


def read_filters(texts: tuple[str, ...], columns: Columns) -> list[FilterNode]:
    """The filters of a command line, joined by "and", as the client takes them."""
    nodes: list[FilterNode] = []
    for text in texts:
        if text.lstrip().startswith(("{", "[")):
            nodes += _tree(text)
        else:
            nodes.append(_condition(text, columns))
    return nodes


def _tree(text: str) -> list[FilterNode]:
    """A JSON tree; a list is joined by "and". What it means is the client's and the server's to check."""
    try:
        tree = json.loads(text)
    except ValueError as error:
        raise _malformed(f"the filter begins like JSON and is not: {error}") from error
    nodes = tree if isinstance(tree, list) else [tree]
    if not all(isinstance(node, dict) for node in nodes):
        raise _malformed("a JSON filter is an object or a list of objects")
    return nodes


def _condition(text: str, columns: Columns) -> FilterNode:
    match = SHAPE.fullmatch(text)
    if match is None:
        raise _malformed(f"cannot read the condition {text!r}")
    operator, operand = match["operator"].lower(), match["operand"].strip()
    if operator == "=":
        raise _malformed(f"cannot read the condition {text!r}: equality is written ==", hint="use == instead of =")
    column = columns.find(unquoted(match["column"], FIELD), FIELD)
    node: FilterNode = {"field": column.name, "comparison": operator}
    if operator in {"is_null", "is_not_null"}:
        if operand:
            raise _malformed(f"{operator} takes no value, and {operand!r} follows it")
        return node
    if not operand:
        raise _malformed(f"the condition {text!r} has no value", hint='an empty text is written ""')
    return node | {"value": _value(column, operator, operand)}


def _value(column: Column, operator: str, operand: str) -> Any:
    """The right-hand side of a condition."""
    if operator == "in":
        return [_item(column, item) for item in _items(operand)]
    if operator == "between":
        return _bounds(column, operand)
    if operator in {"like", "~"}:
        if column.type not in {"string", "enum"}:
            raise BadArgument(
                f'column "{column.name}" ({column.type}): {operator} compares texts',
                reason="WRONG_TYPE",
                field=FIELD,
                hint="use == != > >= < <= in or between",
            )
        return unquoted(operand, FIELD)
    if operand.lower() == "null":
        if operator not in {"==", "!="}:
            raise _malformed(f"null is compared with == and != only, not with {operator}")
        return None
    return read_literal(column, operand, FIELD)


def _bounds(column: Column, operand: str) -> list[Literal | None]:
    """`A and B`, or a list of two. In a JSON list, null is no bound."""
    items: list[str | None]
    words = re.split(r"\s+and\s+", operand, flags=re.IGNORECASE)
    items = [unquoted(word, FIELD) for word in words] if len(words) == 2 else _items(operand)
    if len(items) != 2 or all(item is None for item in items):
        raise _malformed(f"between needs a lower and an upper bound, not {operand!r}", hint="write: between 1 and 5")
    return [_item(column, item) for item in items]


def _items(operand: str) -> list[str | None]:
    """A list: JSON in brackets, or texts with commas between them, with or without parentheses."""
    if operand.startswith("["):
        try:
            items = json.loads(operand)
        except ValueError as error:
            raise _malformed(f"the list begins like JSON and is not: {error}") from error
        return [item if isinstance(item, str | None) else json.dumps(item) for item in items]
    inner = operand[1:-1] if operand.startswith("(") and operand.endswith(")") else operand
    row = next(csv.reader([inner], skipinitialspace=True), [])
    return [item.strip() for item in row]


def _item(column: Column, text: str | None) -> Literal | None:
    return None if text is None else read_literal(column, json.dumps(text), FIELD)


def _malformed(message: str, hint: str = EXAMPLE) -> BadArgument:
    return BadArgument(message, reason="MALFORMED_FILTER", field=FIELD, hint=hint)
