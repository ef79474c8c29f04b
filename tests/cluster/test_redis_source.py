"""The primary is found: behind Sentinels, in a Cluster, and again after a fail-over. Nothing is taken twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tesseract_grpc.engine.data.commit_log import LogFailed, LogForked
from tesseract_grpc.store.redis_log import RedisLog
from tesseract_grpc.store.redis_source import RedisSettings
from tests.cluster.servers import RedisProcess, cluster, plain, sentinels, wait_until


def patiently(ask: Callable[[], int], seconds: float = 30.0) -> int:
    """Asks again until it works."""
    until = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except LogFailed:
            assert time.monotonic() < until, "it never worked"
            time.sleep(0.1)


def goes_over(log: RedisLog, primary: RedisProcess) -> None:
    """A primary dies while a node writes; what its replica had is there, once and in order."""
    for number in range(1, 21):
        log.send(number, [(1, b"%d" % number)])
        assert log.acknowledged_by(1, 5) >= 1
    primary.kill()
    for number in range(21, 41):
        patiently(lambda number=number: log.send(number, [(1, b"%d" % number)]))  # type: ignore[misc]
    assert [each.payload for each in log.read(0, "")] == [b"%d" % number for number in range(1, 41)]


def test_sentinels_name_the_primary(tmp_path: Path) -> None:
    with sentinels(tmp_path) as group:
        log = RedisLog(RedisSettings(group.url, timeout=1), "default", "a")
        primary = group.primary()
        goes_over(log, primary)
        assert group.primary() is not primary
        primary.start()  # it comes back as a replica, and is written to by nobody
        wait_until(lambda: _role(primary) == "slave", "the old primary follows")
        assert log.send(41, [(1, b"41")]) == 41


def test_a_cluster_names_the_owner_of_the_slot(tmp_path: Path) -> None:
    with cluster(tmp_path) as made:
        logs = [RedisLog(RedisSettings(made.url, timeout=1), hub, "a") for hub in ("one", "two", "three", "four")]
        for log in logs:
            log.send(1, [(1, log.keys.hub.encode())])
        owners = {made.owner(log.keys.log).port for log in logs}
        assert len(owners) > 1, "hubs are spread over the slots"
        log = RedisLog(RedisSettings(made.url, timeout=1), "default", "a")
        primary = made.owner(log.keys.log)
        goes_over(log, primary)
        for other in logs:
            found = patiently(lambda other=other: len(list(other.read(0, ""))))  # type: ignore[misc]
            assert found == 1


def test_a_replica_that_had_not_all_is_found_out(tmp_path: Path) -> None:
    """The replication is cut off, the primary takes more, and dies: whoever has applied that must notice."""
    with plain(tmp_path) as primary:
        replica = RedisProcess(tmp_path / "replica", f"replicaof 127.0.0.1 {primary.port}")
        try:
            log = RedisLog(RedisSettings(primary.url, timeout=1), "default", "a")
            log.send(1, [(1, b"1")])
            assert log.acknowledged_by(1, 5) == 1
            with replica.client() as client:
                client.replicaof("NO", "ONE")
            log.send(2, [(1, b"2")])
            assert log.acknowledged_by(1, 0.2) == 0
            tip = log.receive(0, "", 1)[-1].name
            after = RedisLog(RedisSettings(replica.url, timeout=1), "default", "a")
            assert after.epoch == log.epoch
            for ask in (lambda: after.receive(2, tip, 0.05), lambda: after.holds(2, tip)):
                with pytest.raises(LogForked) as found:
                    ask()
                assert found.value.last == 1
        finally:
            replica.kill()


def test_users_and_passwords(tmp_path: Path) -> None:
    with plain(tmp_path, "user desk on >hunter2 ~tesseract:* &* +@all", "user default off") as server:
        address = f"127.0.0.1:{server.port}"
        for settings in (
            RedisSettings(f"redis://desk:hunter2@{address}", timeout=2),
            RedisSettings(f"redis://{address}", username="desk", password="hunter2", timeout=2),
        ):
            log = RedisLog(settings, "default", "a")
            assert log.send(1, [(1, b"x")]) == 1
        with pytest.raises(LogFailed) as found:
            RedisLog(RedisSettings(f"redis://desk:hunter3@{address}", timeout=2), "default", "a")
        assert "hunter" not in str(found.value)


def _role(server: RedisProcess) -> str:
    with server.client() as client:
        return str(client.info("replication")["role"])
