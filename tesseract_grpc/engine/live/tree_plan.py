"""Whether the rows of a query are a tree, and which."""

from __future__ import annotations

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.live.stage import Stage
from tesseract_grpc.engine.query.grouping import GroupMode
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.tree import Levels, ParentColumn, Tree

LEVEL = "level"
"""The column of a rollup that says by how many columns a row is grouped."""


def tree_of(query: Query, stage: Stage) -> Tree | None:
    """The tree of a query whose rows are those of a stage; None when they are none. Raises InvalidRequest."""
    if query.group is not None and query.group.mode is GroupMode.ROLLUP:
        if query.tree:
            raise _refused("a rollup is a tree by itself; leave tree away")
        return Levels(LEVEL, query.group.by)
    if not query.tree:
        return None
    if query.group is not None:
        raise _refused("groups have no parents; use the mode ROLLUP, which makes a tree of them")
    stage.see([query.tree], "query.tree.parent")
    schema = stage.schema
    if len(schema.key) != 1:
        names = ", ".join(column.name for column in schema.key_columns)
        raise _refused(f"rows that are named by several columns ({names}) cannot name a parent by one")
    key, parent = schema.key_columns[0], schema.column(query.tree)
    if key.type is not parent.type:
        kinds = f"'{parent.name}' is {parent.type.name}, and the key '{key.name}' is {key.type.name}"
        raise _refused(f"a parent is named by its key: column {kinds}", Reason.WRONG_TYPE)
    return ParentColumn(query.tree)


def _refused(message: str, reason: Reason = Reason.MALFORMED_REQUEST) -> InvalidRequest:
    return InvalidRequest(reason, message, field="query.tree.parent")
