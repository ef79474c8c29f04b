"""The logs keep the contract of `CommitLog`: what is durable is there after a restart, whole, in order, and no more."""

from __future__ import annotations

import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tesseract_grpc.engine.data.commit_log import CommitLog, Durability, LogDamaged, LogEntry, LogFailed
from tesseract_grpc.store import sqlite_log
from tesseract_grpc.store.memory_log import MemoryLog
from tesseract_grpc.store.sqlite_log import SqliteLog

Open = Callable[[], CommitLog]


def entry(position: int, size: int = 0) -> LogEntry:
    return LogEntry(position, position % 3, b"%d:" % position + bytes(size))


def kept(path: Path) -> list[int]:
    """The positions that a log has when it is opened."""
    log = SqliteLog(path)
    try:
        return positions(log)
    finally:
        log.close()


def snapshot(log: CommitLog, position: int, pieces: Iterable[bytes]) -> None:
    writer = log.begin_snapshot()
    try:
        for piece in pieces:
            writer.add(piece)
        writer.keep(position)
    except BaseException:
        writer.discard()
        raise


def fill(log: CommitLog, *numbers: int) -> None:
    for position in numbers:
        log.append(entry(position))
    log.flush()


def positions(log: CommitLog, after: int | None = None) -> list[int]:
    found = list(log.read(log.since if after is None else after))
    assert found == [entry(each.position) for each in found]
    return [each.position for each in found]


