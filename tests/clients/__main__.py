"""`python -m tests.clients stage [COMMAND ..]`.

Without a command the stage prints the address of its control port, and ends when its stdin ends. With one it runs the
command with TESSERACT_STAGE and TESSERACT_VECTORS set, and ends with its exit code:

    .venv/bin/python -m tests.clients stage go test ./...
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from tests.clients.stage import staged
from tests.vectors.vector import DATA


async def stage(port: int, command: list[str]) -> int:
    """Serves until stdin, or the command, ends."""
    async with staged(port) as address:
        if not command:
            sys.stdout.write(f"{address}\n")
            sys.stdout.flush()
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
            return 0
        environment = {**os.environ, "TESSERACT_STAGE": address, "TESSERACT_VECTORS": str(DATA.parent)}
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        return await process.wait()


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    staging = commands.add_parser("stage")
    staging.add_argument("--port", type=int, default=0)
    staging.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    return asyncio.run(stage(arguments.port, arguments.command))


if __name__ == "__main__":
    sys.exit(main())
