"""`python -m tests.vectors record [NAME ..]` writes the vectors anew; `play` serves them and prints its address."""

from __future__ import annotations

import asyncio
import sys

from tests.vectors.by_hand import by_hand
from tests.vectors.record import recorded
from tests.vectors.scenes import SCENES
from tests.vectors.vector import DATA


async def record(names: list[str]) -> None:
    """Records the vectors of these names, or all."""
    DATA.mkdir(exist_ok=True)
    for vector in SCENES:
        if not names or vector.name in names:
            found = await recorded(vector)
            found.path.write_text(found.text())
            sys.stdout.write(f"{vector.name}: {sum(len(s.responses) for s in found.streams)} responses\n")
    for vector in by_hand():  # of what has been recorded
        if not names or vector.name in names:
            vector.path.write_text(vector.text())


async def play() -> None:
    """Serves the vectors until the process is ended."""
    from tests.vectors.player import playing

    async with playing() as player:
        sys.stdout.write(f"{player.address}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(play() if sys.argv[1:2] == ["play"] else record(sys.argv[2:]))
