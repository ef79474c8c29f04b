"""The planted bugs, each a single change of the engine. `quick` ones are planted in every test run."""

from __future__ import annotations

from tests.mutants.aggregate_plants import AGGREGATES
from tests.mutants.alter_plants import ALTERATIONS
from tests.mutants.backup_plants import BACKUPS
from tests.mutants.debug_plants import DEBUG
from tests.mutants.diagnosis_plants import DIAGNOSIS
from tests.mutants.durability_plants import DURABILITY
from tests.mutants.evolve_plants import EVOLUTION
from tests.mutants.expression_plants import EXPRESSIONS
from tests.mutants.plant import Plant
from tests.mutants.relation_plants import JOINS
from tests.mutants.retention_plants import RETENTIONS

ORDER, WORDS = "engine/operators/order.py", "engine/operators/sort_words.py"
FILTER, LEAF, PREDICATE = (
    "engine/operators/filter.py",
    "engine/operators/predicate_leaf.py",
    "engine/operators/predicate.py",
)
TRANSACTION, TABLE, INDEX, COLUMN = (
    "engine/data/transaction.py",
    "engine/data/table.py",
    "engine/data/index.py",
    "engine/data/column.py",
)
WATCH, ROUTING, CONFLATION = "engine/live/watch.py", "engine/live/routing.py", "engine/live/conflation.py"

ORDERING = (
    Plant(
        "tie break the wrong way",
        WORDS,
        "less: BoolArray = left[0] < right[0]",
        "less: BoolArray = left[0] > right[0]",
        "a row that comes is put among those that it ties with by descending key",
        quick=True,
    ),
    Plant(
        "nulls first when descending",
        WORDS,
        "np.uint64(0 if nulls_first else MAX_WORD)",
        "np.uint64(0 if nulls_first or descending else MAX_WORD)",
        "nulls lead a descending sort",
    ),
    Plant(
        "insert position not shifted",
        ORDER,
        "places = self._places(slots, first) + np.arange(count)",
        "places = self._places(slots, first)",
        "two rows of one commit take one place",
        quick=True,
    ),
    Plant(
        "a tie is no tie for one row",
        "engine/operators/ordered_rows.py",
        "self._word_view[after] == word else place",
        "self._word_view[after] < word else place",
        "a single row is put before all that tie with it",
    ),
    Plant(
        "only the last sort key moves rows",
        ORDER,
        "self.sort_mask |= column_bit(position)",
        "self.sort_mask = column_bit(position)",
        "a row whose other sort column changed stays where it was",
    ),
    Plant(
        "window off by one",
        "engine/query/query.py",
        "min(count, start + self.limit)",
        "min(count, start + self.limit + (start > 0))",
        "a page that is not the first has a row too many",
        quick=True,
    ),
)

FILTERING = (
    Plant(
        "rows that leave the filter stay",
        FILTER,
        "entered, left = now & ~was, (was & ~now).nonzero()[0]",
        "entered, left = now & ~was, (was & ~now).nonzero()[0][:0]",
        "FILTERED removes are not sent",
        quick=True,
    ),
    Plant(
        "a single row that enters is an update",
        FILTER,
        "return ChangeKind.INSERTED if now else None",
        "return ChangeKind.UPDATED if now else None",
        "a row that comes into the filter is never inserted",
    ),
    Plant(
        "null counts as true",
        LEAF,
        "result = table.take(values)\n        if valid is not None:\n            result &= valid",
        "result = table.take(values)\n        if valid is not None:\n            result |= ~valid",
        "text conditions keep rows without a text",
        quick=True,
    ),
    Plant(
        "null is not in the list",
        LEAF,
        "return value is not None and value not in listed",
        "return value not in listed",
        "`not in` keeps nulls, for commits of one row",
        tests=("tests/engine/test_filter_predicate.py",),
    ),
    Plant(
        "NaN compares as false",
        LEAF,
        "opposite = _OPPOSITE.get(node.op) if column.type is DataType.FLOAT64 else None",
        "opposite = None",
        "x > 1 leaves NaN out, which sorts above 1",
        quick=True,
    ),
    Plant(
        "or is exclusive",
        PREDICATE,
        "result |= other(read)",
        "result ^= other(read)",
        "rows that satisfy both sides of an `or` are left out",
    ),
)

