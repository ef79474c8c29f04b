"""A backup that was cut off or altered is refused before anything is changed, and it is said where."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from random import Random

import pytest

from tesseract_grpc.client import BackupFailed, EventHorizon, check_backup
from tesseract_grpc.client.backup.container_file import ContainerFile
from tesseract_grpc.client.backup.parquet_file import ParquetFile
from tesseract_grpc.testing import RunningServer
from tests.backup.everything import make

SEALED = ("all.tesseract", "all.parquet", "all.json", "all.csv.gz", "all.jsonl.gz", "all.json.gz")
"""The formats that notice every altered byte of their rows."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, server: RunningServer) -> Path:
    folder = tmp_path_factory.mktemp("backups")
    with EventHorizon.connect(server.address, hub="other") as hub:
        make(hub, rows=400)
        second = hub.create_tesseract("second", [{"name": "id", "type": "int64", "primary_key": True}])
        second.add({"id": list(range(3_000))})
        hub.backup(folder / "all.tesseract")
        for name in (*SEALED[1:], "all.csv", "all.jsonl"):
            hub.backup(folder / name, ["everything"])
        for name in ("everything", "second"):
            hub.remove_tesseract(name)
    return folder


def refused(path: Path) -> str:
    with pytest.raises(BackupFailed) as failed:
        check_backup(path)
    assert failed.value.reason in ("DAMAGED", "NOT_A_BACKUP"), failed.value
    assert path.name in failed.value.message
    return failed.value.message


