"""Waves: who speaks when, and that commits are merged where there is more to tell than can be told."""

from __future__ import annotations

import asyncio
import time

import pytest

from tesseract_grpc.server.streams import waves as module
from tesseract_grpc.server.streams.waves import Waves
from tests.server.test_streams import Scene, opened, take, ticks


class Voice:
    """A speaker that notes when it is woken."""

    def __init__(self, *, busy: bool = False) -> None:
        self.woken: list[float] = []
        self.busy = busy

    def wake(self) -> bool:
        self.woken.append(time.monotonic())
        return not self.busy


async def test_the_first_wave_begins_at_once_and_the_next_waits_for_its_end() -> None:
    waves, one, other = Waves(), Voice(), Voice()
    waves.concern([one, other])
    assert (len(one.woken), len(other.woken)) == (1, 1)
    waves.concern([one])
    waves.concern([one])
    waves.spoke(one)
    assert len(one.woken) == 1
    waves.spoke(other)
    assert (len(one.woken), len(other.woken)) == (2, 1)
    waves.spoke(one)


async def test_commits_have_as_long_as_a_wave_took() -> None:
    waves, voice = Waves(), Voice()
    waves.concern([voice])
    await asyncio.sleep(0.05)
    waves.spoke(voice)
    ended = time.monotonic()
    waves.concern([voice])
    assert len(voice.woken) == 1
    await asyncio.sleep(0.1)
    assert len(voice.woken) == 2
    assert voice.woken[1] - ended >= 0.045
    waves.spoke(voice)
    await asyncio.sleep(0.2)
    waves.concern([voice])
    assert len(voice.woken) == 3, "after a pause nobody waits"


async def test_who_is_busy_keeps_nobody_waiting() -> None:
    waves, busy, voice = Waves(), Voice(busy=True), Voice()
    waves.concern([busy, voice])
    waves.spoke(voice)
    waves.concern([voice])
    assert len(voice.woken) == 2
    waves.leave(voice)
    waves.concern([busy])
    assert len(busy.woken) == 2


async def test_who_leaves_is_not_waited_for() -> None:
    waves, one, other = Waves(), Voice(), Voice()
    waves.concern([one, other])
    waves.concern([one, other])
    waves.leave(other)
    waves.spoke(one)
    assert (len(one.woken), len(other.woken)) == (2, 1)


async def test_a_wave_is_over_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONG", 0.05)
    waves, voice = Waves(), Voice()
    waves.concern([voice])
    waves.concern([voice])
    await asyncio.sleep(0.2)
    assert len(voice.woken) == 2


async def test_streams_merge_what_is_committed_during_a_wave() -> None:
    scene = Scene()
    with scene.stack:
        streams = [scene.stream() for _ in range(5)]
        readers = [stream.responses() for stream in streams]
        for responses in readers:
            await opened(responses)
        waiting = [asyncio.create_task(take(responses)) for responses in readers]
        await ticks()
        for n in range(20):
            scene.put((n % 10, 1_000 + n))
        first = [await task for task in waiting]
        assert {response.to_version for response in first} == {scene.hub.version}
        assert len({response.changes.SerializeToString() for response in first}) == 1
        for responses in readers:
            await responses.aclose()
