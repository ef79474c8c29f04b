"""What a hub keeps in Redis, by key. All keys of a hub share a hash tag, so they are in one slot of a Cluster.

tesseract:{hub}:log              the stream of entries; an entry's id is `<position>-0`
tesseract:{hub}:line             a hash: the format, the epoch, the secret, the position and name of the last entry
tesseract:{hub}:sent:<node>      how far the batches of a node have come, so that one which is sent twice is taken once
tesseract:{hub}:snapshots        the snapshots that are kept, by position
tesseract:{hub}:snapshot:<name>  the pieces of one
tesseract:{hub}:lease:<what>     which node does what only one may do, and until when
tesseract:{hub}:node:<node>      what a node says of itself; it goes when the node is gone
"""

from __future__ import annotations

from dataclasses import dataclass

FORMAT = 1
"""The version of this layout. A program refuses a later one."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one hub."""

    hub: str

    @property
    def _base(self) -> str:
        return f"tesseract:{{{self.hub}}}"

    @property
    def log(self) -> str:
        return f"{self._base}:log"

    @property
    def line(self) -> str:
        return f"{self._base}:line"

    @property
    def snapshots(self) -> str:
        return f"{self._base}:snapshots"

    def sent(self, node: str) -> str:
        return f"{self._base}:sent:{node}"

    def snapshot(self, name: str) -> str:
        return f"{self._base}:snapshot:{name}"

    def lease(self, what: str) -> str:
        return f"{self._base}:lease:{what}"

    def node(self, node: str) -> str:
        return f"{self._base}:node:{node}"

    @property
    def nodes(self) -> str:
        """A pattern of the keys of all nodes."""
        return f"{self._base}:node:*"
