"""`tesseract-grpc tables`: the tables of a hub, or the columns of one."""

from __future__ import annotations

from typing import Any

import click

from tesseract_grpc.cli.cell import json_line
from tesseract_grpc.cli.connection import Target, with_target
from tesseract_grpc.cli.output import Format, print_rows
from tesseract_grpc.client import Tesseract

SUMMARY = ("table", "rows", "columns", "key", "memory_bytes", "description")
DETAIL = ("column", "type", "key", "index", "required", "default", "description")


@click.command()
@click.argument("table", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a table and line, with its columns.")
@with_target
def tables(target: Target, table: str | None, as_json: bool) -> None:
    """List the tables of the hub, or show the columns of TABLE."""
    with target.connect() as hub:
        found = hub.list_tesseracts() if table is None else [hub.get_tesseract(table)]
        described = [_describe(each) for each in found]
    if as_json:
        for one in described:
            click.echo(json_line(one))
    elif table is None:
        rows = [one | {"columns": len(one["columns"]), "key": ", ".join(one["key"])} for one in described]
        print_rows(SUMMARY, rows, Format.TABLE)
    else:
        print_rows(DETAIL, [_detail(column) for column in described[0]["columns"]], Format.TABLE)


def _describe(table: Tesseract) -> dict[str, Any]:
    """A table as one object."""
    info = table.info()
    return {
        "table": info.name,
        "rows": info.row_count,
        "memory_bytes": info.memory_bytes,
        "key": list(table.key),
        "columns": table.columns,
        "create_version": info.create_version,
        "update_version": info.update_version,
        "description": info.description,
    }


def _detail(column: dict[str, Any]) -> dict[str, Any]:
    """A column as a row."""
    names = ", ".join(column.get("enum", ()))
    return {
        "column": column["name"],
        "type": f"enum ({names})" if names else column["type"],
        "key": "key" if column.get("primary_key") else None,
        "index": "yes" if column.get("index") is True else column.get("index"),
        "required": "required" if column.get("required") else None,
        "default": column.get("default"),
        "description": column.get("description"),
    }
