"""A disk that is full: the server says so, keeps what it has, and goes on by itself when there is room.

A real server serves a directory of a small file system (where root may mount one), or under a limit of the size of its
files, which is what everybody may set. Either way writes begin to fail in the middle of a load.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2, query_pb2
from tesseract_grpc.testing import AsyncRecordingWatcher
from tests.crash.round import free_port
from tests.server.support import Api, Refused, insert, pb, rows, take_apart, user

PATIENCE = 30.0
SIZE = 3_000_000
TEXT = "x" * 20_000


class Disk:
    """Where a server keeps its data, and how its space ends and comes back."""

    path: Path
    server: subprocess.Popen[str] | None = None

    def start(self) -> int:
        """A server; the port. It is the real command."""
        port = free_port()
        command = [*self.inside(), sys.executable, "-m", "tesseract_grpc.cli", "serve", "--data", str(self.path)]
        command += ["--listen", f"127.0.0.1:{port}", "--progress-interval", "0.2"]
        self.server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.server.stdout is not None
        for line in self.server.stdout:
            if line.startswith("listening on"):
                return port
        raise AssertionError("the server did not start")

    def kill(self) -> None:
        """SIGKILL."""
        if self.server is not None and self.server.stdout is not None:
            self.server.kill()
            self.server.wait()
            self.server.stdout.close()
            self.server = None

    def inside(self) -> list[str]:
        return []

    def fill(self) -> None:
        raise NotImplementedError

    def free(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.kill()


class SmallFileSystem(Disk):
    """A tmpfs in a mount namespace of its own, which a process that does nothing keeps alive."""

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self.path = path / "data"
        script = f"mount -t tmpfs -o size={SIZE} none '{path}' && echo there && exec sleep 600"
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "there\n":
            self.close()
            raise PermissionError("nothing can be mounted here")
        self._filler = Path(f"/proc/{self._holder.pid}/root{path}/filler")

    def inside(self) -> list[str]:
        return ["nsenter", "--mount", f"--target={self._holder.pid}"]

    def fill(self) -> None:
        with suppress(OSError), self._filler.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4_096))

    def free(self) -> None:
        self._filler.unlink()

    def close(self) -> None:
        super().close()
        self._holder.kill()
        self._holder.wait()
        if self._holder.stdout is not None:
            self._holder.stdout.close()


class SmallFiles(Disk):
    """A limit of the size of files, which is set while the server runs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        self._limit(max(file.stat().st_size for file in self.path.rglob("*") if file.is_file()))

    def free(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        assert self.server is not None
        resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.fixture(params=[SmallFileSystem, SmallFiles])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    try:
        made: Disk = request.param(tmp_path / "disk")
    except (PermissionError, FileNotFoundError):
        made = SmallFiles(tmp_path / "files")  # the same test, by the means that everybody has
    yield made
    made.close()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Api]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Api(channel)


def large(id: int) -> pb.WriteRequest:
    """A write that takes room."""
    return pb.WriteRequest(operations=[insert([user(id, notes=f'"{TEXT}"')])], request_id=f"user-{id}")


async def write_until_refused(api: Api, acknowledged: dict[int, int]) -> tuple[int, Refused]:
    """Writes until one is refused; which, and why."""
    for id in range(len(acknowledged), 1_000):
        try:
            acknowledged[id] = (await api.tables.Write(large(id), timeout=PATIENCE)).version
        except grpc.aio.AioRpcError as error:
            return id, take_apart(error)
    raise AssertionError("the disk is not full")


async def health_of(api: Api) -> int:
    return int((await api.health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)).status)


async def versions_of(api: Api, ids: list[int]) -> dict[int, int]:
    """The versions of the rows that there are."""
    answer = await api.tables.GetRows(
        pb.GetRowsRequest(table="users", keys=rows([{"id": id} for id in ids]), columns=["name"]), timeout=PATIENCE
    )
    found = [list(column.int64s.values) for column in answer.rows.columns if column.name == "id"]
    return dict(zip(found[0], answer.row_versions, strict=True))


