"""Leave with a bookmark, come back with it: only what was missed is told. Usage: python resume.py [localhost:50051]"""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tesseract_grpc.client import AsyncEventHorizon, AsyncMirror, Delta, MirrorBookmark, Row, Snapshot

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "symbol", "type": "string"},
    {"name": "price", "type": "float64"},
]
ROWS = [
    {"id": 1, "symbol": "ACME", "price": 12.5},
    {"id": 2, "symbol": "BOLT", "price": 20.25},
    {"id": 3, "symbol": "CORE", "price": 9.75},
    {"id": 4, "symbol": "DYNE", "price": 15.5},
]


def listed(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row['symbol']} {row['price']:.2f}" for row in rows)


async def leave(address: str) -> MirrorBookmark:
    """Makes the table and the session, looks at it, and disconnects; returns where it was."""
    async with AsyncEventHorizon.connect(address) as hub:
        await hub.remove_session("resume_board", allow_missing=True)
        await hub.remove_tesseract("resume_prices", allow_missing=True)
        prices = await hub.create_tesseract("resume_prices", columns=COLUMNS)
        await prices.add(ROWS)
        board = await hub.create_session("resume_board", table=prices, sort=[{"field": "price", "direction": "desc"}])
        async with board.mirror() as mirror:
            print("before:", listed(mirror.rows()))
            return mirror.bookmark()


async def change(address: str) -> None:
    """Somebody else writes: three commits."""
    async with AsyncEventHorizon.connect(address) as hub:
        prices = await hub.get_tesseract("resume_prices")
        await prices.update({"id": 3, "price": 30.5})
        await prices.remove([2])
        await prices.add({"id": 5, "symbol": "ECHO", "price": 10.25})
    print("meanwhile: CORE rises to 30.50, BOLT is deleted, ECHO comes")


async def come_back(address: str, bookmark: MirrorBookmark) -> None:
    """A new connection, with the bookmark."""
    async with asyncio.timeout(60), AsyncEventHorizon.connect(address) as hub:
        prices = await hub.get_tesseract("resume_prices")
        board = await hub.get_session("resume_board")
        mirror = board.mirror(resume=bookmark)
        events: asyncio.Queue[Snapshot | Delta] = asyncio.Queue()
        mirror.on("change", events.put_nowait)
        mirror.on(
            "resumed", lambda resumed: print("resumed at the bookmark:", yes(resumed.version == bookmark.version))
        )
        show(await events.get(), mirror)
        await prices.update({"id": 1, "price": 50.0})
        show(await events.get(), mirror)
        fresh = await board.get_data(min_version=mirror.version)
        print("the same as a fresh query:", yes(fresh == mirror.rows()))
        await mirror.close()
        await hub.remove_session("resume_board")
        await hub.remove_tesseract("resume_prices")


def show(event: Snapshot | Delta, mirror: AsyncMirror) -> None:
    """What was told, and the rows that follow from it."""
    if isinstance(event, Snapshot):
        print(f"snapshot of {len(event.rows)} rows")
    else:
        print("change:", ", ".join(sorted(f"{change.kind} {change.key['id']}" for change in event.changes)))
    print("  =", listed(mirror.rows()))


def yes(found: bool) -> str:
    return str(found).lower()


def main(address: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "board.bookmark"
        file.write_bytes(asyncio.run(leave(address)).to_bytes())
        print("the bookmark is saved, the connection closed")
        asyncio.run(change(address))
        bookmark = MirrorBookmark.from_bytes(file.read_bytes())
        print("in the file:", listed(bookmark.rows))
        asyncio.run(come_back(address, bookmark))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "localhost:50051")
