"""A hub that is made anew, because the log of several nodes lost what was applied here.

What this node has is of a line that is no more. A new epoch is begun (by the first node that notices), the hub is built
again beside the old one from what the log has, and takes its place. Every call and watch of the old one ends with
EPOCH_CHANGED; who comes back with a token is told `Reset` with OTHER_EPOCH and which versions are lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from tesseract_grpc.engine.data.commit_log import LogDamaged, LogFailed, LogForked, LogGone, LogTrimmed
from tesseract_grpc.server.errors import Refusal, ServerReason
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.journal import HEALING_INTERVAL
from tesseract_grpc.server.logs import logger
from tesseract_grpc.server.names import of_hub
from tesseract_grpc.server.shared_journal import Loss, SharedJournal

MENDED = (LogForked, LogTrimmed)
"""What a hub that is built anew has not: entries that the log has lost, or has forgotten. Where the log itself is gone,
or cannot be read, there is nothing to build from."""

_PATIENCE = 10.0
"""Seconds in which the streams of the old hub may say what they owe."""


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """Builds hubs of a server anew. `adopt` is told of each that has taken the place of another."""

    hosts: Hosts
    adopt: Callable[[Host], None]

    async def run(self, old: Host, why: Exception) -> None:
        """Builds one anew, however often that has to be tried; not where there is nothing to build from."""
        if not isinstance(why, MENDED) or not isinstance(old.journal, SharedJournal):
            return
        journal, loss = old.journal, None
        while True:
            try:
                if loss is None and isinstance(why, LogForked):
                    loss = await journal.renew()
                new = await self._built(old.name)
                break
            except (LogGone, LogDamaged) as error:
                logger().error("hub.not_rebuilt", hub=old.name, error=str(error))
                return
            except (LogFailed, LogForked) as error:
                logger().info("hub.rebuilding", hub=old.name, error=str(error))
                await asyncio.sleep(HEALING_INTERVAL)
        self._replace(old, new, loss or Loss())
        until = time.monotonic() + _PATIENCE
        while old.audience.count and time.monotonic() < until:  # noqa: ASYNC110 (streams tell nobody that they end)
            await asyncio.sleep(0.05)
        await old.close()

    async def _built(self, name: str) -> Host:
        """A hub from what the log has. Raises LogFailed, LogDamaged."""
        host = await self.hosts.opened(name)
        try:
            await host.journal.recover()
            host.journal.start()
        except BaseException:
            await host.close()
            raise
        return host

    def _replace(self, old: Host, new: Host, loss: Loss) -> None:
        new.tokens.before = f"the hub began a new epoch: {loss}"
        self.hosts.replace(new)
        self.adopt(new)
        refusal = Refusal(
            ServerReason.EPOCH_CHANGED,
            f"hub '{old.name}' began a new epoch: {loss}",
            resource=of_hub(old.name),
            retry_after=0.05,
        )
        old.end(refusal)
        logger().error(
            "hub.rebuilt", hub=old.name, epoch=new.hub.epoch, version=new.hub.version, lost=loss.commits, why=str(loss)
        )
