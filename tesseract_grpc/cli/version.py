"""`tesseract-grpc version`: of this program, and with --server of the one that it talks to."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import Any

import click

from tesseract_grpc import __version__
from tesseract_grpc.cli.cell import json_line
from tesseract_grpc.cli.connection import Target, with_target

LIBRARIES = ("grpcio", "protobuf", "numpy", "pyarrow")


@click.command()
@click.option("--server", "ask", is_flag=True, help="Ask the server, too: its version, its features and its hub.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@with_target
def version(target: Target, ask: bool, as_json: bool) -> None:
    """Show the version of this program and of the libraries that matter for a bug report."""
    found: dict[str, Any] = {"tesseract-grpc": __version__, "python": platform.python_version()}
    found |= {library: _version_of(library) for library in LIBRARIES}
    if ask:
        found |= _server(target)
    if as_json:
        click.echo(json_line(found))
        return
    for name, value in found.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        click.echo(f"{name} {'not installed' if shown is None else shown}")


def _version_of(library: str) -> str | None:
    try:
        return installed(library)
    except PackageNotFoundError:
        return None


def _server(target: Target) -> dict[str, Any]:
    with target.connect() as hub:
        server, info = hub.server_info(), hub.info()
    return {
        "server": server.software_version,
        "features": sorted(server.features),
        "hub": info.name,
        "hub_version": info.version,
        "epoch": info.epoch,
        "durability": info.durability,
    }
