"""A server that plays recordings: `python -m benchmarks.clients.replay FILE`.

It prints its address, and ends with its stdin. A watch is answered by the bytes that were recorded, so what a message
costs here is the call that sends it. The streams stay open at their end, as real ones do. Whatever else a client asks
of a session is answered as the real server did.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from benchmarks.clients.recording import Recordings
from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2, session_service_pb2


def handlers(recordings: Recordings) -> list[grpc.GenericRpcHandler]:
    """What the server answers."""

    async def watch(request: bytes, context: Any) -> AsyncIterator[bytes]:
        asked = session_service_pb2.WatchSessionRequest.FromString(request)
        for message in recordings.watches[asked.name.rpartition("/")[2]].messages:
            yield message
        await asyncio.Event().wait()  # until the client goes

    async def get_session(request: bytes, context: Any) -> bytes:
        asked = session_service_pb2.GetSessionRequest.FromString(request)
        return recordings.watches[asked.name.rpartition("/")[2]].session

    async def request_progress(request: bytes, context: Any) -> bytes:
        return hub_service_pb2.RequestProgressResponse().SerializeToString()

    async def server_info(request: bytes, context: Any) -> bytes:
        return recordings.server_info

    unary: Callable[..., Any] = grpc.unary_unary_rpc_method_handler
    sessions = {"WatchSession": grpc.unary_stream_rpc_method_handler(watch), "GetSession": unary(get_session)}
    hubs = {"RequestProgress": unary(request_progress), "GetServerInfo": unary(server_info)}
    return [
        grpc.method_handlers_generic_handler("tesseract.v1.SessionService", sessions),
        grpc.method_handlers_generic_handler("tesseract.v1.HubService", hubs),
    ]


async def serve(path: Path) -> None:
    """Serves until stdin ends."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0), ("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers(handlers(Recordings.load(path)))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(0)


@contextlib.contextmanager
def replaying(path: Path) -> Iterator[str]:
    """A server of a recording in a process of its own; yields its address."""
    command = [sys.executable, "-m", "benchmarks.clients.replay", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            if not address:
                raise RuntimeError("the server of recordings did not start")
            yield address
        finally:
            process.stdin.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
