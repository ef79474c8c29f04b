"""A live window: filtered, sorted, always right. Usage: python live_view.py [localhost:50051]"""

import asyncio
import sys
from typing import Any

from tesseract_grpc.client import AsyncEventHorizon, AsyncMirror, Change, Delta, Snapshot, WriteBatch

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
    {"id": 5, "symbol": "ECHO", "price": 11.25},
]


def told(change: Change) -> str:
    """What happened to one row."""
    name = f"  {change.kind} {change.key['id']}"
    row = change.row or {}
    match change.kind:
        case "remove":
            return f"{name}: {change.reason}"
        case "update":
            return f"{name}: " + ", ".join(f"price {v:.2f}" for k, v in row.items() if k == "price")
        case "move":
            return f"{name}: to {change.index}"
    return f"{name}: at {change.index}, {row['symbol']} {row['price']:.2f}"


def show(title: str, event: Snapshot | Delta, mirror: AsyncMirror) -> None:
    """A consistent point: what was told, and the rows that follow from it."""
    print(title)
    for change in event.changes if isinstance(event, Delta) else ():
        print(told(change))
    rows = ", ".join(f"{row['symbol']} {row['price']:.2f}" for row in mirror.rows())
    print(f"  = {len(mirror)} of {mirror.total_count}: {rows}")


async def main(address: str) -> None:
    async with asyncio.timeout(60), AsyncEventHorizon.connect(address) as hub:
        await hub.remove_session("live_view_top", allow_missing=True)
        await hub.remove_tesseract("live_view_prices", allow_missing=True)
        prices = await hub.create_tesseract("live_view_prices", columns=COLUMNS)
        await prices.add(ROWS)
        top = await hub.create_session(
            "live_view_top", table=prices, filter="price >= 10", sort=[{"field": "price", "direction": "desc"}]
        )

        mirror = top.mirror(window=(0, 3))
        events: asyncio.Queue[Snapshot | Delta] = asyncio.Queue()
        mirror.on("change", events.put_nowait)
        show("snapshot", await events.get(), mirror)

        await prices.update({"id": 3, "price": 18.0})
        show("CORE comes, ACME leaves the window", await events.get(), mirror)
        await prices.update({"id": 4, "price": 25.0})
        show("DYNE moves to the top", await events.get(), mirror)
        await prices.update({"id": 2, "price": 5.0})
        show("BOLT no longer passes the filter", await events.get(), mirror)
        await prices.remove([3])
        show("CORE is deleted", await events.get(), mirror)
        await prices.update({"id": 1, "price": 12.75})
        show("ACME changes in its place", await events.get(), mirror)

        commit = WriteBatch().add(prices, {"id": 6, "symbol": "FLUX", "price": 30.5})
        await hub.write(commit.update(prices, {"id": 5, "price": 40.0}).remove(prices, [4]))
        show("three writes in one commit are one change", await events.get(), mirror)

        version = (await prices.add({"id": 7, "symbol": "GLUE", "price": 1.0})).version
        await mirror.wait_for(version)
        print("GLUE concerns nobody")
        print(f"  the mirror is as new as the write, and was told {events.qsize()} changes")

        await mirror.close()
        await hub.remove_session("live_view_top")
        await hub.remove_tesseract("live_view_prices")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "localhost:50051"))