ROUTES = (
    Plant(
        "the router forgets the lower bound",
        ROUTING,
        "np.nonzero((self._low <= piece) & (piece <= self._high))",
        "np.nonzero((self._low < piece) & (piece <= self._high))",
        "a session misses rows at the bound of its range",
    ),
    Plant(
        "the router forgets old values",
        ROUTING,
        "        if written:\n            old",
        "        if written and not delta.updated.size:\n            old",
        "a session misses rows that leave its filter",
        quick=True,
    ),
    Plant(
        "the router forgets the old value of one row",
        ROUTING,
        "numbers.extend(bounds.of_one(before[position]))",
        "numbers.extend(bounds.of_one(None))",
        "as above, for commits of one row",
    ),
)

STORING = (
    Plant(
        "before-image of the wrong row",
        TRANSACTION,
        "images = {p: (v[touched], None if ok is None else ok[touched])",
        "images = {p: (v[: len(slots)], None if ok is None else ok[: len(slots)])",
        "old values are those of a neighbour that did not change",
    ),
    Plant(
        "validity not written",
        COLUMN,
        "            self.valid[slots] = True if valid is None else valid",
        "            self.valid[slots] &= True if valid is None else valid",
        "a null stays null when a value is written over it",
        quick=True,
    ),
    Plant(
        "a refused commit leaves its values",
        TRANSACTION,
        "            for position, (stored, valid) in images.items():",
        "            for position, (stored, valid) in list(images.items())[1:]:",
        "half of a refused commit stays",
        quick=True,
    ),
    Plant(
        "a refused commit keeps its keys",
        TABLE,
        "        self.keys.remove(self.key_words_at(slots), slots)\n        self.alive[slots] = False\n"
        "        self.row_count -= len(slots)\n        self.next_sequence",
        "        self.alive[slots] = False\n        self.row_count -= len(slots)\n        self.next_sequence",
        "a key that was refused can never be inserted again",
    ),
    Plant(
        "only the first table is rolled back",
        "engine/hub.py",
        "except Exception:\n            for transaction in transactions.values():",
        "except Exception:\n            for transaction in list(transactions.values())[:1]:",
        "a refused commit to two tables changes the second",
    ),
    Plant(
        "if_version means at least",
        TRANSACTION,
        "self.table.row_version[rows.slots[exists]] == condition.if_version",
        "self.table.row_version[rows.slots[exists]] >= condition.if_version",
        "an optimistic write overwrites what it did not see",
    ),
    Plant(
        "an incremented null stays null",
        TRANSACTION,
        "present = None if valid is None else (valid | (True if given is None else given[now]))",
        "present = valid",
        "adding to a null does nothing",
    ),
    Plant(
        "slots are used again at once",
        TABLE,
        "self._quarantine[0][0] <= self.changelog.since",
        "self._quarantine[0][0] <= self.changelog.last",
        "a slow reader is told the key of another row",
    ),
    Plant(
        "the index misses updates",
        TABLE,
        "if index.position in written:",
        "if index.position not in written:",
        "a query by index does not find what was updated",
    ),
    Plant(
        "the index misses updates of one row",
        "engine/data/row_write.py",
        "if index.position in before:",
        "if index.position not in before:",
        "as above, for commits of one row",
    ),
    Plant(
        "an index range leaves its end out",
        INDEX,
        'np.searchsorted(self._words, np.uint64(self._word_of(high)), "right")',
        'np.searchsorted(self._words, np.uint64(self._word_of(high)), "left")',
        "a query by index misses rows at the upper bound",
    ),
)