@pytest.fixture(params=["memory", "sqlite"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CommitLog]:
    opened: CommitLog = MemoryLog() if request.param == "memory" else SqliteLog(tmp_path / "hub")
    yield opened
    opened.close()


def test_entries_come_back_in_order(log: CommitLog) -> None:
    assert (log.since, log.last, log.durable) == (0, 0, 0)
    fill(log, 1, 2, 3)
    log.append(entry(4))
    assert (log.last, log.durable) == (4, 3)
    assert log.flush() == log.durable == 4
    assert positions(log) == [1, 2, 3, 4]
    assert positions(log, 2) == [3, 4]
    assert positions(log, 4) == []


def test_many_entries_are_read_in_pages(log: CommitLog) -> None:
    fill(log, *range(1, 2502))
    assert positions(log, 500) == list(range(501, 2502))


def test_only_what_a_snapshot_holds_is_forgotten(log: CommitLog) -> None:
    fill(log, *range(1, 11))
    log.trim(5)
    assert positions(log) == list(range(1, 11)), "there is no snapshot"
    snapshot(log, 6, [b"state", b"of six"])
    log.trim(8)
    assert log.since == 0 and positions(log) == list(range(1, 11)), "the only snapshot may turn out to be damaged"
    snapshot(log, 9, [b"nine"])
    log.trim(5)
    assert log.since == 0, "the state at 5 is made of the first entries"
    log.trim(8)
    assert log.since == 6 and positions(log) == [7, 8, 9, 10]
    found = log.load_snapshot()
    assert found is not None and found.position == 9 and list(found.pieces) == [b"nine"]
    assert log.newest_snapshot is not None and log.newest_snapshot.position == 9 and log.newest_snapshot.time > 1e9
    assert log.bytes > 10


def loaded(log: CommitLog, at_most: int | None = None) -> int | None:
    found = log.load_snapshot(at_most)
    return None if found is None else found.position


def test_the_snapshot_is_as_old_as_is_asked_for(log: CommitLog) -> None:
    fill(log, *range(1, 31))
    assert loaded(log, 5) is None
    snapshot(log, 10, [b"ten"])
    snapshot(log, 20, [b"twenty"])
    assert [loaded(log, most) for most in (None, 30, 20, 19, 10)] == [20, 20, 20, 10, 10]
    assert loaded(log, 9) is None, "everything can be replayed from the first entry"
    log.trim(10)
    assert loaded(log, 9) == 10, "the oldest that there is"


def test_a_closed_log_takes_nothing_more(log: CommitLog) -> None:
    fill(log, 1)
    log.close()
    with pytest.raises(LogFailed):
        log.append(entry(2))


@pytest.mark.parametrize("durability", [Durability.NORMAL, Durability.FSYNC])
def test_a_log_is_there_again(tmp_path: Path, durability: Durability) -> None:
    first = SqliteLog(tmp_path, durability)
    fill(first, 1, 2, 3)
    snapshot(first, 2, [b"two"])
    snapshot(first, 3, [b"three"])
    first.trim(3)
    first.append(entry(4))
    first.close()  # flushes
    again = SqliteLog(tmp_path, durability)
    assert (again.epoch, again.since, again.durable, again.cut) == (first.epoch, 2, 4, 0)
    assert positions(again) == [3, 4]
    fill(again, 5)
    again.close()
    assert kept(tmp_path) == [3, 4, 5]


def test_two_servers_on_one_directory_are_refused(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path)
    with pytest.raises(LogFailed, match="another server has the data directory"):
        SqliteLog(tmp_path)
    log.close()
    SqliteLog(tmp_path).close()


def test_appending_goes_on_while_others_flush(tmp_path: Path) -> None:
    log, stop = SqliteLog(tmp_path, Durability.NORMAL), threading.Event()

    def flush() -> None:
        while not stop.is_set():
            log.flush()

    worker = threading.Thread(target=flush)
    worker.start()
    try:
        for position in range(1, 5_001):
            log.append(entry(position))
            if position % 1_000 == 0:
                durable = log.durable
                found = positions(log)
                assert found == list(range(1, len(found) + 1)) and len(found) >= durable
    finally:
        stop.set()
        worker.join()
    log.close()
    assert kept(tmp_path) == list(range(1, 5_001))


WRITER = """
import sys
from tests.store.test_logs import entry, snapshot, SqliteLog, Path, Durability
log = SqliteLog(Path(sys.argv[1]), Durability[sys.argv[2]])
position = log.durable
while True:
    for _ in range(1 + position % 7):
        position += 1
        log.append(entry(position))
    print(log.flush(), flush=True)
    if position % 50 < 7:
        snapshot(log, log.durable, [b"%d" % log.durable] * 3)
        log.trim(log.durable - 40)
"""


@pytest.mark.parametrize("durability", ["NORMAL", "FSYNC"])
def test_kill_loses_nothing_that_was_acknowledged(tmp_path: Path, durability: str) -> None:
    rng = random.Random(durability)
    acknowledged = 0
    for _ in range(6):
        command = [sys.executable, "-c", WRITER, str(tmp_path), durability]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(rng.randint(1, 60)):
                acknowledged = int(writer.stdout.readline())
            os.kill(writer.pid, signal.SIGKILL)
            acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
        log = SqliteLog(tmp_path)
        assert log.durable >= acknowledged and log.cut == 0
        found = log.load_snapshot()
        if found is not None:
            assert list(found.pieces) == [b"%d" % found.position] * 3
            assert log.since <= found.position
        assert positions(log) == list(range(log.since + 1, log.durable + 1))
        log.close()
    assert acknowledged > 50, "the run was too short to say anything"


def tampered(path: Path, statement: str) -> None:
    database = sqlite3.connect(path / "commits.sqlite")
    with database:
        database.execute(statement)
    database.close()


def written(path: Path, count: int = 6) -> Path:
    log = SqliteLog(path)
    fill(log, *range(1, count + 1))
    log.close()
    return path


def test_a_torn_tail_is_cut_off_and_told(tmp_path: Path) -> None:
    tampered(written(tmp_path), "UPDATE entries SET payload = x'00' WHERE position = 6")
    log = SqliteLog(tmp_path)
    assert (log.durable, log.cut) == (5, 1)
    fill(log, 6)
    log.close()
    assert kept(tmp_path) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET payload = x'00' WHERE position = 3",
        "UPDATE entries SET kind = 9 WHERE position = 1",
        "DELETE FROM entries WHERE position = 5",
        "DELETE FROM entries WHERE position = 1",
        "UPDATE entries SET position = 99 WHERE position = 6",
    ],
)
def test_damage_before_the_end_is_refused(tmp_path: Path, statement: str) -> None:
    tampered(written(tmp_path), statement)
    for _ in range(2):  # and refused again: nothing was made of it
        with pytest.raises(LogDamaged, match="restore the directory"):
            SqliteLog(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("FORMAT", b'{"format": 99, "epoch": "x"}', "use a newer one"),
        ("FORMAT", b"{", "is broken"),
        ("FORMAT", b"{}", "is broken"),
        ("commits.sqlite", b"this is no database, and long enough to be looked at" * 100, "cannot be read"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (written(tmp_path) / name).write_bytes(content)
    for other in tmp_path.glob("*-wal"):
        other.unlink()
    with pytest.raises(LogDamaged, match=says):
        SqliteLog(tmp_path)


def test_a_lost_format_is_not_made_up(tmp_path: Path) -> None:
    (written(tmp_path) / "FORMAT").unlink()
    with pytest.raises(LogDamaged, match="no file FORMAT"):
        SqliteLog(tmp_path)


@pytest.mark.parametrize("where", [0, 10, 30, 33, 40, -13, -12, -1])
def test_a_damaged_snapshot_is_passed_over_for_the_one_before(tmp_path: Path, where: int) -> None:
    log = SqliteLog(tmp_path)
    fill(log, 1, 2, 3)
    snapshot(log, 1, [b"one"])
    snapshot(log, 3, [b"three", b"more"])
    file = tmp_path / "snapshot-3"
    content = bytearray(file.read_bytes())
    content[where] ^= 0xFF
    file.write_bytes(content)
    found = log.load_snapshot()
    assert found is not None and found.position == 1 and list(found.pieces) == [b"one"]
    assert log.snapshots.passed_over == [3]
    log.close()


@pytest.mark.parametrize("length", range(0, 60, 7))
def test_a_snapshot_that_was_cut_off_is_passed_over(tmp_path: Path, length: int) -> None:
    log = SqliteLog(tmp_path)
    fill(log, 1)
    snapshot(log, 1, [b"one", b"and more"])
    file = tmp_path / "snapshot-1"
    file.write_bytes(file.read_bytes()[:length])
    assert log.load_snapshot() is None
    log.close()


def test_a_part_of_a_snapshot_is_nothing(tmp_path: Path) -> None:
    (written(tmp_path) / "snapshot-4.part").write_bytes(b"tesseract")
    log = SqliteLog(tmp_path)
    assert log.load_snapshot() is None and not list(tmp_path.glob("*.part"))
    log.close()


def test_snapshots_are_kept_as_far_back_as_is_asked(log: CommitLog) -> None:
    """With snapshots every ten entries, and states asked for from 35 entries back on: four are enough."""
    for position in range(10, 301, 10):
        fill(log, *range(log.last + 1, position + 1))
        snapshot(log, position, [b"%d" % position])
        log.trim(max(0, position - 35))
        from_here = loaded(log, max(0, position - 35))
        assert from_here is None and log.since == 0 if position < 45 else from_here is not None
        if position > 100:
            assert from_here is not None and position - 85 <= from_here <= position - 35
            assert log.since == from_here and loaded(log) == position
        if isinstance(log, SqliteLog):
            assert len(log.snapshots.positions()) <= (4 if position > 40 else 5)


def test_two_snapshots_are_kept_and_the_entries_after_the_older(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path)
    fill(log, *range(1, 31))
    for position in (10, 20, 25):
        snapshot(log, position, [b"%d" % position])
    log.trim(25)
    assert log.snapshots.positions() == [25, 20] and log.since == 20
    log.close()


def failing(limit: int) -> None:
    """In the child: no file may grow beyond `limit` bytes, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


FULL = """
import sys
from tests.store.test_logs import LogFailed, SqliteLog, Path, entry, failing
log = SqliteLog(Path(sys.argv[1]))
failing(300_000)
position = 0
try:
    while True:
        position += 1
        log.append(entry(position, 2_000))
        log.flush()
except LogFailed as error:
    print(log.durable)
    for again in (lambda: log.append(entry(position + 1)), log.flush):
        try:
            again()
        except LogFailed as same:
            assert same is error
        else:
            raise AssertionError("a log that failed took more")
"""


def test_a_full_disk_fails_the_log_and_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    durable = int(done.stdout)
    assert durable > 10
    log = SqliteLog(tmp_path)
    assert log.durable >= durable
    assert [each.position for each in log.read(0)] == list(range(1, log.durable + 1))
    fill(log, log.durable + 1)
    log.close()


SNAPSHOT_FULL = """
import sys
from tests.store.test_logs import LogFailed, SqliteLog, Path, fill, failing, snapshot
log = SqliteLog(Path(sys.argv[1]))
fill(log, 1)
snapshot(log, 1, [b"one"])
failing(300_000)
try:
    snapshot(log, 1, [bytes(100_000)] * 5)
except LogFailed as error:
    assert "cannot be written" in str(error)
else:
    raise AssertionError("there is room")
assert list(log.load_snapshot().pieces) == [b"one"]
fill(log, 2)
log.close()
"""


def test_a_snapshot_that_finds_no_room_leaves_the_log_open(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", SNAPSHOT_FULL, str(tmp_path)], check=True, timeout=120)
    assert kept(tmp_path) == [1, 2]
    assert [path.name for path in tmp_path.glob("snapshot*")] == ["snapshot-1"]


class Failing:
    """A connection whose commits fail, before or after they reach the file."""

    def __init__(self, database: sqlite3.Connection, after: bool) -> None:
        self.database = database
        self.after = after

    def __getattr__(self, name: str) -> object:
        return getattr(self.database, name)

    def __enter__(self) -> None:
        self.database.__enter__()

    def __exit__(self, *problem: object) -> None:
        if self.after:
            self.database.commit()
        self.database.rollback()
        raise sqlite3.OperationalError("disk I/O error")


@pytest.mark.parametrize("reached", [False, True])
def test_a_log_that_failed_is_opened_again_and_tells_what_reached_the_disk(tmp_path: Path, reached: bool) -> None:
    log = SqliteLog(tmp_path)
    fill(log, 1, 2)
    log._database = Failing(log._database, after=reached)  # type: ignore[assignment]
    log.append(entry(3))
    log.append(entry(4))
    with pytest.raises(LogFailed, match="disk I/O error"):
        log.flush()
    log.reopen()
    assert log.last == log.durable == (4 if reached else 2)
    assert positions(log) == list(range(1, log.last + 1))
    fill(log, log.last + 1)
    with pytest.raises(LogFailed, match="has not failed"):
        log.reopen()
    log.close()
    with pytest.raises(LogFailed, match="is closed"):
        log.reopen()
    assert kept(tmp_path) == list(range(1, 6 if reached else 4))


REOPENED = """
import resource, sys
from tests.store.test_logs import LogFailed, SqliteLog, Path, entry
log = SqliteLog(Path(sys.argv[1]))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
position = 0
try:
    while True:
        position += 1
        log.append(entry(position, 20_000))
        log.flush()
except LogFailed:
    acknowledged = log.durable
try:
    log.reopen()
    for _ in range(30):
        log.append(entry(log.last + 1, 20_000))
    log.flush()
except LogFailed:
    pass
else:
    raise AssertionError("there is no room yet")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
log.reopen()
assert log.durable >= acknowledged, (log.durable, acknowledged)
for _ in range(30):
    log.append(entry(log.last + 1, 20_000))
    log.flush()
print(log.last)
log.close()
"""


def test_a_flush_that_fails_in_a_way_that_nobody_thought_of_leaves_no_hole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SqliteLog(tmp_path)
    fill(log, 1, 2)

    def broken(chain: int, entry: LogEntry) -> int:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_log, "chained", broken)
        with pytest.raises(LogFailed, match="MemoryError"):
            fill(log, 3)
    with pytest.raises(LogFailed):
        log.append(entry(4))  # an entry before it is not there
    log.reopen()
    assert (log.last, log.durable) == (2, 2)
    fill(log, 3)
    log.close()
    assert kept(tmp_path) == [1, 2, 3]


def test_a_log_comes_back_when_there_is_space_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REOPENED, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert not done.returncode, done.stderr
    log = SqliteLog(tmp_path)
    assert [each.position for each in log.read(0)] == list(range(1, int(done.stdout) + 1))
    log.close()


def test_large_entries_are_forgotten_some_at_a_time(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path)
    for position in range(1, 31):
        log.append(entry(position, 500_000))
    log.flush()
    snapshot(log, 28, [b"28"])
    snapshot(log, 30, [b"30"])
    log.trim(29)
    log.close()
    again = SqliteLog(tmp_path)
    assert again.since == 28 and [each.position for each in again.read(28)] == [29, 30]
    again.close()


def test_a_snapshot_of_another_history_is_refused(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "one")
    fill(log, *range(1, 9))
    snapshot(log, 8, [b"eight"])
    log.close()
    other = SqliteLog(tmp_path / "other")
    fill(other, 1)
    (tmp_path / "one" / "snapshot-8").rename(tmp_path / "other" / "snapshot-8")
    with pytest.raises(LogDamaged, match="does not fit"):
        other.load_snapshot()
    other.close()