@pytest.mark.parametrize("name", SEALED)
def test_every_cut_is_noticed(folder: Path, tmp_path: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    rng = Random(1)
    places = {
        0,
        1,
        3,
        4,
        5,
        len(content) - 1,
        len(content) - 2,
        len(content) - 30,
        len(content) - 64,
        len(content) - 100,
    }
    for place in sorted(places | {rng.randrange(len(content)) for _ in range(20)}):
        path = tmp_path / name
        path.write_bytes(content[:place])
        refused(path)


@pytest.mark.parametrize("name", SEALED)
def test_every_flipped_byte_is_noticed(folder: Path, tmp_path: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    rng = Random(2)
    first = 10 if name.endswith(".gz") else 0  # the head of a gzip file says when and where it was made
    path = tmp_path / name
    last = _footer(content) if name == "all.parquet" else len(content)
    reasons: set[str] = set()
    for _ in range(60):
        place = rng.randrange(first, last)
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        try:
            check_backup(path)
        except BackupFailed as error:
            reasons.add(error.reason)
        else:  # a compressed file has bits that mean nothing
            assert name.endswith(".gz"), f"byte {place:,} of {len(content):,}"
            assert gzip.decompress(flipped) == gzip.decompress(content)
    assert reasons <= {"DAMAGED", "NOT_A_BACKUP"}


def _footer(content: bytes) -> int:
    """Where the footer of a Parquet file begins: its rows are before it."""
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")


def test_the_footer_of_parquet_cannot_lie_about_rows(folder: Path, tmp_path: Path) -> None:
    """What is altered there is noticed, or makes no difference to any row."""
    content = (folder / "all.parquet").read_bytes()
    whole = [block.to_raw_dicts() for block in _blocks(folder / "all.parquet")]
    rng = Random(3)
    noticed = 0
    for _ in range(60):
        place = rng.randrange(_footer(content), len(content))
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.randrange(8)
        path = tmp_path / "all.parquet"
        path.write_bytes(flipped)
        try:
            check_backup(path)
        except BackupFailed:
            noticed += 1
        else:
            assert repr([block.to_raw_dicts() for block in _blocks(path)]) == repr(whole), place
    assert noticed > 30


def _blocks(path: Path) -> list:  # type: ignore[type-arg]
    file = ParquetFile(path)
    try:
        return list(file.blocks(file.contents.tables[0]))
    finally:
        file.close()


def test_it_is_said_where(folder: Path, tmp_path: Path) -> None:
    file = ContainerFile(folder / "all.tesseract")
    parts = dict(file._parts)
    file.close()
    content = (folder / "all.tesseract").read_bytes()
    path = tmp_path / "all.tesseract"
    for table, (name, start, seal) in parts.items():
        begin = first = 0
        for end, rows, _ in seal.blocks:
            flipped = bytearray(content)
            flipped[start + (begin + end) // 2] ^= 4
            path.write_bytes(flipped)
            told = refused(path)
            assert f"part {name} (table {table!r})" in told
            assert f"rows {first + 1:,} to {rows:,}, bytes {start + begin:,} to {start + end:,}" in told
            begin, first = end, rows
    name, start, seal = parts["second"]
    path.write_bytes(content[: start + seal.blocks[-1][0] - 5])
    told = refused(path)
    cut = start + seal.blocks[-1][0] - 5
    assert f"it breaks off at byte {cut:,}, in part {name}, behind row" in told
    path.write_bytes(content[: start + seal.bytes + 24])
    assert "behind 2 whole parts and before its directory" in refused(path)


def test_a_json_file_says_where_it_breaks_off(folder: Path, tmp_path: Path) -> None:
    lines = (folder / "all.jsonl").read_bytes().splitlines(keepends=True)
    path = tmp_path / "all.jsonl"
    path.write_bytes(b"".join(lines[:100]) + lines[100][:20])
    at = len(b"".join(lines[:100]))
    assert f"line 101, at byte {at:,}, is not JSON" in refused(path)
    path = tmp_path / "all.json"
    whole = json.loads((folder / "all.json").read_bytes())
    whole["data"].pop()
    del whole["checksum"]
    path.write_text(json.dumps(whole))
    assert "it has 399 rows, and its metadata tell of 400" in refused(path)
    path = tmp_path / "all.csv"
    path.write_bytes((folder / "all.csv").read_bytes() + b"1,2,3\n")
    assert "cannot be read behind row" in refused(path)


def test_a_damaged_backup_changes_nothing(folder: Path, tmp_path: Path, hub: EventHorizon) -> None:
    content = bytearray((folder / "all.tesseract").read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "all.tesseract"
    path.write_bytes(content)
    version = hub.info().version
    with pytest.raises(BackupFailed, match="part tables/"):
        hub.restore(path)
    assert (hub.info().version, hub.list_tesseracts()) == (version, [])


def test_what_is_no_backup(tmp_path: Path) -> None:
    for name, content in (
        ("a.tesseract", b"hello, I am a text"),
        ("a.parquet", b"hello, I am a text"),
        ("a.json", b'{"hello": 1}'),
        ("a.json.gz", b"hello"),
        ("a.csv.gz", gzip.compress(b"a,b\n1,2\n")[:-3]),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name)
    with pytest.raises(BackupFailed) as failed:
        check_backup(tmp_path / "nothing.tesseract")
    assert failed.value.reason == "FILE_FAILED"
    with pytest.raises(BackupFailed) as failed:
        check_backup(tmp_path / "a.doc")
    assert failed.value.reason == "UNKNOWN_FORMAT"


def test_a_newer_format_is_told_from_damage(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tesseract_grpc.client.backup.container_file.FORMAT_VERSION", 0)
    monkeypatch.setattr("tesseract_grpc.client.backup.parquet_file.FORMAT_VERSION", 0)
    for name in ("all.tesseract", "all.parquet"):
        with pytest.raises(BackupFailed) as failed:
            check_backup(folder / name)
        assert failed.value.reason == "NEWER_FORMAT"


@pytest.mark.parametrize("name", ["full.tesseract", "full.parquet", "full.csv", "full.json.gz"])
def test_a_full_disk_leaves_nothing(
    hub: EventHorizon, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(hub)
    path = tmp_path / name
    path.write_text("what was there")
    failing = {"fsync": 0}

    def full(handle: int) -> None:
        failing["fsync"] += 1
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BackupFailed) as failed:
        hub.backup(path, None if name.endswith("tesseract") else ["everything"], overwrite=True)
    assert (failed.value.reason, failing["fsync"]) == ("FILE_FAILED", 1)
    assert "no space left" in failed.value.message
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert path.read_text() == "what was there"


@pytest.mark.parametrize("name", ["full.tesseract", "full.parquet", "full.csv"])
def test_a_device_that_is_full_while_it_is_written(
    hub: EventHorizon, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make(hub)
    from tesseract_grpc.client.backup import new_file

    class Full(new_file.NewFile):
        """Writes to /dev/full, which every write of more than a buffer fails on."""

        def __init__(self, *given: object, **more: object) -> None:
            super().__init__(*given, **more)  # type: ignore[arg-type]
            self._file.close()
            self._file = self.stream = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 - closed by discard

    monkeypatch.setattr("tesseract_grpc.client.sync.backup.NewFile", Full)
    with pytest.raises(BackupFailed) as failed:
        table.backup(tmp_path / name, format=name.partition(".")[2].replace("tesseract", "container"))
    assert failed.value.reason == "FILE_FAILED"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_replaced(hub: EventHorizon, tmp_path: Path) -> None:
    make(hub)
    path = tmp_path / "all.tesseract"
    hub.backup(path)
    before = path.read_bytes()
    with pytest.raises(BackupFailed) as failed:
        hub.backup(path)
    assert failed.value.reason == "FILE_EXISTS"
    assert path.read_bytes() == before
    hub.create_tesseract("more", [{"name": "id", "type": "int64", "primary_key": True}])
    hub.backup(path, overwrite=True)
    assert set(check_backup(path).tables) == {"everything", "more"}
    assert [each.name for each in tmp_path.iterdir()] == ["all.tesseract"]
