"""Parquet: one table, for every tool that reads Parquet; what only we know stands in the metadata of the file.

The definition, hub and version are under the key `tesseract`, with the seal of all row groups: where each ends, how
many rows there are up to there, its CRC, and the SHA-256 of all of them. The footer cannot have a hash of itself; what
it says that matters (columns, numbers of rows) is compared with what the metadata say, which have a hash of their own.
A file of others has none of this: its columns are those of its schema, and nothing of it can be checked but that it can
be read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from ..core.batch import Block
from .arrow_rows import arrow_schema, block_of_batch, record_batch
from .definition import Contents, Origin, TableBackup
from .errors import BackupFailed, BackupReason, damaged
from .formats import load_pyarrow
from .new_file import NewFile, file_errors
from .sealed import Seal, Sealing, sha256_of, where_altered

KEY = b"tesseract"
HASH = b"tesseract.sha256"
FORMAT_VERSION = 1
GROUP_ROWS = 131_072
READ_ROWS = 16_384


class ParquetWriter:
    """Writes one table."""

    def __init__(self, file: NewFile, software: str) -> None:
        load_pyarrow("Parquet")
        self._sealing = Sealing(file.stream)
        self._software = software
        self._contents = Contents()
        self._writer: Any = None
        self._schema: Any = None
        self._waiting: list[Any] = []
        self._rows = 0

    def begin(self, contents: Contents) -> None:
        """What follows: one table."""
        from pyarrow import parquet

        self._contents = contents
        (table,) = contents.tables
        types = table.schema.types
        self._schema = arrow_schema(types, list(types), coded=False)
        self._writer = parquet.ParquetWriter(
            self._sealing, self._schema, compression="zstd", write_page_checksum=True, store_schema=True
        )

    def rows(self, table: TableBackup, block: Block) -> None:
        """Some rows."""
        self._waiting.append(record_batch(block, self._schema))
        self._rows += len(block)
        if self._rows >= GROUP_ROWS:
            self._write()

    def _write(self) -> None:
        import pyarrow

        if self._rows:
            group = pyarrow.Table.from_batches(self._waiting, self._schema)
            self._writer.write_table(group, row_group_size=self._rows)
            self._sealing.mark(self._rows)
            self._waiting, self._rows = [], 0

    def end_table(self, table: TableBackup) -> None:
        """All rows came."""
        self._write()

    def finish(self) -> None:
        """Everything came."""
        (table,), origin = self._contents.tables, self._contents.origin
        known = {
            "format_version": FORMAT_VERSION,
            "software": self._software,
            "hub": origin.hub,
            "epoch": origin.epoch,
            "version": origin.version,
            "time": None if origin.time is None else origin.time.isoformat(),
            "table": table.to_json(),
            "part": self._sealing.seal().to_json(),
        }
        content = json.dumps(known, ensure_ascii=False).encode()
        digest = hashlib.sha256(content).hexdigest()
        self._writer.add_key_value_metadata({KEY: content, HASH: digest.encode()})
        self._writer.close()

    def abandon(self) -> None:
        """Writes nothing more, not even when it is collected."""
        if self._writer is not None:
            self._writer.is_open = False


class ParquetFile:
    """A Parquet file, open for reading. Raises BackupFailed."""

    format_name = "parquet"

    def __init__(self, path: Path) -> None:
        load_pyarrow("Parquet")
        import pyarrow
        from pyarrow import parquet

        self.path = path
        with file_errors(path):
            self._file: IO[bytes] = path.open("rb")
            self.bytes = path.stat().st_size
        try:
            with file_errors(path):
                if self._file.read(4) != b"PAR1":
                    raise BackupFailed(BackupReason.NOT_A_BACKUP, f"{path.name} is no Parquet file")
                try:
                    self._parquet: Any = parquet.ParquetFile(self._file, page_checksum_verification=True)
                except (pyarrow.ArrowException, OSError, ValueError) as error:
                    raise damaged(path.name, f"its footer, at its end, cannot be read: {error}") from None
            self.schema = self._parquet.schema_arrow
            self.row_count = int(self._parquet.metadata.num_rows)
            self.contents, self._seal = self._known()
        except BaseException:
            self._file.close()
            raise

    @property
    def ours(self) -> bool:
        """Whether it was written as a backup."""
        return self._seal is not None

    def _known(self) -> tuple[Contents, Seal | None]:
        metadata = self._parquet.metadata.metadata or {}
        content = metadata.get(KEY)
        if content is None:
            return Contents(), None
        if hashlib.sha256(content).hexdigest().encode() != metadata.get(HASH):
            raise damaged(self.path.name, "what it says of itself in its footer is altered")
        known = json.loads(content)
        if int(known["format_version"]) > FORMAT_VERSION:
            raise BackupFailed(
                BackupReason.NEWER_FORMAT,
                f"{self.path.name} has format {known['format_version']}, and this version reads up to {FORMAT_VERSION}",
            )
        table = TableBackup.of_json(known["table"], self.path.name)
        time = known["time"]
        origin = Origin(
            known["hub"], known["epoch"], known["version"], None if time is None else datetime.fromisoformat(time)
        )
        types = table.schema.types
        if self.schema.remove_metadata() != arrow_schema(types, list(types), coded=False):
            raise damaged(self.path.name, "the columns in its footer are not those that were written")
        seal = Seal.of_json(known["part"])
        if not self.row_count == seal.rows == table.rows:
            raise damaged(
                self.path.name, f"its footer tells of {self.row_count:,} rows, and {seal.rows:,} were written"
            )
        return Contents(origin, (table,)), seal

    def check(self, tell: Callable[[int], None]) -> None:
        """Raises BackupFailed unless its rows are as they were written; of a file of others nothing is known."""
        tell(self.bytes)
        if self._seal is None:
            return
        with file_errors(self.path):
            if sha256_of(self._file, 0, self._seal.bytes) != self._seal.sha256:
                where = where_altered(self._file, 0, self._seal)
                raise damaged(self.path.name, f"it is altered in {where}")
            for _ in self.batches():  # the footer says where columns are: a wrong word there is found by reading
                pass

    def batches(self) -> Iterator[Any]:
        """The rows as Arrow record batches. Raises BackupFailed."""
        import pyarrow

        rows = 0
        try:
            for batch in self._parquet.iter_batches(batch_size=READ_ROWS):
                rows += batch.num_rows
                yield batch
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise damaged(self.path.name, f"it cannot be read behind row {rows:,}: {error}") from None
        if rows != self.row_count:
            raise damaged(self.path.name, f"it has {rows:,} rows, and its footer tells of {self.row_count:,}")

    def blocks(self, table: TableBackup) -> Iterator[Block]:
        """The rows, in their order, some thousand at a time."""
        types = table.schema.types
        for batch in self.batches():
            yield block_of_batch(batch, types)

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()