DELIVERING = (
    Plant(
        "stale membership after conflation",
        CONFLATION,
        "now = np.concatenate((self.now, later.now))[order][last]",
        "now = np.concatenate((self.now, later.now))[order][first]",
        "a slow reader keeps rows that left, or misses rows that came",
    ),
    Plant(
        "conflation forgets what changed first",
        CONFLATION,
        "merged = np.bitwise_or.reduceat(changed, first) if len(first) else changed",
        "merged = changed[last] if len(first) else changed",
        "a slow reader misses values of all but the last commit",
    ),
    Plant(
        "windows share their changes",
        WATCH,
        "else (self.window, self.cursor)",
        "else (WHOLE, self.cursor)",
        "a reader gets the positions of another window",
    ),
    Plant(
        "rows that leave a window were deleted",
        WATCH,
        "reasons = np.full(len(rows), RemoveReason.WINDOW, np.uint8)",
        "reasons = np.full(len(rows), RemoveReason.DELETED, np.uint8)",
        "a client believes that rows are gone",
    ),
    Plant(
        "windows do not move rows",
        WATCH,
        "if not np.array_equal(before.sequence[stayed_before], after.sequence[stayed_after]):",
        "if len(before.sequence) != len(after.sequence):",
        "a window shows the right rows in the wrong order",
        quick=True,
    ),
    Plant(
        "a count that changed is not told",
        WATCH,
        "changes.total_changed = changes.total_count != self._total",
        "changes.total_changed = False",
        "total_count is out of date when no row of the window changed",
    ),
    Plant(
        "a key that is back was removed",
        "engine/live/rebirth.py",
        "    if not split.slots:",
        "    if split is not None:",
        "one change removes and inserts one key",
    ),
    Plant(
        "all updates are alike",
        "engine/live/reader.py",
        "(visible == visible[0]).all()",
        "(visible == visible[0]).any()",
        "rows are sent with the columns that another row changed",
    ),
)

FUNCTIONS, PARTITIONS = "engine/operators/window_functions.py", "engine/operators/window_partitions.py"

WINDOWING = (
    Plant(
        "lag does not look below a change",
        FUNCTIONS,
        "ends = np.minimum(stretches.ends + offset, counts)",
        "ends = stretches.ends",
        "the row below one that came or changed keeps the old value of lag",
    ),
    Plant(
        "a moving aggregate ends at the change",
        FUNCTIONS,
        "ends = np.minimum(stretches.ends + others, counts)",
        "ends = stretches.ends",
        "rows below a change that have it in their window keep the old aggregate",
    ),
    Plant(
        "ranks do not shift",
        FUNCTIONS,
        "ends = np.where(stretches.grew, counts, ends)  # ranks are numbers of rows",
        "pass",
        "a row that comes among equals leaves the ranks below as they were",
        tests=("tests/engine/test_window_operator.py",),
    ),
    Plant(
        "running aggregates stop at once",
        "engine/operators/window.py",
        "if further.any():",
        "if not further.any() and far:",
        "a running aggregate is right up to the first row below a change",
    ),
    Plant(
        "a row that moves is not known in its new partition",
        PARTITIONS,
        "self._part_of[into] = came",
        "self._part_of[delta.inserted] = came[: len(delta.inserted)]",
        "a row that changed its partition is looked for in the old one",
    ),
    Plant(
        "a window value that changed hides the others",
        "engine/operators/window.py",
        "changed[places[piece.slots[piece.known]]] |= np.uint64(column_bit(piece.position))",
        "changed[places[piece.slots[piece.known]]] = np.uint64(column_bit(piece.position))",
        "readers are told the window column of a row and not what else changed in it",
    ),
)

TREE, PAGES, SHAPE = (
    "engine/operators/tree_order.py",
    "engine/operators/tree_order_pages.py",
    "engine/operators/tree_order_shape.py",
)

TREE_TESTS = ("tests/engine/test_tree_order.py", "tests/engine/test_tree_session.py")

