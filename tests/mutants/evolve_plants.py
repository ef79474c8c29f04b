"""Planted bugs of migrations of the schema and of the compatible client: what would do something twice, or not at all,
or take the word of a history that is not true."""

from __future__ import annotations

from tests.mutants.plant import Plant

MIGRATIONS = ("tests/client/sync/test_schema_migrator.py",)
COMPAT = ("tests/client/test_compat.py",)

EVOLUTION = (
    Plant(
        "a migration that was begun counts as applied",
        "client/evolve/history.py",
        'if entry.state != "applied":',
        'if entry.state == "failed":',
        "a migrator is killed, and the next one goes on with the next migration",
        tests=MIGRATIONS,
    ),
    Plant(
        "what was applied may change",
        "client/evolve/plan.py",
        "        if not entry.is_of(migration):\n            message",
        "        if not entry.is_of(migration) and version < 0:\n            message",
        "a hub and the files say different things, and nobody notices",
        tests=MIGRATIONS,
    ),
    Plant(
        "a step has another id each time",
        "client/sync/evolve.py",
        "{row['applied_at'].timestamp():.6f}",
        "{time.time():.6f}",
        "a migrator is killed behind a step, and the step is done twice",
        tests=MIGRATIONS,
    ),
    Plant(
        "a lock is taken over while its owner lives",
        "client/sync/schema_lock.py",
        "since >= self._lease else None",
        "since >= 0 else None",
        "two migrators run at once",
        tests=MIGRATIONS,
    ),
    Plant(
        "a row is replaced where it should be passed over",
        "client/compat/table.py",
        "return self.tesseract.add(rows, condition=_UNLESS_THERE)",
        "return self.tesseract.upsert(rows)",
        "an add of the ancestor's style overwrites what is there",
        tests=COMPAT,
    ),
)
