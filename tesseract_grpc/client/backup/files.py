"""A backup, opened: what it holds, whether it is whole, and its rows, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from ..core.batch import Block
from ..core.datatype import DataType
from .arrow_rows import table_type
from .container_file import ContainerFile
from .csv_file import CsvFile, numbers
from .definition import Contents, TableBackup
from .errors import BackupFailed, BackupReason
from .formats import Format, format_of
from .inference import Inference, Looked, infer, key_candidates, see_values
from .json_file import JsonFile, JsonLinesFile
from .options import RestoreSettings
from .parquet_file import ParquetFile
from .report import BackupInfo
from .table_names import table_id


class BackupFile(Protocol):
    """A file that was checked. All of it may be called in a thread, one call after the other."""

    path: Path
    bytes: int
    contents: Contents

    def blocks(self, table: TableBackup) -> Iterator[Block]:
        """The rows of a table, in their order, some thousand at a time. Raises BackupFailed."""

    def close(self) -> None:
        """Lets go of the file."""


class ForeignParquet:
    """A Parquet file of others: it has types, and no key."""

    def __init__(self, file: ParquetFile) -> None:
        self._file = file
        self.path, self.bytes = file.path, file.bytes
        self.contents = Contents()
        self.inference: Inference | None = None

    def look(self, settings: RestoreSettings) -> None:
        """Sees which column is the key. O(rows of the candidates)."""
        name, schema = table_id(self.path), self._file.schema
        types: dict[str, DataType] = {}
        for field in schema:
            found = table_type(field.type)
            if found is None:
                hint = "convert the file, or leave the column out of it"
                message = f'{self.path.name}: column "{field.name}" is {field.type}, which no column type can hold'
                raise BackupFailed(BackupReason.NOT_INFERRED, message, hint=hint)
            types[field.name] = found
        candidates = key_candidates(schema.names, name)
        looked = {each: Looked(hashes=[] if each in candidates else None) for each in schema.names}
        for batch in self._file.batches():
            for each in candidates:
                see_values(looked[each], batch.column(each).to_pylist(), _any_form)
        self.inference = infer(name, looked, self._file.row_count, settings, documents=True, sure=types)
        self.contents = Contents(tables=(self.inference.table,))

    def blocks(self, table: TableBackup) -> Iterator[Block]:
        """The rows."""
        from .arrow_rows import block_of_batch

        assert self.inference is not None, "it has been looked at"
        row = 0
        for batch in self._file.batches():
            block = block_of_batch(batch, table.schema.types)
            yield Block(len(block), {**numbers(self.inference.numbered, row, len(block)), **block.columns})
            row += len(block)

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()


def _any_form(value: object) -> object:
    from .inference import Form

    return Form.TEXT


Opened = tuple[BackupFile, Format, BackupInfo]


def open_checked(path: Path, settings: RestoreSettings, tell: Callable[[int, int], None]) -> Opened:
    """A backup that is whole, and what is in it; `tell` hears of bytes that were checked, and of how many there are.
    Raises BackupFailed. O(bytes)."""
    format = format_of(path, settings.format)
    file = _open(path, format)
    try:
        file.check(lambda done: tell(done, file.bytes))
        opened: BackupFile = file
        inference: Inference | None = None
        checked = True
        if isinstance(file, CsvFile | JsonFile | JsonLinesFile):
            file.look(settings)
            inference, checked = file.inference, file.checked or file._source.gzipped
        elif isinstance(file, ParquetFile) and not file.ours:
            opened = foreign = ForeignParquet(file)
            foreign.look(settings)
            inference, checked = foreign.inference, False
        elif settings.columns is not None or settings.key:
            raise BackupFailed(
                BackupReason.BAD_OPTION, f"{path.name} says what its columns and keys are", field="columns"
            )
        return opened, format, _info(opened, format, inference, checked=checked)
    except BaseException:
        file.close()
        raise


def _open(path: Path, format: Format) -> ContainerFile | ParquetFile | JsonFile | JsonLinesFile | CsvFile:
    match format.name:
        case "container":
            return ContainerFile(path)
        case "parquet":
            return ParquetFile(path)
        case "json":
            return JsonFile(path, gzipped=format.gzipped)
        case "jsonl":
            return JsonLinesFile(path, gzipped=format.gzipped)
        case "csv":
            return CsvFile(path, gzipped=format.gzipped)


def _info(file: BackupFile, format: Format, inference: Inference | None, *, checked: bool) -> BackupInfo:
    contents = file.contents
    origin = contents.origin
    return BackupInfo(
        file.path,
        str(format),
        file.bytes,
        origin.hub,
        origin.epoch,
        origin.version,
        origin.time,
        {table.name: table.rows for table in contents.tables},
        tuple(session.name for session in contents.sessions),
        checked,
        None if inference is None else inference.report,
    )


def check_backup(path: str | Path, *, format: str | None = None) -> BackupInfo:
    """Reads a backup through, without a hub: what it holds, and that it is as it was written, as far as its format can
    tell. Raises BackupFailed, which says where it is not. O(bytes)."""
    file, _, info = open_checked(Path(path), RestoreSettings(format=format), lambda done, total: None)
    file.close()
    return info
