"""Planted bugs of backups and restores: a file that is not what there was, or is found wanting when it is needed."""

from __future__ import annotations

from tests.mutants.plant import Plant

STILL, DEFINITIONS = "engine/live/still.py", "server/backup/definitions.py"
INCOMING, CONTAINER, TEXTS = (
    "client/backup/incoming.py",
    "client/backup/container_file.py",
    "client/backup/value_texts.py",
)
REFERENCES, NEW_FILE, RESTORE = (
    "client/backup/references.py",
    "client/backup/new_file.py",
    "client/sync/restore.py",
)

READING = ("tests/engine/test_still.py",)
STREAM = ("tests/backup/test_incoming.py",)
FORMATS = ("tests/backup/test_formats.py",)
DAMAGE = ("tests/backup/test_damage.py",)
RESTORES = ("tests/backup/test_restore.py",)

BACKUPS = (
    Plant(
        "a piece is read without looking what was written",
        STILL,
        '        """\n        self.keep()\n        slots = self._order',
        '        """\n        slots = self._order',
        "a backup has rows as they were later",
        quick=True,
        tests=READING,
    ),
    Plant(
        "what came later is taken for what was there",
        STILL,
        "np.flatnonzero(debt.was & (debt.sequence < self._newest))",
        "np.flatnonzero(debt.was)",
        "a backup has a row of later in the place of one that was removed",
        tests=READING,
    ),
    Plant(
        "the later of two old values is kept",
        STILL,
        "        new = np.flatnonzero(self._where[slots] < 0)\n",
        "        new = np.arange(len(slots))\n",
        "a row that was written twice is in the backup as it was in between",
        tests=READING,
    ),
    Plant(
        "a query that means something else is told as it was given",
        DEFINITIONS,
        "            return closed(kept.given, self._definition) == kept.closed\n",
        "            return closed(kept.given, self._definition) is not None\n",
        "a session that reads one which was edited since shows other rows when it is restored",
        tests=FORMATS,
    ),
    Plant(
        "digests are not compared",
        INCOMING,
        "        if self._hash.digest() != end.digest:\n",
        "        if not end.digest:\n",
        "a value that changed on the way is written into the backup",
        tests=STREAM,
    ),
    Plant(
        "the hash of a container is not compared",
        CONTAINER,
        "        if found.hexdigest() != self._awaited:\n",
        "        if not self._awaited:\n",
        "an altered backup is restored",
        tests=DAMAGE,
    ),
    Plant(
        "the empty text is written as null",
        TEXTS,
        '_NULL_WORDS = frozenset({"", "NA"',
        '_NULL_WORDS = frozenset({"NA"',
        "CSV: empty texts come back as nulls",
        tests=FORMATS,
    ),
    Plant(
        "what reads a table that was renamed reads the old name",
        REFERENCES,
        "table_name(hub, tables.get(name, name))",
        "table_name(hub, name)",
        "a restored session shows the rows of the original",
        tests=RESTORES,
    ),
    Plant(
        "a failed restore leaves the tables that it has named",
        RESTORE,
        "                self._hub.remove_tesseract(other, allow_missing=True)\n",
        "                self._hub.remove_tesseract(name, allow_missing=True)\n",
        "half of a backup is there",
        tests=RESTORES,
    ),
    Plant(
        "a file that is there is replaced",
        NEW_FILE,
        "        if not overwrite and path.exists():\n            raise _exists(path)\n",
        "        self._overwrite = True\n",
        "yesterday's backup is gone",
        tests=DAMAGE,
    ),
)
