"""`tesseract-grpc version`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import click

from tesseract_grpc import __version__
from tesseract_grpc.cli.cell import json_line

LIBRARIES = ("grpcio", "protobuf", "numpy")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def version(as_json: bool) -> None:
    """Show the version of the command and of the libraries that matter for a bug report."""
    versions = {"tesseract-grpc": __version__, "python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = installed(library)
        except PackageNotFoundError:
            versions[library] = "not installed"
    if as_json:
        click.echo(json_line(versions))
    else:
        for name, number in versions.items():
            click.echo(f"{name} {number}")
