"""Planted bugs of aggregates and of the numbers of groups."""

from __future__ import annotations

from tests.mutants.plant import Plant

FOLDER = "engine/operators/aggregate"
RANKED, LEAVES, RUNS = f"{FOLDER}/ranked_rows.py", f"{FOLDER}/leaves.py", f"{FOLDER}/runs.py"
BY_ORDER, LISTED, WEIGHTED = f"{FOLDER}/by_order.py", f"{FOLDER}/listed.py", f"{FOLDER}/weighted.py"
COUNTS, PERCENTILE, EXTREME = f"{FOLDER}/value_counts.py", f"{FOLDER}/percentile.py", f"{FOLDER}/extreme.py"
GROUP, KEYS = "engine/operators/group.py", "engine/operators/group_keys.py"

STATES = "tests/engine/test_aggregate_states.py"
MANY = (f"{STATES}::test_groups_of_many_rows_are_cut_and_put_together_again",)
LARGE = (f"{STATES}::test_many_rows_equal_the_same_rows_in_small_batches",)
MIDDLES = ("tests/engine/test_aggregate_middles.py",)
BOUNDED = (f"{STATES}::test_what_is_held_is_bounded_by_the_rows_that_are_there",)
LABELS = (f"{STATES}::test_extremes_and_orders_of_texts_follow_labels_that_are_given_anew",)
WEIGHTED_SUMS = ("tests/engine/test_aggregate_sums.py::test_weighted_averages_are_rounded_once",)
SEMANTICS = ("tests/engine/test_aggregate_semantics.py",)
GROUPS = "tests/engine/test_aggregate_groups.py"
CONTRACT = (f"{GROUPS}::test_groups_keep_the_contract_of_derivers",)

