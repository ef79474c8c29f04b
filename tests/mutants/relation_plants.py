"""Planted bugs of joins, lookups, unions and of the planner that makes them."""

from __future__ import annotations

from tests.mutants.plant import Plant

LOOKUP, JOIN, INDEX, KEYS = (
    "engine/operators/lookup.py",
    "engine/operators/join.py",
    "engine/operators/join_index.py",
    "engine/operators/join_keys.py",
)
UNION, RELATIONS = "engine/operators/union.py", "engine/live/resolve_relations.py"
OPERATORS = ("tests/engine/test_relations_operators.py",)
SESSIONS = ("tests/engine/test_relations_sessions.py",)

JOINS = (
    Plant(
        "a right row that changes tells nobody",
        LOOKUP,
        "return np.unique(numbers[self.chosen[numbers] == slots])",
        "return np.unique(numbers[self.chosen[numbers] != slots])",
        "the name of an airline changes and its flights show the old one",
        tests=OPERATORS,
        quick=True,
    ),
    Plant(
        "when the first of several goes, nobody follows",
        LOOKUP,
        "bereft = touched[(was >= 0) & ~stays]",
        "bereft = touched[(was >= 0) & ~stays][:0]",
        "a lookup is null though other rows match",
        tests=OPERATORS,
    ),
    Plant(
        "the last of several is looked up",
        "engine/operators/precedence.py",
        "first[1:] = ordered[1:] != ordered[:-1]",
        "first = np.append(ordered[1:] != ordered[:-1], [True] * (len(ordered) > 0)).astype(np.bool_)",
        "a lookup finds another row than the first",
        tests=OPERATORS,
    ),
    Plant(
        "rows that are left out take new values with them",
        LOOKUP,
        "if len(left_out) or left.removed_before or self.base.alive[gone].any():",
        "if left.removed_before and len(gone) > len(self.base.alive):",
        "groups over an inner join subtract other values than they added",
        tests=OPERATORS,
    ),
    Plant(
        "null equals null",
        KEYS,
        "            if valid is not None:\n                present &= valid",
        "            if valid is None:\n                present &= True",
        "rows without a carrier are joined with each other",
        tests=("tests/engine/test_relations_semantics.py",),
        quick=True,
    ),
    Plant(
        "a key is given back while a side holds it",
        INDEX,
        "(self.left.rows.count[numbers] == 0) & (self.right.rows.count[numbers] == 0)",
        "(self.left.rows.count[numbers] == 0) | (self.right.rows.count[numbers] == 0)",
        "rows with different keys are joined",
        tests=OPERATORS,
    ),
    Plant(
        "left rows whose partners all went are forgotten",
        JOIN,
        "bare = keys[self.index.right.rows.count[keys] == 0]",
        "bare = keys[self.index.right.rows.count[keys] < 0]",
        "a left join loses rows when their last match goes",
        tests=OPERATORS,
        quick=True,
    ),
    Plant(
        "one side of a join follows late",
        JOIN,
        "            index.left.settle(left)\n            index.right.settle(right)\n            after",
        "            index.left.settle(left)\n            after",
        "a commit to both sides joins rows as they were",
        tests=OPERATORS,
    ),
    Plant(
        "joined rows keep old values",
        JOIN,
        "there = rows >= 0  # those that come are placed with their new values",
        "there = (rows >= 0) & (len(rows) < 2)",
        "a change of a row with several partners is shown by none",
        tests=OPERATORS,
    ),
    Plant(
        "old pairs are believed",
        INDEX,
        "        true = self.number[slots] == numbers[owners]\n",
        "        true = self.number[slots] >= 0\n",
        "rows are joined under a key that they had before",
        tests=OPERATORS,
    ),
    Plant(
        "branches share their rows",
        UNION,
        "return slots.astype(np.int64) * len(self.inputs) + which",
        "return slots.astype(np.int64) * len(self.inputs) + min(which, 1)",
        "the third source of a union overwrites the second",
        tests=("tests/engine/test_relations_union.py",),
    ),
    Plant(
        "texts of a union keep the codes of their sources",
        "engine/operators/code_map.py",
        "            self._codes[fresh] = self._target.encode([texts[code] for code in fresh.tolist()])\n",
        "            self._codes[fresh] = fresh % max(1, len(self._target.encode(texts)))\n",
        "rows of one table show texts of another",
        tests=("tests/engine/test_relations_union.py",),
    ),
    Plant(
        "conditions pass the right side of a left join",
        RELATIONS,
        "if join.kind is JoinKind.INNER:\n            names",
        "if join.kind:\n            names",
        "rows that a filter excludes come back without their partner",
        tests=SESSIONS,
        quick=True,
    ),
    Plant(
        "conditions pass window columns",
        RELATIONS,
        "if query.window_columns or not conditions:",
        "if not conditions:",
        "rows are numbered after they have been filtered from outside",
        tests=SESSIONS,
    ),
    Plant(
        "conditions on groups pass them",
        RELATIONS,
        "return _within(movable(conditions), group.by)",
        "return _within(movable(conditions), (*group.by, *(each.column for each in group.aggregates)))",
        "a condition on a sum is asked of the rows",
        tests=SESSIONS,
    ),
    Plant(
        "the history is trimmed before all have followed",
        "engine/live/source.py",
        "            self.wave.overfull[self] = None",
        "            self.trim()",
        "a reader of a join that lags misses a commit",
        tests=SESSIONS,
    ),
    Plant(
        "the history of a result is trimmed in the middle of a tick",
        "engine/live/result.py",
        "        self.history.append(entry)\n",
        "        self.history.append(entry)\n        self.trim()\n",
        "a reader that lags misses a part of a tick",
        tests=("tests/engine/test_relations_ticks.py",),
    ),
)
