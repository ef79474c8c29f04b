"""Planted bugs of rows that leave by themselves, of limits of memory, and of texts that are dropped."""

from __future__ import annotations

from tests.mutants.plant import Plant

EXPIRY, QUEUE, RETENTION = "engine/data/expiry.py", "engine/data/row_queue.py", "engine/data/retention.py"
TRANSACTION, TABLE, HUB = "engine/data/transaction.py", "engine/data/table.py", "engine/hub.py"
DICTIONARY, SWEEP, LEAF = "engine/data/dictionary.py", "engine/live/text_sweep.py", "engine/operators/predicate_leaf.py"
GUARD = "server/memory_guard.py"

LEAVING = ("tests/engine/test_retention.py",)
SLOTS = ("tests/engine/test_retention.py::test_a_row_is_not_taken_for_the_one_whose_slot_it_has",)
WORDS = ("tests/engine/test_retention_semantics.py",)
SWEPT = "tests/engine/test_text_sweep.py"
READ = (f"{SWEPT}::test_what_was_read_before_stays_what_it_was",)
FILTERED = (f"{SWEPT}::test_filters_do_not_take_a_text_for_another_that_has_its_code",)
JUDGED = (f"{SWEPT}::test_a_free_code_that_was_judged_is_judged_again",)
IMAGES = (f"{SWEPT}::test_before_images_hold_their_texts",)
ROOM = ("tests/server/test_retention.py::test_rows_leave_to_make_room_and_the_log_says_how_many",)
RESTART = ("tests/server/test_retention.py::test_a_restart_gives_the_same_rows_and_versions",)

RETENTIONS = (
    Plant(
        "a row leaves as old as it may be",
        EXPIRY,
        "bound = max(INT64_MIN, now_us - retention.max_age_us)",
        "bound = max(INT64_MIN, now_us - retention.max_age_us) + 1",
        "rows leave a moment too early",
        quick=True,
        tests=WORDS,
    ),
    Plant(
        "who comes late is passed over",
        QUEUE,
        "self._least = min(self._least, least)",
        "self._least = min(self._least, MAX_WORD)",
        "a row that is older than others when it comes stays longer than they",
        tests=LEAVING,
    ),
    Plant(
        "a slot is taken for the row that was in it",
        QUEUE,
        "true &= table.sequence[slots].view(np.uint64) == sequences",
        "true &= table.sequence[slots].view(np.uint64) >= 0",
        "of rows with equal values the wrong one leaves",
        tests=SLOTS,
    ),
    Plant(
        "expired rows say that they were deleted",
        TRANSACTION,
        "self.erase(slots, RemoveReason.EXPIRED)",
        "self.erase(slots)",
        "a watcher cannot tell what left by itself",
        tests=LEAVING,
    ),
    Plant(
        "a batch is cut after the commit",
        HUB,
        "            transaction.expire_excess()\n            self.counters",
        "            transaction.expired += 0\n            self.counters",
        "a table has more rows than it may have",
        tests=WORDS,
    ),
    Plant(
        "an interval is due at its multiples alone",
        RETENTION,
        "before_us // self.interval_us != now_us // self.interval_us",
        "now_us % self.interval_us == 0",
        "a server whose clock ticks beside the interval never looks",
        tests=WORDS,
    ),
    Plant(
        "rows without a value never leave",
        EXPIRY,
        "if table.columns[position].schema.nullable:",
        "if table.columns[position].schema.required:",
        "a table of rows without a value grows for ever",
        quick=True,
        tests=WORDS,
    ),
    Plant(
        "an index forgets rows of a refused commit",
        TABLE,
        "        for index in self.indexes.values():  # it may have been asked meanwhile, and have dropped them\n",
        "        for index in ():\n",
        "a query by index misses rows that are there",
        tests=LEAVING,
    ),
    Plant(
        "room of evicted rows waits for history",
        HUB,
        "        self.forget_history(name)\n        return result",
        "        return result",
        "rows leave, and the table grows all the same",
        tests=LEAVING,
    ),
    Plant(
        "a snapshot loses the retention",
        "engine/live/hub_image.py",
        "            table.retention,\n",
        "            None,\n",
        "after a restart rows stay for ever",
        tests=RESTART,
    ),
    Plant(
        "what is on its way does not count",
        GUARD,
        "        self.rows += need.rows\n        self.texts += need.texts\n        self._known",
        "        self._known",
        "many writers together fill a table beyond its limit",
        tests=ROOM,
    ),
    Plant(
        "texts are changed under a reader",
        DICTIONARY,
        "texts = self.texts.copy()  #",
        "texts = self.texts  #",
        "an answer that is being sent loses texts",
        quick=True,
        tests=READ,
    ),
    Plant(
        "a code that is given again keeps its judgement",
        DICTIONARY,
        "        self._tell(given)\n",
        "",
        "a filter shows rows for the sake of texts that are gone",
        tests=JUDGED,
    ),
    Plant(
        "history does not hold its texts",
        SWEEP,
        "            source.table.changelog.mark_codes(positions, used)\n",
        "",
        "old values are empty, or those of other rows",
        tests=IMAGES,
    ),
    Plant(
        "the text of a filter is dropped",
        LEAF,
        "column.dictionary.pin(str(value))",
        "column.dictionary.encode_one(str(value))",
        "a session misses rows that come back",
        tests=FILTERED,
    ),
    Plant(
        "a new key is taken for a removed one",
        "engine/live/rebirth.py",
        "table.find(_present_codes(part.keys, table))",
        "table.find(part.keys)",
        "a slow reader keeps a row that is gone, and lacks one that is there",
        tests=READ,
    ),
)
