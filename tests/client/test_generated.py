"""The sync client is the asyncio client in other words, and nobody edited it."""

from tools.generate_sync_client import PARENTS, generate, stale, sync_of, target_of


def test_sync_is_fresh() -> None:
    files = generate()
    assert len(files) > 15
    assert stale(files) == []


def test_a_file_that_was_edited_is_noticed() -> None:
    files = generate()
    some = next(iter(files))
    files[some] += "# edited\n"
    assert stale(files) == [some]
    gone = dict(files)
    del gone[some]
    assert stale(gone) == [some]


def test_nothing_asynchronous_is_left() -> None:
    source = PARENTS[0] / "aio" / "watch.py"
    text = sync_of(source)
    assert target_of(source) == PARENTS[0] / "sync" / "watch.py"
    assert "class Watch:" in text
    assert "def __next__(self) -> Event:" in text
    for word in ("async ", "await ", "Async", "Awaitable", "__anext__", "StopAsyncIteration"):
        assert word not in text, word
