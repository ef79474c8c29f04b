"""One backup on its way to its client.

The loop copies a piece of rows in about a millisecond; a worker thread encodes it and takes its digest, while the
piece before is on its way. So two pieces are held, and whatever was written meanwhile and is still to be sent, as it
was. That grows when the client does not read: a patrol looks at it, and at how long the client takes, and may end the
call.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.schema import ColumnSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.live.still import Still
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.digest import digest_of
from tesseract_grpc.server.codec.pieces import row_pieces
from tesseract_grpc.server.errors import Refusal, ServerReason
from tesseract_grpc.server.host import Host
from tesseract_grpc.server.names import of_table

pb = twin.hub_service

CELLS = 200_000
"""So many values are copied in one step: about a millisecond."""
SMALLEST = 64
PATROL = 0.25
"""Seconds between two looks at what is kept."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Some rows of a table as a response, and their digest."""

    response: bytes
    digest: bytes


class Transfer:
    """The rows of a backup. Use it as a context manager: it holds on to history."""

    def __init__(self, host: Host, call: Call, stills: Mapping[str, Still]) -> None:
        self._host = host
        self._call = call
        self._stills = stills
        self._given_at = 0.0  # since when a response waits to be taken
        self._patrol: asyncio.Task[None] | None = None
        self.rows = self.bytes = 0
        host.backups.add(self)

    async def __aenter__(self) -> Self:
        self._patrol = asyncio.create_task(self._keep_patrolling())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._patrol is not None:
            self._patrol.cancel()
        self._host.backups.discard(self)
        for still in self._stills.values():
            still.close()

    @property
    def kept_bytes(self) -> int:
        """The memory of rows as they were. O(tables)."""
        return sum(still.kept_bytes for still in self._stills.values())

    async def responses(self, begin: pb.BackupResponse) -> AsyncGenerator[bytes, None]:
        """All responses. Raises Refusal when a table cannot be read on."""
        yield self._hand_over(begin.SerializeToString())
        for name, still in self._stills.items():
            hashed = hashlib.sha256()
            async for encoded in self._rows(name, still):
                hashed.update(encoded.digest)
                yield self._hand_over(encoded.response)
            still.close()
            self.rows += still.row_count
            end = pb.BackupTableEnd(
                table=of_table(self._host.name, name), row_count=still.row_count, digest=hashed.digest()
            )
            yield self._hand_over(pb.BackupResponse(table_end=end).SerializeToString())
        yield self._hand_over(pb.BackupResponse(end=pb.BackupEnd(row_count=self.rows)).SerializeToString())
        self._given_at = 0.0

    def _hand_over(self, response: bytes) -> bytes:
        self._given_at = time.monotonic()
        self.bytes += len(response)
        self._host.meters.backups.sent_bytes += len(response)
        return response

    async def _rows(self, name: str, still: Still) -> AsyncGenerator[Encoded, None]:
        """The rows of a table, encoded; the next piece is made while one is being sent."""
        await asyncio.to_thread(still.arrange)
        columns = still.shown
        most = max(SMALLEST, CELLS // len(columns))
        following = self._begin(name, still, columns, most)
        while following is not None:
            self._given_at = 0.0
            pieces = await following
            following = self._begin(name, still, columns, most)
            for number, piece in enumerate(pieces):
                if number:
                    self._given_at = 0.0
                yield piece

    def _begin(
        self, name: str, still: Still, columns: Sequence[ColumnSchema], most: int
    ) -> asyncio.Future[list[Encoded]] | None:
        if still.closed is not None and still.closed is not Reason.TABLE_DELETED:
            message = f"table '{name}' was changed in the middle of the backup: {still.closed}"
            raise Refusal(
                Reason.TABLE_CHANGED, message, resource=of_table(self._host.name, name), hint="begin the backup again"
            )
        if not still.left:
            return None
        batch = still.read(most)
        self._host.meters.backups.rows += batch.length
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(None, _encode, columns, batch, self._host.config.piece_bytes)

    async def _keep_patrolling(self) -> None:
        """Ends the call when its client does not read."""
        config = self._host.config
        while True:
            await asyncio.sleep(PATROL)
            for still in self._stills.values():
                still.keep()
            waited = time.monotonic() - self._given_at if self._given_at else 0.0
            if waited >= config.slow_reader_timeout:
                self._cut(f"the client has not taken a response for {config.slow_reader_timeout:g} s")
            elif self.kept_bytes > config.backup_bytes:
                self._cut(
                    f"rows that were written meanwhile and are still to be sent take {self.kept_bytes:,} bytes, and"
                    f" backup_bytes is {config.backup_bytes:,}"
                )

    def _cut(self, message: str) -> None:
        self._call.cut_off(Refusal(ServerReason.SLOW_READER, message, hint="read faster, or raise backup_bytes"))


def _encode(columns: Sequence[ColumnSchema], batch: Batch, piece_bytes: int) -> list[Encoded]:
    """Rows as responses. It runs in a worker thread, and nobody else has the batch. O(cells)."""
    found = []
    for start, message in row_pieces(batch, piece_bytes):
        rows = batch.slice(start, start + message.row_count)
        found.append(Encoded(pb.BackupResponse(rows=message).SerializeToString(), digest_of(columns, rows)))
    return found
