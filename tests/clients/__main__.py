"""`python -m tests.clients [LANGUAGE ..]` builds, checks and tests the clients of these languages, or all.

`python -m tests.clients toolchains` only says what there is to build them with; in CI it fails where something lacks.

`python -m tests.clients stage [COMMAND ..]` sets up the stage for tests of a client.

Without a command the stage prints the address of its control port, and ends when its stdin ends. With one it runs the
command with TESSERACT_STAGE and TESSERACT_VECTORS set, and ends with its exit code:

    .venv/bin/python -m tests.clients stage go test ./...

`python -m tests.clients relay [--seconds 60] [LANGUAGE ..]` is the relay test alone (see relay.py).

`python -m tests.clients record-errors` writes tests/vectors/errors.json anew.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

from tests.clients.errors import Scene, recorded
from tests.clients.language import LANGUAGES
from tests.clients.relay import SECONDS
from tests.clients.servers import Zygote
from tests.clients.stage import staged
from tests.clients.verify import relay_alone, toolchains, verify
from tests.vectors.errors import PATH, text_of
from tests.vectors.vector import DATA


async def stage(port: int, command: list[str]) -> int:
    """Serves until stdin, or the command, ends."""
    async with staged(port) as address:
        if not command:
            sys.stdout.write(f"{address}\n")
            sys.stdout.flush()
            await _end_of_stdin()
            return 0
        environment = {**os.environ, "TESSERACT_STAGE": address, "TESSERACT_VECTORS": str(DATA.parent)}
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        return await process.wait()


async def _end_of_stdin() -> None:
    """In a thread that nobody waits for, so that a signal can end it all before."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def read() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=read, daemon=True).start()
    await ended.wait()


async def record_errors() -> int:
    """Asks real servers what they say."""
    with tempfile.TemporaryDirectory(prefix="errors-") as folder:
        zygote = Zygote()
        scene = Scene(zygote, Path(folder) / "scene")
        try:
            await scene.set_up()
            calls = await recorded(scene)
        finally:
            await scene.close()
            await zygote.close()
    PATH.write_text(text_of(calls))
    sys.stdout.write(f"{len(calls)} calls, {len({call.reason for call in calls})} reasons\n")
    return 0


def main(words: list[str]) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended, as on Ctrl-C
    if words[:1] == ["stage"]:
        parser.add_argument("--port", type=int, default=0)
        parser.add_argument("command", nargs=argparse.REMAINDER)
        arguments = parser.parse_args(words[1:])
        return asyncio.run(stage(arguments.port, arguments.command))
    if words[:1] == ["relay"]:
        parser.add_argument("--seconds", type=float, default=SECONDS)
        parser.add_argument("languages", nargs="*", choices=[*LANGUAGES, []])
        arguments = parser.parse_args(words[1:])
        return asyncio.run(relay_alone(arguments.languages, arguments.seconds))
    if words == ["toolchains"]:
        return asyncio.run(toolchains())
    if words == ["record-errors"]:
        return asyncio.run(record_errors())
    parser.add_argument("languages", nargs="*", choices=[*LANGUAGES, []])
    return asyncio.run(verify(parser.parse_args(words).languages))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