TREES = (
    Plant(
        "children stay on a parent that left",
        TREE,
        "            parts.append(self.rows.gather(low, high))",
        "            parts.append(self.rows.gather(low[:0], high[:0]))",
        "rows whose parent is deleted or filtered out vanish from the tree",
        quick=True,
        tests=TREE_TESTS,
    ),
    Plant(
        "a parent that comes finds nobody",
        TREE,
        "if len(inserted) and len(self._orphans.slots):",
        "if len(inserted) > len(self._orphans.slots) > 0:",
        "rows that waited for their parent stay roots",
        tests=TREE_TESTS,
    ),
    Plant(
        "circles are cut at one row",
        TREE,
        "                self._cut(circles)",
        "                self._cut(circles[:1])",
        "of rows that are their own ancestors only one is a root",
        tests=TREE_TESTS,
    ),
    Plant(
        "siblings that tie stand as they came",
        TREE,
        "            if tied.size:",
        "            if tied.size < 0:",
        "siblings with equal sort keys are not in the order of their keys",
        tests=TREE_TESTS,
    ),
    Plant(
        "two rows count once above",
        SHAPE,
        "            np.add.at(size, above, gained)",
        "            size[above] += gained",
        "windows of a tree show other rows after several rows came below one parent",
        tests=TREE_TESTS,
    ),
    Plant(
        "open one level too deep",
        PAGES,
        "if expansion.depth is not None and depth >= expansion.depth:",
        "if expansion.depth is not None and depth > expansion.depth:",
        "rows below closed nodes show",
        quick=True,
        tests=TREE_TESTS,
    ),
    Plant(
        "closed nodes count what is below them",
        PAGES,
        "hidden = sum(size.item(slot) - 1 for slot in self._topmost(expansion))",
        "hidden = sum(size.item(slot) > 1 for slot in self._topmost(expansion))",
        "total_count of a tree with closed nodes is too large",
        tests=TREE_TESTS,
    ),
    Plant(
        "layouts outlive the tree",
        PAGES,
        "        self._layouts.clear()",
        "        self._layouts = {k: v for k, v in self._layouts.items() if len(v) > 3}",
        "rows that moved in a tree show where they were",
        tests=TREE_TESTS,
    ),
    Plant(
        "a subtree does not move along",
        WATCH,
        "if session.result.tree is None:\n                moved",
        "if session.result.count:\n                moved",
        "rows below a row that moves stay where they were",
        tests=TREE_TESTS,
    ),
    Plant(
        "a leaf keeps its old name",
        "engine/operators/union.py",
        "        if not renamed.any():",
        "        if renamed.size:",
        "a row of a rollup that changed its group is told under the name of the old one",
        tests=("tests/engine/test_rollup.py::test_a_row_that_changes_its_group_moves_below_another",),
    ),
    Plant(
        "an empty cell keeps its value",
        "engine/operators/pivot.py",
        "self._clear(touched[: len(gone)], values[: len(gone)])",
        "self._clear(touched[:0], values[:0])",
        "a pivot shows aggregates of rows that are gone",
        tests=("tests/engine/test_pivot.py",),
    ),
    Plant(
        "filters of aggregates look once",
        "engine/operators/masked.py",
        "or not written.isdisjoint(predicate.columns)",
        "or written.issuperset(predicate.columns)",
        "an aggregate counts rows that its filter no longer keeps",
        tests=("tests/engine/test_rollup_derivers.py",),
    ),
)

PLANTS = (
    *ORDERING,
    *FILTERING,
    *ROUTES,
    *STORING,
    *DELIVERING,
    *WINDOWING,
    *TREES,
    *EXPRESSIONS,
    *JOINS,
    *AGGREGATES,
    *DURABILITY,
    *BACKUPS,
    *ALTERATIONS,
    *EVOLUTION,
    *RETENTIONS,
    *DIAGNOSIS,
    *DEBUG,
)