async def written_at_last(api: Api, request: pb.WriteRequest) -> int:
    """Sends a request again until it is taken, as `RetryInfo` says; its version."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return (await api.tables.Write(request, timeout=PATIENCE)).version
        except grpc.aio.AioRpcError as error:
            refusal = take_apart(error)
            assert refusal.reason == "HUB_READ_ONLY" and refusal.retry_ms, refusal
            assert time.monotonic() < end, refusal
            await asyncio.sleep(refusal.retry_ms / 1e3 / 4)


async def look_around(api: Api, acknowledged: dict[int, int], watcher: AsyncRecordingWatcher, port: int) -> None:
    """While nothing can be written: everything else goes on."""
    assert await health_of(api) == health_pb2.HealthCheckResponse.NOT_SERVING
    count = len(acknowledged)
    answer = await api.tables.Query(
        pb.QueryRequest(query=query_pb2.Query(table="users", columns=["id"])), timeout=PATIENCE
    )
    assert answer.total_count == count
    assert await versions_of(api, list(acknowledged)) == acknowledged
    await watcher.wait_for(max(acknowledged.values()))
    said = len(watcher.responses)
    await watcher.wait_until(lambda each: len(each.responses) > said + 1)  # it is told that nothing happens
    assert len(watcher.mirror.rows) == count
    async with connected(port) as other, AsyncRecordingWatcher.table(other.channel, "users") as late:
        await late.wait_for(max(acknowledged.values()))
        assert len(late.mirror.rows) == count
    hub = (await api.hubs.GetHub(hub_service_pb2.GetHubRequest(), timeout=PATIENCE)).hub
    assert hub.state == hub_service_pb2.HUB_STATE_READ_ONLY
    assert hub.state_message


@pytest.mark.slow
async def test_a_full_disk(disk: Disk) -> None:
    """Read-only and saying so; nothing lost, nothing twice; and on again when there is room, also after a kill."""
    port = disk.start()
    acknowledged: dict[int, int] = {}
    async with connected(port) as api:
        await api.create_users()
        for id in range(20):
            acknowledged[id] = (await api.tables.Write(large(id), timeout=PATIENCE)).version
        async with AsyncRecordingWatcher.table(api.channel, "users") as watcher:
            for _ in range(2):
                disk.fill()
                refused, refusal = await write_until_refused(api, acknowledged)
                assert refusal.code is grpc.StatusCode.UNAVAILABLE
                assert refusal.reason == "HUB_READ_ONLY"
                assert refusal.retry_ms
                assert "default" in refusal.message
                again = await write_until_refused(api, acknowledged)
                assert (again[0], again[1].reason) == (refused, "HUB_READ_ONLY")
                await look_around(api, acknowledged, watcher, port)
                disk.free()
                acknowledged[refused] = await written_at_last(api, large(refused))
                for id in range(refused + 1, refused + 4):
                    acknowledged[id] = (await api.tables.Write(large(id), timeout=PATIENCE)).version
                assert await health_of(api) == health_pb2.HealthCheckResponse.SERVING
                await watcher.wait_for(max(acknowledged.values()))
            watcher.check()
        assert len(set(acknowledged.values())) == len(acknowledged)
    disk.kill()
    async with connected(disk.start()) as api:
        assert await versions_of(api, [*acknowledged, 999]) == acknowledged
        for id in (0, len(acknowledged) - 1):
            assert (await api.tables.Write(large(id), timeout=PATIENCE)).version == acknowledged[id]


@pytest.mark.slow
async def test_killed_on_a_full_disk(disk: Disk) -> None:
    """What was acknowledged before the disk was full is there after a kill, once there is room to start."""
    port = disk.start()
    acknowledged: dict[int, int] = {}
    async with connected(port) as api:
        await api.create_users()
        for id in range(20):
            acknowledged[id] = (await api.tables.Write(large(id), timeout=PATIENCE)).version
        disk.fill()
        refused, _ = await write_until_refused(api, acknowledged)
    disk.free()
    disk.kill()
    async with connected(disk.start()) as api:
        found = await versions_of(api, [*acknowledged, refused])
        assert {id: version for id, version in found.items() if id != refused} == acknowledged
        version = await written_at_last(api, large(refused))
        assert found.get(refused, version) == version


def test_two_servers_on_one_directory(tmp_path: Path) -> None:
    """The second says so, and the first does not notice."""
    disk = SmallFiles(tmp_path / "data")
    disk.start()
    try:
        command = [sys.executable, "-m", "tesseract_grpc.cli", "serve", "--data", str(disk.path)]
        second = subprocess.run(
            [*command, "--listen", f"127.0.0.1:{free_port()}"], capture_output=True, text=True, timeout=60, check=False
        )
        assert second.returncode == 1, second
        assert "another server has the data directory" in second.stderr
        assert str(disk.path) in second.stderr
        assert "Traceback" not in second.stderr
        assert disk.server is not None and disk.server.poll() is None
        os.kill(disk.server.pid, signal.SIGTERM)
        assert disk.server.wait(20) == 0
    finally:
        disk.kill()
    shutil.rmtree(disk.path)