AGGREGATES = (
    Plant(
        "a median looks into one leaf only",
        RANKED,
        "behind = (within + 1 == live[place]) & (ranks + 1 < counts)",
        "behind = (within + 1 == live[place]) & (ranks + 1 < 0)",
        "a median between two leaves is the lower value, or nonsense",
        tests=MANY,
        quick=True,
    ),
    Plant(
        "cut leaves lose their bound",
        RANKED,
        "low[at] = runs.low[places[first]]",
        "low[at] = new[1][source[:1]] if len(source) else low[at]",
        "rows are put into leaves of other keys, and a median is wrong",
        tests=MANY,
    ),
    Plant(
        "empty leaves stay",
        RANKED,
        "thin = (live == 0) | ((live",
        "thin = (live < 0) | ((live",
        "a minimum in an empty leaf is nonsense",
        tests=MANY,
    ),
    Plant(
        "stretches are never used again",
        LEAVES,
        "again = min(len(free), len(mine))",
        "again = min(len(free), 0)",
        "memory grows with every change of a median",
        tests=BOUNDED,
    ),
    Plant(
        "equal keys are in any order",
        RUNS,
        "inside &= (bound < keys) | ((bound == keys) & (self.low_tie[ahead] <= ties))",
        "inside &= bound <= keys",
        "the first of rows with equal times is another one than was inserted first",
        tests=MANY,
        quick=True,
    ),
    Plant(
        "max_by takes the last of equals",
        BY_ORDER,
        "return self._rows.first_of_last(groups)",
        "return self._rows.ends(groups, last=True)",
        "of the rows with the highest price, not the first one is named",
        tests=SEMANTICS,
        quick=True,
    ),
    Plant(
        "orders of texts keep old labels",
        BY_ORDER,
        "        self._rows.rekey(keys_of",
        "        _ = (keys_of",
        "the first by name is not the first any more when many names have come",
        tests=LABELS,
    ),
    Plant(
        "nulls of the order come first",
        BY_ORDER,
        "return np.where(valid, numbers, HOLE), np.where(valid, sequence, sequence + _BEHIND)",
        "return np.where(valid, numbers, -HOLE), np.where(valid, sequence, sequence + _BEHIND)",
        "a row without a time is the first one",
        tests=SEMANTICS,
    ),
    Plant(
        "a value that leaves keeps its entry",
        COUNTS,
        "empty = entries[self._counts[entries] == 0]",
        "empty = entries[self._counts[entries] < 0]",
        "distinct counts only ever grow",
        tests=CONTRACT,
        quick=True,
    ),
    Plant(
        "values of other groups are the same value",
        COUNTS,
        "same = (held >= 0) & (self._groups[entries] == groups) & (self._words[entries] == words)",
        "same = (held >= 0) & (self._words[entries] == words)",
        "a value that another group has is not counted",
        tests=CONTRACT,
    ),
    Plant(
        "a lower median",
        PERCENTILE,
        "return whole.astype(np.int64), place - whole",
        "return whole.astype(np.int64), place * 0.0",
        "the median of two values is the lower one",
        tests=SEMANTICS,
        quick=True,
    ),
    Plant(
        "weights are rounded before they are added",
        WEIGHTED,
        "for part in two_product(values, weights):",
        "for part in two_product(values, weights)[:1]:",
        "weighted averages drift",
        tests=WEIGHTED_SUMS,
    ),
    Plant(
        "extremes forget NaN among many rows",
        EXTREME,
        "rows = (~self._beyond(values, self._bound)).nonzero()[0]",
        "rows = (~self._beyond(values, self._bound) & (values == values)).nonzero()[0]",
        "the largest value of a group that holds NaN is a number",
        tests=(f"{STATES}::test_extremes_of_many_rows_are_found_as_those_of_few",),
    ),
    Plant(
        "extremes are bounded by groups that were there before",
        EXTREME,
        "if count != self._bounded:  # a group is new, so every row of it counts",
        "if self._bound is None and count != self._bounded:",
        "a group that comes with a later block of a table has no extreme",
        tests=(f"{STATES}::test_extremes_of_many_rows_are_found_as_those_of_few",),
    ),
    Plant(
        "a number that is given again is still that of its text",
        KEYS,
        "self._alike = int(codes.min(initial=self._alike))",
        "pass",
        "rows of a group that comes back are counted in another group",
        tests=("tests/engine/test_aggregate_groups.py",),
    ),
    Plant(
        "what is left below two digits is lost",
        "engine/operators/aggregate/exact_sums.py",
        "left = rest.nonzero()[0]\n        summed",
        "left = groups[:0]\n        summed",
        "sums of many rows forget bits of small values",
        tests=("tests/engine/test_aggregate_sums.py::test_sums_of_many_rows_in_few_groups",),
    ),
    Plant(
        "a key that nobody has any more keeps its place",
        f"{FOLDER}/middles.py",
        "self._keys[groups[empty], places[empty]] = _MOST\n            self._sort(distinct(groups[empty]))",
        "self._keys[groups[empty], places[empty]] = _MOST",
        "a median is that of rows that are gone",
        tests=MIDDLES,
    ),
    Plant(
        "the key behind the middle is not missed",
        f"{FOLDER}/middles.py",
        "missing |= np.minimum(ranks + 1, counts - 1) - below >= self._held[groups]",
        "missing |= ranks - below >= self._held[groups]",
        "between two rows a median is one of them",
        tests=MIDDLES,
    ),
    Plant(
        "a list takes one value too many",
        LISTED,
        "written[start : min(end, start + limit)]",
        "written[start : min(end, start + limit + 1)]",
        "a limit of 3 shows 4 values",
        tests=(f"{STATES}::test_lists_take_so_many_values_and_no_more",),
    ),
    Plant(
        "numbers are given again at once",
        GROUP,
        "self._vanished[0][0] <= self.table.changelog.since",
        "self._vanished[0][0] <= self.table.changelog.last",
        "a group that comes back is another row to those who read history",
        tests=(f"{GROUPS}::test_a_group_that_comes_back_before_it_is_forgotten_keeps_its_number",),
    ),
    Plant(
        "a group that is back loses its number",
        GROUP,
        "numbers = numbers[(self._members[numbers] == 0) & (self._left[numbers] == version)]",
        "numbers = numbers[self._left[numbers] == version]",
        "two groups are one",
        tests=CONTRACT,
        quick=True,
    ),
    Plant(
        "the second column of an aggregate is not heard",
        GROUP,
        "mask = self._by_mask | np.uint64(sum({column_bit(position) for position in read}))",
        "mask = self._by_mask | np.uint64(sum({column_bit(position) for position in read[:1]}))",
        "a weighted average keeps the old weight",
        tests=CONTRACT,
    ),
    Plant(
        "a number that was forgotten is still found",
        KEYS,
        "            self._direct[codes] = _UNKNOWN\n",
        "            self._direct[codes[:0]] = _UNKNOWN\n",
        "rows of one name are added to the group of another",
        tests=(f"{GROUPS}::test_a_group_that_comes_back_before_it_is_forgotten_keeps_its_number",),
    ),
)
