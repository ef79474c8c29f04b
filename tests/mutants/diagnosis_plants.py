"""Planted bugs of the cache of queries, of the order of filters, of diagnoses and of measurements."""

from __future__ import annotations

from tests.mutants.plant import Plant

CACHE, READING, READS = "server/query_cache.py", "server/query_reading.py", "server/services/reads.py"
CACHED = "tests/diagnosis/test_query_cache.py"
ISSUES = "tests/diagnosis/test_issues.py"
MEASURED = "tests/diagnosis/test_performance.py"
ORDERED = "tests/engine/test_filter_order.py"
PROFILED = "tests/diagnosis/test_column_profile.py"
PAGE = "tests/diagnosis/test_page.py"

DIAGNOSIS = (
    Plant(
        "an answer outlives a write",
        READING,
        "if table.update_version != read.version or table.schema is not read.schema:",
        "if table.schema is not read.schema:",
        "a query that is asked again shows rows of before the last write",
        tests=(f"{CACHED}::test_an_answer_is_given_again_at_the_present_version",),
    ),
    Plant(
        "an answer outlives the edit of a session",
        READING,
        " or session.generation != seen.generation",
        "",
        "a query over a session shows what the session showed before it was edited",
        tests=(f"{CACHED}::test_no_answer_is_ever_out_of_date",),
    ),
    Plant(
        "an answer outlives the moment that it is of",
        READING,
        "return self._clock is None or (hub.timely and hub.now == self._clock)",
        "return True",
        "a query that asks for now() shows rows that have expired",
        tests=(f"{CACHED}::test_a_question_about_the_present_is_asked_of_its_moment",),
    ),
    Plant(
        "an answer keeps its version",
        READS,
        "            return at_version(known[0], host.hub.version)",
        "            return at_version(known[0], 1)",
        "who has read his own write is told a version from before it",
        tests=(f"{CACHED}::test_an_answer_is_given_again_at_the_present_version",),
    ),
    Plant(
        "windows of one query are one question",
        CACHE,
        "request.window.SerializeToString(deterministic=True)",
        'b""',
        "the second page shows the rows of the first",
        tests=(f"{CACHED}::test_what_is_asked_otherwise_is_another_question",),
    ),
    Plant(
        "the cache forgets what is asked for most",
        CACHE,
        "        self._answers.move_to_end(asked)\n",
        "",
        "a query that is asked all the time is evaluated all the time",
        tests=(f"{CACHED}::test_what_was_not_asked_for_the_longest_leaves",),
    ),
    Plant(
        "an answer that was broken off is kept",
        CACHE,
        "    def __exit__(self, *_: object) -> None:\n        self._let_go()",
        "    def __exit__(self, *_: object) -> None:\n        self.done()",
        "a result ends in the middle, for everybody who asks after one who went away",
        tests=(f"{CACHED}::test_a_stream_that_is_broken_off_leaves_nothing",),
    ),
    Plant(
        "expressions are tested by their cost alone",
        "engine/operators/predicate_leaf.py",
        "key=lambda place: (terms[place].rank, terms[place].cost)",
        "key=lambda place: terms[place].cost",
        "documents are read of rows that another condition would have left out",
        tests=(f"{ORDERED}::test_expressions_come_after_patterns_however_small_they_are",),
    ),
    Plant(
        "keys are looked up with one too many",
        "engine/operators/scan.py",
        "return np.unique(slots[slots >= 0])",
        "return np.unique(slots[slots > 0])",
        "the first row of a table is not found by its key",
        tests=(f"{ORDERED}::test_few_candidates_are_looked_at_for_a_key",),
    ),
    Plant(
        "NaNs are different values",
        "engine/operators/column_profile.py",
        "numbers = ordered[: int(np.searchsorted(ordered, np.nan))]",
        "numbers = ordered",
        "a column of NaNs is told to have as many values as rows",
        tests=(f"{PROFILED}::test_a_profile_is_what_counting_gives",),
    ),
    Plant(
        "reads without an index are counted once",
        "engine/data/filter_uses.py",
        "use.unindexed_examined += examined",
        "use.unindexed_examined = examined",
        "an index that is needed is not recommended",
        tests=(f"{ISSUES}::test_a_filter_that_runs_often_over_many_rows_asks_for_an_index",),
    ),
    Plant(
        "indexes that are there are recommended",
        "server/diagnosis/issues.py",
        "return index is not None and (index.kind",
        "return index is None and (index.kind",
        "an index is recommended that is there, and none that is not",
        tests=(f"{ISSUES}::test_an_index_that_was_passed_over_is_not_asked_for_again",),
    ),
    Plant(
        "a measurement leaves its reader behind",
        "server/services/performance_tests.py",
        "            finally:\n                still.close()\n",
        "            finally:\n                del table\n",
        "history is kept, and rows as they were, for nobody",
        tests=(f"{MEASURED}::test_the_hub_stays_as_it_is",),
    ),
    Plant(
        "a measurement goes on without its call",
        "server/services/performance_tests.py",
        "            process.kill()\n            await process.wait()\n",
        "            pass\n",
        "a core is busy for nobody",
        tests=(f"{MEASURED}::test_the_process_ends_with_the_call",),
    ),
    Plant(
        "a page believes what it is told",
        "client/core/diagnosis_page.py",
        "autoescape=True",
        "autoescape=False",
        "whoever names a column runs scripts in the browser of an operator",
        tests=(f"{PAGE}::test_a_page_has_only_what_the_template_has",),
    ),
)
