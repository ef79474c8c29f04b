"""`backup` and `restore` against a real server: what is written, what is told, what is refused, and new epochs."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from benchmarks.wire.port import free_port
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2
from tesseract_grpc.client import BackupProgress, EventHorizon, Tesseract, TesseractError, Unavailable, check_backup
from tests.cli.conftest import Command, clean_environment
from tests.cli.terminal import on_a_terminal


@pytest.fixture
def name() -> str:
    """A table that is not there yet."""
    return f"restored_{uuid4().hex[:8]}"


def test_there_and_back(command: Command, hub: EventHorizon, users: Tesseract, tmp_path: Path, name: str) -> None:
    for suffix in ("tesseract", "parquet", "json", "csv", "jsonl.gz"):
        path = tmp_path / f"users.{suffix}"
        ended = command.invoke("backup", str(path), "--table", users.name)
        assert ended.exit_code == 0, ended.output
        assert f"backed up {users.name} at version" in ended.stderr
        assert ("warning: " in ended.stderr) == (suffix in ("csv", "jsonl.gz"))
        ended = command.invoke("restore", str(path), "--as", name, "--verify")
        assert ended.exit_code == 0, ended.output
        assert f"  {name}: 4 rows\nrestored 4 rows" in ended.stderr
        assert "compared; version" in ended.stderr
        assert [row["id"] for row in hub.get_tesseract(name).get_data()] == [1, 2, 3, 4]
        ended = command.invoke("restore", str(path), "--as", name)
        assert ended.exit_code == 1
        assert f"the hub has table '{name}' already [NAME_TAKEN]" in ended.stderr
        hub.remove_tesseract(name)


def test_a_file_is_checked_without_a_server(command: Command, users: Tesseract, tmp_path: Path) -> None:
    path = tmp_path / "users.tesseract"
    assert command.invoke("backup", str(path), "--table", users.name).exit_code == 0
    nowhere = Command("localhost:1")
    ended = nowhere.invoke("restore", str(path), "--check")
    assert ended.exit_code == 0, ended.output
    assert "users.tesseract: container" in ended.stdout and f"  {users.name}: 4 rows" in ended.stdout
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    ended = nowhere.invoke("restore", str(path), "--check")
    assert ended.exit_code == 1
    assert "[DAMAGED]" in ended.stderr and "hint: it was cut off or altered" in ended.stderr
    (tmp_path / "rows.csv").write_text("id,zip\n1,01234\n2,99999\n")
    ended = nowhere.invoke("restore", str(tmp_path / "rows.csv"), "--check")
    assert "digits with leading zeros (01234) are kept as texts" in ended.stderr
    assert "key: id (no nulls, no duplicates)" in ended.stderr


def test_what_is_inferred_can_be_said(command: Command, hub: EventHorizon, tmp_path: Path, name: str) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,x\n1,y\n")
    args = ("restore", str(tmp_path / "rows.csv"), "--as", name)
    ended = command.invoke(*args, "--dry-run")
    assert ended.exit_code == 0, ended.output
    assert "would restore 2 rows; nothing was changed" in ended.stderr
    ended = command.invoke(*args, "--key", "b", "--type", "a=float64")
    assert ended.exit_code == 0, ended.output
    table = hub.get_tesseract(name)
    assert (table.key, table.columns[1]["type"]) == (("b",), "float64")
    hub.remove_tesseract(table)
    for more in (("--type", "a"), ("--rename", "x=y"), ("--format", "what")):
        assert command.invoke(*args, *more).exit_code == 2
    assert command.invoke("restore").exit_code == 2
    assert command.invoke("restore", "--discard").exit_code == 0


def test_a_bar_on_a_terminal(command: Command, users: Tesseract, tmp_path: Path) -> None:
    args = ("backup", str(tmp_path / "a.tesseract"), "--table", users.name)
    with on_a_terminal(*args, env=clean_environment(command.address)) as terminal:
        terminal.wait_for("backing up", "4/4", "backed up")


def test_who_is_killed_leaves_no_file(command: Command, hub: EventHorizon, tmp_path: Path, name: str) -> None:
    """The file is not there, and what is beside it is no backup; the server lets go of everything."""
    table = hub.create_tesseract(
        name, [{"name": "id", "type": "int64", "primary_key": True}, {"name": "t", "type": "string"}]
    )
    for start in range(0, 60_000, 10_000):
        table.add([{"id": at, "t": f"{at}" * 20} for at in range(start, start + 10_000)])
    path = tmp_path / "a.json"
    with command.start("backup", str(path), "--table", name) as process:
        deadline = time.monotonic() + 20
        while not any(each.stat().st_size > 100_000 for each in tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.005)
        process.kill()
    assert not path.exists()
    assert [each.name.startswith(".a.json.") for each in tmp_path.iterdir()] == [True]
    command.invoke("backup", str(path), "--table", name)
    assert check_backup(path).tables == {name: 60_000}
    with command.start("restore", str(path), "--as", f"{name}_2") as process:
        deadline = time.monotonic() + 20
        while not (left := [t.name for t in hub.list_tesseracts() if t.name.startswith("_restoring.")]):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
    assert f"{name}_2" not in [each.name for each in hub.list_tesseracts()]
    ended = command.invoke("restore", "--discard")
    assert ended.stderr.splitlines() == [f"removed {each}" for each in left]
    hub.remove_tesseract(table)


@contextmanager
def serving(*args: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its address."""
    command = [sys.executable, "-m", "tesseract_grpc.cli", "serve", "--listen", f"127.0.0.1:{free_port()}"]
    with subprocess.Popen(
        [*command, "--log-level", "error", *args], env=clean_environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.kill()


def test_a_server_that_is_killed_ends_both(tmp_path: Path) -> None:
    """Neither a backup nor a restore that lost its server leaves anything that looks whole."""
    data = ("--data", str(tmp_path / "data"), "--durability", "normal")
    columns: list[dict[str, Any]] = [
        {"name": "id", "type": "int64", "primary_key": True},
        {"name": "t", "type": "string"},
    ]
    with serving(*data, "--piece-bytes", "4096") as (process, address), EventHorizon.connect(address, timeout=3) as hub:
        table = hub.create_tesseract("t", columns)
        for start in range(0, 40_000, 10_000):
            table.add([{"id": at, "t": f"{at}" * 20} for at in range(start, start + 10_000)])
        hub.backup(tmp_path / "whole.tesseract")
        with pytest.raises(Unavailable):
            hub.backup(tmp_path / "a.tesseract", on_progress=lambda progress: process.kill())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data", "whole.tesseract"]
    with serving(*data) as (process, address), EventHorizon.connect(address, timeout=2) as hub:

        def kill(progress: BackupProgress) -> None:
            if progress.phase == "restoring":
                process.kill()

        with pytest.raises(TesseractError):
            hub.restore(tmp_path / "whole.tesseract", rename="again", batch=1_000, on_progress=kill)
    with serving(*data) as (_, address), EventHorizon.connect(address, timeout=20) as hub:
        names = [each.name for each in hub.list_tesseracts()]
        assert "t" in names and "again" not in names
        assert [each for each in names if each != "t"] == hub.discard_restores()
        assert hub.restore(tmp_path / "whole.tesseract", rename="again", verify=True).rows == 40_000


def test_a_new_epoch_for_an_older_copy(tmp_path: Path) -> None:
    """Without it the copy goes on with its epoch; with it every token of the old one is told to begin anew."""
    epochs, events = [], []
    token = b""
    for flags in ((), (), ("--new-epoch",)):
        with serving("--data", str(tmp_path), "--progress-interval", "0.2", *flags) as (process, address):
            with EventHorizon.connect(address, timeout=20) as hub:
                epochs.append(hub.info().epoch)
                if not token:
                    hub.create_tesseract("t", [{"name": "id", "type": "int64", "primary_key": True}])
                request = table_service_pb2.WatchTableRequest(table="t", resume_token=token, include_snapshot=True)
                call = hub._rpc.tables.WatchTable(request, timeout=20)
                events.append(next(call).begin.resumed)
                while not token:
                    token = next(call).resume_token
                call.cancel()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
    assert epochs[0] == epochs[1] != epochs[2]
    assert events == [False, True, False]
    command = [sys.executable, "-m", "tesseract_grpc.cli", "serve", "--new-epoch"]
    ended = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "a new epoch needs data" in ended.stderr
