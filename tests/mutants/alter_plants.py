"""Planted bugs of altering tables and of exchanging them."""

from __future__ import annotations

from tests.mutants.plant import Plant

REBINDING, HANDOVER, EDIT = "engine/live/rebinding.py", "engine/live/table_handover.py", "engine/live/edit.py"
ALTERING, ALTERED = "engine/live/altering.py", "engine/operators/altered_table.py"
SWAP, SERVED = ("tests/engine/test_swap.py",), ("tests/server/test_swap.py",)
ALTER = ("tests/engine/test_alter.py",)

ALTERATIONS = (
    Plant(
        "a swap leaves the tables their names",
        "engine/live/catalogue.py",
        "one.name, two.name = other, name",
        "one.name, two.name = name, other",
        "writes to a table that was exchanged reach no session",
        tests=SWAP,
        quick=True,
    ),
    Plant(
        "derived tables stay with what they read",
        REBINDING,
        "            for name in self._derived_from():\n                self._derive(name)",
        "            for name in self._derived_from():\n                del name",
        "a derived table shows rows of a table that has another name now",
        tests=SWAP,
    ),
    Plant(
        "who is behind is not told what was before a swap",
        REBINDING,
        "views = [each.session.depart() for each in self._bound]",
        "views = [{w.window: each.session._view(w.window) for w in each.session.watches} for each in self._bound]",
        "a slow reader misses the last commits before a swap",
        tests=SWAP,
    ),
    Plant(
        "readers of a table stay with their rows",
        HANDOVER,
        "[watch for watch in before.watches if watch.follows and watch not in heads]",
        "[watch for watch in before.watches if not watch.follows and watch not in heads]",
        "a watch of a table tells the changes of another one",
        tests=SWAP,
        quick=True,
    ),
    Plant(
        "rows that went with their table are told as filtered",
        "engine/live/session.py",
        "gone = RemoveReason.DELETED if replaced else RemoveReason.FILTERED",
        "gone = RemoveReason.FILTERED",
        "a remove says the wrong reason",
        tests=SWAP,
    ),
    Plant(
        "what was prepared for a refused swap is kept",
        REBINDING,
        "            if not result.sessions:\n                source.remove(result)",
        "            if result.sessions:\n                source.remove(result)",
        "results that nobody reads are maintained for ever",
        tests=SWAP,
    ),
    Plant(
        "a session that misses a column is not asked about",
        REBINDING,
        "refuse_ends([each for each in self.ended if keeps(each.session)])",
        "refuse_ends([each for each in self.ended if not keeps(each.session)])",
        "keep_sessions ends sessions, and without it nothing is altered",
        tests=SWAP,
    ),
    Plant(
        "the column that is missed is named as a join calls it",
        REBINDING,
        "rest = each.removeprefix(prefix)",
        'rest = each.removeprefix("")',
        "a session ends for want of a column that no table has",
        tests=SWAP,
    ),
    Plant(
        "a token says what a table is called and not which it is",
        "server/resume_tokens.py",
        'tables = {name: f"table {self._made(name)}" for name in tables_read(session.resolved.query)}',
        "tables = {name: name for name in tables_read(session.resolved.query)}",
        "who comes back after a swap is led on with the rows of another table",
        tests=SERVED,
        quick=True,
    ),
    Plant(
        "streams of a table stay with the one that they began with",
        "server/host.py",
        "self.audience.move(rebound.relations)",
        "self.audience.move({})",
        "a watch of a table is silent after a swap",
        tests=SERVED,
    ),
    Plant(
        "an anonymous session refuses what a replay does not",
        "server/changes/swaps.py",
        "return lambda session: wanted and not session.name.startswith(ANONYMOUS_PREFIX)",
        "return lambda session: not session.name.startswith(ANONYMOUS_PREFIX)",
        "a swap is refused though nobody asked to keep sessions",
        tests=SERVED,
    ),
    Plant(
        "a null that a text column has not coded yet is looked up",
        EDIT,
        "coded = (used >= 0) & (used < len(texts))",
        "coded = (used >= 0) & (used <= len(texts))",
        "altering a table of nulls fails",
        tests=SWAP,
    ),
    Plant(
        "rows that are made anew keep the old values of a column",
        EDIT,
        "if had is None or had.type is not column.type:",
        "if had is None:",
        "a column of another type shows what it was before",
        tests=ALTER,
    ),
    Plant(
        "steps that took an altered column stay",
        ALTERING,
        "return any(self._copies(each) for each in above(old.source))",
        "return False",
        "a computed column shows what it was before an alteration",
        tests=ALTER,
    ),
    Plant(
        "computed columns do not follow what they read",
        ALTERED,
        "            if not columns_mentioned(column.expression, written):",
        "            if columns_mentioned(column.expression, written):",
        "a computed column keeps its values when a column that it reads is given others",
        tests=ALTER,
    ),
    Plant(
        "a key that is twice is taken",
        ALTERED,
        "        if same.any():",
        "        if same.all() and len(same) > 10**9:",
        "two rows have one key",
        tests=ALTER,
    ),
)
