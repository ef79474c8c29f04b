"""The shared log over a real Redis: order, once only, what was lost is found out, snapshots, leases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc.engine.data.commit_log import LogDamaged, LogFailed, LogForked, LogGone, LogTrimmed, SharedEntry
from tesseract_grpc.store.redis_log import RedisLog
from tesseract_grpc.store.redis_source import BadRedisUrl, RedisSettings
from tests.cluster.servers import RedisProcess, plain


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    with plain(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(shared: RedisProcess) -> RedisProcess:
    with shared.client() as client:
        client.flushall()
    return shared


def opened(server: RedisProcess, node: str = "a") -> RedisLog:
    return RedisLog(RedisSettings(server.url, timeout=2), "default", node)


def told(entries: list[SharedEntry]) -> list[tuple[int, int, bytes, str]]:
    return [(each.position, each.kind, each.payload, each.name) for each in entries]


def test_all_nodes_get_what_all_send_in_one_order(server: RedisProcess) -> None:
    one, other = opened(server, "a"), opened(server, "b")
    assert one.epoch == other.epoch and one.line.secret == other.line.secret
    assert one.send(1, [(1, b"x"), (2, b"\x00\xff")]) == 2
    assert other.send(1, [(3, b"y")]) == 3
    assert one.send(2, [(1, b"")]) == 4
    expected = [(1, 1, b"x", "a:1:0"), (2, 2, b"\x00\xff", "a:1:1"), (3, 3, b"y", "b:1:0"), (4, 1, b"", "a:2:0")]
    for log in (one, other):
        assert told(log.receive(0, "", 1)) == expected
        assert told(log.receive(2, "a:1:1", 1)) == expected[2:]
        assert told(list(log.read(0))) == expected
        assert log.receive(4, "a:2:0", 0.01) == []


def test_a_batch_that_is_sent_again_is_taken_once(server: RedisProcess) -> None:
    log = opened(server)
    assert [log.send(1, [(1, b"x")]), log.send(1, [(1, b"x")]), log.send(2, [(1, b"y")])] == [1, 1, 2]
    assert log.send(1, [(1, b"x")]) == 2, "an older one is not taken either"
    assert [each.payload for each in log.read(0)] == [b"x", b"y"]


def test_many_writers_at_once_leave_no_hole(server: RedisProcess) -> None:
    def write(node: str) -> None:
        log = opened(server, node)
        for number in range(1, 51):
            log.send(number, [(1, f"{node} {number} {index}".encode()) for index in range(3)])

    threads = [threading.Thread(target=write, args=(f"n{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = list(opened(server).read(0, ""))
    assert [each.position for each in entries] == list(range(1, 601))
    for n in range(4):
        mine = [each.payload.decode() for each in entries if each.name.startswith(f"n{n}:")]
        assert mine == [f"n{n} {number} {index}" for number in range(1, 51) for index in range(3)]


def test_what_waits_is_woken(server: RedisProcess) -> None:
    log, other = opened(server, "a"), opened(server, "b")
    timer = threading.Timer(0.2, other.send, (1, [(1, b"x")]))
    timer.start()
    assert [each.payload for each in log.receive(0, "", 5)] == [b"x"]
    timer.join()


def test_lost_entries_are_found_out(server: RedisProcess) -> None:
    log = opened(server)
    log.send(1, [(1, b"1"), (1, b"2"), (1, b"3")])
    entries = log.receive(0, "", 1)
    with server.client() as client:
        _lose(client, log, 1, "a:1:1")
    with pytest.raises(LogForked):  # it is shorter than what was applied
        log.receive(3, entries[-1].name, 0.01)
    assert log.holds(2, "a:1:1") == 2
    opened(server, "b").send(1, [(1, b"3 again")])
    with pytest.raises(LogForked):  # it is as long, and other
        log.receive(3, entries[-1].name, 0.01)
    opened(server, "b").send(2, [(1, b"4")])
    with pytest.raises(LogForked, match="the entry 4 follows 'b:1:0'"):
        log.receive(3, entries[-1].name, 0.01)


def _lose(client: Any, log: RedisLog, count: int, tip: str) -> None:
    """Takes the last entries away, as a fail-over to a replica that had not got them yet."""
    for name, _ in client.xrevrange(log.keys.log, count=count):
        client.xdel(log.keys.log, name)
    last = int(client.hget(log.keys.line, "last")) - count
    client.hset(log.keys.line, mapping={"last": last, "tip": tip})
    client.execute_command("XSETID", log.keys.log, f"{last}-0")


def test_a_new_epoch_is_begun_once(server: RedisProcess) -> None:
    one, other = opened(server, "a"), opened(server, "b")
    before = one.epoch
    one.send(1, [(1, b"x")])
    assert one.renew() == one.epoch != before
    with pytest.raises(LogForked) as found:
        other.send(1, [(1, b"y")])
    assert found.value.epoch == one.epoch
    with pytest.raises(LogForked):
        other.holds(1, "a:1:0")
    assert other.renew() == one.epoch, "the one that another began is followed"
    assert other.send(1, [(1, b"y")]) == 2, "what was refused was not taken"


def test_a_line_that_is_gone_is_not_begun_again(server: RedisProcess) -> None:
    log = opened(server)
    log.send(1, [(1, b"x")])
    with server.client() as client:
        client.flushall()
    for ask in (lambda: log.send(2, [(1, b"y")]), lambda: log.receive(1, "a:1:0", 0.01), log.renew):
        with pytest.raises(LogGone, match="was flushed"):
            ask()
    with server.client() as client:
        assert client.keys("*") == []


def test_snapshots_are_kept_as_a_whole(server: RedisProcess) -> None:
    log = opened(server)
    log.send(1, [(1, b"%d" % n) for n in range(10)])
    assert log.load_snapshot() is None
    writer = log.begin_snapshot()
    writer.add(b"one")
    writer.add(b"\x00two")
    assert log.load_snapshot() is None, "it is not kept yet"
    log.receive(0, "", 1)
    writer.keep(5)
    found = log.load_snapshot()
    assert found is not None and (found.position, list(found.pieces)) == (5, [b"one", b"\x00two"])
    assert opened(server, "b").name_of(5) == "a:1:4"
    wrong = log.begin_snapshot()
    wrong.add(b"x")
    with pytest.raises(LogFailed, match="too old to be named"):
        wrong.keep(60)
    with server.client() as client:
        _lose(client, log, 4, "a:1:5")
    with pytest.raises(LogFailed, match="of no use any more: Redis has lost entries"):
        wrong.keep(7)
    wrong.discard()
    with server.client() as client:
        assert len(client.keys("tesseract:*:snapshot:*")) == 1
        client.ltrim(log.keys.snapshot(client_name(log)), 0, 0)
    assert log.load_snapshot() is None, "it is not whole any more, and all entries are there"


def client_name(log: RedisLog) -> str:
    (_, about) = log.snapshots()[0]
    return str(about["name"])


def test_trimming_leaves_two_snapshots_to_go_from(server: RedisProcess) -> None:
    log = opened(server)
    log.send(1, [(1, b"%d" % n) for n in range(1, 31)])
    log.receive(0, "", 1)
    for position in (10, 20, 30):
        writer = log.begin_snapshot()
        writer.add(b"state %d" % position)
        writer.keep(position)
    log.trim(5)
    assert log.since == 0
    log.trim(30)
    assert log.since == 20, "the newest two stay"
    assert [info.position for info, _ in log.snapshots()] == [20, 30]
    assert [each.position for each in log.read(20, "a:1:19")] == list(range(21, 31))
    with pytest.raises(LogTrimmed):
        log.receive(10, "a:1:9", 0.01)
    assert log.holds(20, "a:1:19") == 30, "the entry is gone, the one after it names it"
    fresh = opened(server, "b")
    assert fresh.line.since == 20
    with server.client() as client:
        assert len(client.keys("tesseract:*:snapshot:*")) == 2
        for info, _ in fresh.snapshots():
            client.delete(log.keys.snapshot(next(a["name"] for i, a in fresh.snapshots() if i == info)))
    with pytest.raises(LogDamaged, match="no snapshot in Redis is whole"):
        fresh.load_snapshot()


def test_one_node_has_a_lease(server: RedisProcess) -> None:
    one, other = opened(server, "a"), opened(server, "b")
    assert one.take("clock", 0.3) and one.take("clock", 0.3)
    assert not other.take("clock", 0.3)
    assert other.take("snapshot", 0.3)
    one.release("clock")
    assert other.take("clock", 0.2)
    one.release("clock")
    assert not one.take("clock", 0.2), "nobody gives back what another has"


def test_nodes_are_known_as_long_as_they_say_so(server: RedisProcess) -> None:
    one, other = opened(server, "a"), opened(server, "b")
    one.say({"version": 3}, 5)
    other.say({"version": 4}, 5)
    assert one.nodes() == {"a": {"version": 3}, "b": {"version": 4}}


def test_what_cannot_be_read_is_damage(server: RedisProcess) -> None:
    log = opened(server)
    log.send(1, [(1, b"x")])
    with server.client() as client:
        client.xadd(log.keys.log, {"other": "fields"}, id="2-0")
    with pytest.raises(LogDamaged, match="none that this program knows"):
        log.receive(1, "a:1:0", 0.1)


def test_a_later_format_is_refused(server: RedisProcess) -> None:
    log = opened(server)
    with server.client() as client:
        client.hset(log.keys.line, "format", "2")
    with pytest.raises(LogDamaged, match="format 2"):
        opened(server)


def test_a_full_redis_takes_nothing_by_halves(tmp_path: Path) -> None:
    with plain(tmp_path, "maxmemory 4mb", "maxmemory-policy noeviction") as server:
        log = opened(server)
        number, batch = 1, [(1, b"x" * 200_000)] * 2
        failure: LogFailed | None = None
        while failure is None and number < 100:
            try:
                log.send(number, batch)
                number += 1
            except LogFailed as error:
                failure = error
        assert "memory limit" in str(failure)
        assert len(list(log.read(0, ""))) == 2 * (number - 1)
        with server.client() as client:
            client.config_set("maxmemory", "100mb")
        assert log.send(number, batch) == 2 * number


def test_a_server_that_is_away_and_comes_back(tmp_path: Path) -> None:
    with plain(tmp_path) as server:
        log = opened(server)
        log.send(1, [(1, b"x")])
        server.kill()
        for ask in (lambda: log.send(2, [(1, b"y")]), lambda: log.receive(1, "a:1:0", 0.1), lambda: log.take("x", 1)):
            with pytest.raises(LogFailed):
                ask()
        server.start()
        assert log.send(2, [(1, b"y")]) == 2
        assert [each.payload for each in log.receive(1, "a:1:0", 0.1)] == [b"y"]


def test_a_server_that_says_nothing(server: RedisProcess) -> None:
    log = RedisLog(RedisSettings(server.url, timeout=0.3), "default", "a")
    server.freeze()
    try:
        with pytest.raises(LogFailed):
            log.send(1, [(1, b"x")])
    finally:
        server.thaw()
    log.send(1, [(1, b"x")])  # whether the first was taken or not
    assert [each.payload for each in log.read(0)] == [b"x"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:6379", "must begin with one of redis://"),
        ("http://localhost", "must begin with one of"),
        ("redis://", "names no host"),
        ("redis://a,b", "names one server"),
        ("redis://a:b", "'b' is no port"),
        ("redis://a:99999", "'99999' is no port"),
        ("redis://a/x", "is a number, not 'x'"),
        ("redis://a?db=1", "no options after"),
        ("redis+sentinel://a,b", "needs the name of the service"),
        ("redis+cluster://a/1", "no numbered databases"),
        ("unix://", "needs the path of a socket"),
    ],
)
def test_addresses_that_are_none(url: str, message: str) -> None:
    with pytest.raises(BadRedisUrl, match=message):
        RedisSettings(url)


def test_no_password_is_shown() -> None:
    for url in ("redis://user:hunter2@a:1/3", "rediss+sentinel://:hunter2@a,b:2/main", "redis+cluster://u:hunter2@a"):
        settings = RedisSettings(url, password="hunter3")
        assert "hunter" not in settings.shown
        assert "hunter3" not in repr(settings)
    with pytest.raises(BadRedisUrl) as found:
        RedisSettings("redis://user:hunter2@a,b")
    assert "hunter" not in str(found.value)
