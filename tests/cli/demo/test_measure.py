"""Which commits a delta brings, and how long they took."""

import pytest

from tesseract_grpc.cli.demo.measure import Commit, Delivery, Record, percentile


def test_a_delta_counts_for_the_commits_in_its_range_that_wrote_its_rows() -> None:
    record = Record(
        commits=[Commit(1, 0.0, [7]), Commit(2, 1.0, [8]), Commit(3, 2.0, [7]), Commit(4, 3.0, [9])],
        deliveries=[Delivery(received_at=5.0, from_version=1, to_version=4, keys=[7, 9])],
    )
    assert record.latencies() == [2.0, 3.0]


def test_a_row_that_slides_into_a_window_does_not_count_for_its_old_commit() -> None:
    record = Record(commits=[Commit(1, 0.0, [7]), Commit(9, 8.0, [8])], deliveries=[Delivery(9.0, 5, 9, [7, 8])])
    assert record.latencies() == [1.0]


def test_a_commit_of_many_rows_counts_once_a_delta() -> None:
    record = Record(commits=[Commit(1, 0.0, range(100))], deliveries=[Delivery(0.5, 0, 1, range(50, 150))] * 2)
    assert record.latencies() == [0.5, 0.5]


def test_the_order_of_recording_does_not_matter() -> None:
    commits = [Commit(version, version / 10, [1]) for version in range(1, 20)]
    deliveries = [Delivery(version / 10 + 0.5, version - 1, version, [1]) for version in range(1, 20)]
    forwards = Record(commits, deliveries).latencies()
    assert Record(commits[::-1], deliveries[::-1]).latencies() == forwards
    assert forwards == pytest.approx([0.5] * 19)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 50, None), ([3.0], 99, 3.0), ([1.0, 2.0], 50, 1.0), ([1.0, 2.0], 51, 2.0), (list(range(1, 101)), 99, 99)],
)
def test_percentiles_are_nearest_rank(values: list[float], percent: float, expected: float | None) -> None:
    assert percentile(values, percent) == expected
