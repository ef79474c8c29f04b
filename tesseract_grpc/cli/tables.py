"""`tesseract-grpc tables`: the tables of a hub, or the columns of one, and what holds its memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from tesseract_grpc.cli.cell import json_line
from tesseract_grpc.cli.connection import Target, with_target
from tesseract_grpc.cli.output import Format, print_rows
from tesseract_grpc.client import Tesseract

SUMMARY = ("table", "rows", "columns", "key", "memory_bytes", "retention", "description")
MEMORY = ("part", "bytes", "texts")
DETAIL = ("column", "type", "key", "index", "required", "default", "description")


@click.command()
@click.argument("table", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a table and line, with its columns.")
@click.option("--memory", is_flag=True, help="What holds the memory of TABLE, part by part.")
@with_target
def tables(target: Target, table: str | None, as_json: bool, memory: bool) -> None:
    """List the tables of the hub, or show the columns of TABLE."""
    if memory and table is None:
        raise click.UsageError("--memory needs a TABLE")
    with target.connect() as hub:
        found = hub.list_tesseracts() if table is None else [hub.get_tesseract(table)]
        described = [_describe(each) for each in found]
    if as_json:
        for one in described:
            click.echo(json_line(one))
    elif table is None:
        rows = [
            one
            | {
                "columns": len(one["columns"]),
                "key": ", ".join(one["key"]),
                "retention": limits_text(one["retention"], one["memory_limit"]),
            }
            for one in described
        ]
        print_rows(SUMMARY, rows, Format.TABLE)
    elif memory:
        print_rows(MEMORY, _parts(described[0]["memory"]), Format.TABLE)
    else:
        print_rows(DETAIL, [_detail(column) for column in described[0]["columns"]], Format.TABLE)
        if text := limits_text(described[0]["retention"], described[0]["memory_limit"]):
            click.echo(text)


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
        "retention": info.retention,
        "memory_limit": info.memory_limit,
        "memory": None if info.memory is None else asdict(info.memory),
    }


def limits_text(retention: Mapping[str, Any] | None, memory_limit: Mapping[str, Any] | None) -> str:
    """Which rows leave a table, and how much memory it may take, in words; nothing where nothing is said."""
    words = retention or {}
    parts: list[str] = []
    if "max_age" in words:
        parts.append(f"rows leave when {words['age_column']} is {words['max_age']:g} s ago")
    if "max_records" in words:
        parts.append(f"at most {words['max_records']} rows")
    if order := words.get("order_column"):
        parts.append(f"those with the least {order} leave first")
    if "interval" in words:
        parts.append(f"looked at every {words['interval']:g} s")
    if memory_limit is not None:
        parts.append(f"at most {memory_limit['max_bytes']} bytes ({memory_limit['policy']})")
    return ", ".join(parts)


def _parts(memory: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """What holds the memory of a table, as rows."""
    if memory is None:
        return []
    rows = [
        {
            "part": f"column {column['column']}",
            "bytes": column["value_bytes"] + column["dictionary_bytes"],
            "texts": column["dictionary_entries"] or None,
        }
        for column in memory["columns"]
    ]
    rows += [{"part": f"index {column}", "bytes": size} for column, size in memory["indexes"].items()]
    rows += [
        {"part": part, "bytes": memory[f"{name}_bytes"]}
        for part, name in (("keys", "key"), ("rows", "row"), ("history", "history"), ("all", "total"))
    ]
    return rows


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
