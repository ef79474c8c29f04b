"""Real redis-server processes: one, a primary with replicas and Sentinels, or a Cluster.

They listen on free ports of the loopback and keep their data in directories of their own, so they can be killed and
started again over the same data.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError

from benchmarks.wire.port import free_port


def redis_server() -> str:
    """The program. Where it is missing the test is skipped, and in CI it fails."""
    found = shutil.which("redis-server")
    if found is None:
        message = "redis-server is not installed (apt-get install redis-server)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def wait_until(done: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Waits until something is true. Raises AssertionError."""
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(0.02)


class RedisProcess:
    """One redis-server."""

    def __init__(self, path: Path, *options: str, sentinel: bool = False) -> None:
        """`options` are lines of its configuration. It is started at once."""
        self.path, self.port, self._sentinel = path, free_port(), sentinel
        self._program = redis_server()
        self._process: subprocess.Popen[bytes] | None = None
        path.mkdir(parents=True, exist_ok=True)
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {path}", "daemonize no", "protected-mode no"]
        if not sentinel:
            lines += ['save ""', "appendonly yes", "appendfsync always", "repl-diskless-sync-delay 0"]
        (path / "redis.conf").write_text("\n".join([*lines, *options]) + "\n")
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://{self.address}/0"

    def client(self) -> Redis:
        return Redis(host="127.0.0.1", port=self.port, socket_timeout=5)

    def start(self) -> None:
        """Starts it, over the data that it has, and waits until it answers."""
        command = [self._program, str(self.path / "redis.conf"), *(["--sentinel"] if self._sentinel else [])]
        with (self.path / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(self._answers, f"redis-server on {self.port} (see {self.path}/log.txt)")

    def _answers(self) -> bool:
        """It is there, whether it lets us in or not."""
        try:
            with self.client() as client:
                return bool(client.ping())
        except AuthenticationError:
            return True
        except RedisError:
            return False

    def kill(self) -> None:
        """SIGKILL, and waits until it is dead."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """SIGSTOP: it is there, and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def running(*processes: RedisProcess) -> Iterator[None]:
    """Kills them in the end."""
    try:
        yield
    finally:
        for process in processes:
            process.kill()


@contextmanager
def plain(path: Path, *options: str) -> Iterator[RedisProcess]:
    """One server, whose file is written through."""
    server = RedisProcess(path / "redis", *options)
    with running(server):
        yield server


class SentinelGroup:
    """A primary and two replicas that three Sentinels watch."""

    SERVICE = "primary"

    def __init__(self, path: Path) -> None:
        first = RedisProcess(path / "redis-0")
        follow = f"replicaof 127.0.0.1 {first.port}"
        self.servers = [first, *(RedisProcess(path / f"redis-{n}", follow) for n in (1, 2))]
        watch = [
            f"sentinel monitor {self.SERVICE} 127.0.0.1 {first.port} 2",
            f"sentinel down-after-milliseconds {self.SERVICE} 1500",
            f"sentinel failover-timeout {self.SERVICE} 3000",
        ]
        self.sentinels = [RedisProcess(path / f"sentinel-{n}", *watch, sentinel=True) for n in (0, 1, 2)]
        wait_until(lambda: self._replicas(first) == 2, "two replicas")
        wait_until(lambda: all(self._known(each) == (2, 2) for each in self.sentinels), "the Sentinels know of all")

    @staticmethod
    def _replicas(server: RedisProcess) -> int:
        with server.client() as client:
            found = client.info("replication")
        return sum(found.get(f"slave{n}", {}).get("state") == "online" for n in range(4))

    def _known(self, sentinel: RedisProcess) -> tuple[int, int]:
        with sentinel.client() as client:
            found = client.execute_command("SENTINEL", "MASTERS")
        about = found[0] if isinstance(found, list) else found[self.SERVICE]
        if isinstance(about, list):
            about = dict(zip(about[::2], about[1::2], strict=True))
        about = {(k.decode() if isinstance(k, bytes) else k): v for k, v in about.items()}
        return int(about["num-slaves"]), int(about["num-other-sentinels"])

    @property
    def url(self) -> str:
        hosts = ",".join(each.address for each in self.sentinels)
        return f"redis+sentinel://{hosts}/{self.SERVICE}"

    def primary(self) -> RedisProcess:
        """The server that the first Sentinel takes for the primary."""
        with self.sentinels[0].client() as client:
            found = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.SERVICE)
        return next(each for each in self.servers if each.port == int(found[1]))


@contextmanager
def sentinels(path: Path) -> Iterator[SentinelGroup]:
    """A primary with two replicas, and three Sentinels."""
    group = SentinelGroup(path)
    with running(*group.sentinels, *group.servers):
        yield group


class RedisCluster:
    """Three primaries with a replica each."""

    def __init__(self, path: Path) -> None:
        options = ("cluster-enabled yes", "cluster-node-timeout 1500", "cluster-config-file nodes.conf")
        self.servers = [RedisProcess(path / f"redis-{n}", *options) for n in range(6)]
        _cluster_create([each.address for each in self.servers])
        wait_until(lambda: all(self._is_well(each) for each in self.servers), "the cluster is well", 40)

    @staticmethod
    def _is_well(server: RedisProcess) -> bool:
        with server.client() as client:
            found = client.execute_command("CLUSTER", "INFO")
        text = (
            found
            if isinstance(found, dict)
            else dict(line.split(":", 1) for line in found.decode().split("\r\n") if ":" in line)
        )
        return text["cluster_state"] == "ok" and int(text["cluster_known_nodes"]) == 6

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(each.address for each in self.servers[:3])}"

    def owner(self, key: str) -> RedisProcess:
        """The primary that has the slot of a key."""
        with self.servers[-1].client() as client:
            slot = int(client.execute_command("CLUSTER", "KEYSLOT", key))
        for server in self.servers:
            try:
                with server.client() as client:
                    slots = client.execute_command("CLUSTER", "SLOTS")
            except RedisError:
                continue
            for row in slots if isinstance(slots, list) else ():
                if row[0] <= slot <= row[1]:
                    return next(each for each in self.servers if each.port == row[2][1])
        raise AssertionError(f"nobody has the slot {slot}")


def _cluster_create(addresses: Sequence[str]) -> None:
    command = ["redis-cli", "--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout + found.stderr


@contextmanager
def cluster(path: Path) -> Iterator[RedisCluster]:
    """A Redis Cluster of three primaries and three replicas."""
    made = RedisCluster(path)
    with running(*made.servers):
        yield made
