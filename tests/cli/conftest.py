"""A real server in a process of its own, and the command against it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from tesseract_grpc.cli.demo.server_process import server_process
from tesseract_grpc.cli.main import cli
from tesseract_grpc.client import EventHorizon, Tesseract


@dataclass(frozen=True)
class Command:
    """The command, pointed at one server."""

    address: str

    def invoke(self, *args: str) -> Result:
        """Runs it in this process."""
        return CliRunner().invoke(cli, args, env={"TESSERACT_ADDRESS": self.address}, prog_name="tesseract-grpc")

    def run(self, *args: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs it to its end in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "tesseract_grpc.cli", *args],
            env=clean_environment(self.address),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Starts it in a process of its own; the test ends it."""
        return subprocess.Popen(
            [sys.executable, "-m", "tesseract_grpc.cli", *args],
            env=clean_environment(self.address),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def clean_environment(address: str = "") -> dict[str, str]:
    """The environment without what configures the command, but with an address if there is one."""
    found = {name: value for name, value in os.environ.items() if not name.startswith("TESSERACT_")}
    return found | ({"TESSERACT_ADDRESS": address} if address else {})


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The address of a server that lives as long as the tests."""
    with server_process("--progress-interval", "0.5", "--log-level", "warning") as found:
        yield found


@pytest.fixture
def command(address: str) -> Command:
    """The command, pointed at the server."""
    return Command(address)


@pytest.fixture
def hub(address: str) -> Iterator[EventHorizon]:
    """The same server through the client."""
    with EventHorizon.connect(address) as found:
        yield found


@pytest.fixture
def users(hub: EventHorizon) -> Iterator[Tesseract]:
    """A table of four users with a name of its own."""
    table = hub.create_tesseract(
        f"users-{uuid4().hex[:8]}",
        [
            {"name": "id", "type": "int64", "primary_key": True},
            {"name": "name", "type": "string"},
            {"name": "age", "type": "int64", "index": True},
            {"name": "role", "type": "enum", "enum": ["reader", "writer"], "default": "reader"},
        ],
    )
    table.add(
        [
            {"id": 1, "name": "Ada", "age": 36},
            {"id": 2, "name": "Alan", "age": 17, "role": "writer"},
            {"id": 3, "name": "Grace, H.", "age": None},
            {"id": 4, "name": None, "age": 85},
        ]
    )
    yield table
    hub.remove_tesseract(table, allow_missing=True)
