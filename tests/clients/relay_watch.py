"""Mirrors a session and says on demand what it holds: the program of the relay test that every client has.

    relay_watch --address A --session NAME

It prints a line when the mirror is live for the first time, and one for each line `digest VERSION` of stdin, as soon as
the mirror is at that version or a later one. It ends with stdin.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from typing import Any

from tesseract_grpc.client import AsyncEventHorizon, Retry, Snapshot
from tesseract_grpc.client.core.digest import digest_of

PATIENCE = 120.0


async def watch(address: str, name: str) -> None:
    """Until stdin ends."""
    async with AsyncEventHorizon.connect(address, retry=Retry(max_backoff=1.0)) as hub:
        mirror = (await hub.get_session(name)).mirror(verify=True)
        seen: Counter[str] = Counter()
        mirror.on("change", lambda event: seen.update(["snapshots" if isinstance(event, Snapshot) else "changes"]))
        mirror.on("resumed", lambda _: seen.update(["resumes"]))
        await mirror.ready(PATIENCE)
        say({"state": "live", "version": mirror.version})
        while line := await asyncio.to_thread(sys.stdin.readline):
            await mirror.wait_for(version=int(line.removeprefix("digest ")), timeout=PATIENCE)
            replica = mirror._watch._verifier._replica  # type: ignore[union-attr]  # values as the wire has them
            say(
                {
                    "version": replica.version,
                    "rows": len(replica),
                    "digest": digest_of(replica.types, replica.rows()).hex(),
                    "resumes": seen["resumes"],
                    "resets": seen["snapshots"] - 1,
                    "changes": seen["changes"],
                }
            )
        await mirror.close()


def say(answer: dict[str, Any]) -> None:
    """One line."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--session", required=True)
    arguments = parser.parse_args()
    asyncio.run(watch(arguments.address, arguments.session))
