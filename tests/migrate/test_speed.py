"""The benchmark of migrations runs, and says where the time goes."""

import pytest

from benchmarks.migrate import ROWS, TABLE, driver_alone, migrated
from tests.migrate.conftest import Source


@pytest.mark.slow
def test_the_benchmark_tells_shares_that_can_be(postgres_server: Source) -> None:
    postgres_server.run(TABLE, ROWS.format(rows=3_000))
    figures = migrated(postgres_server.url, 500)
    assert figures["rows_a_second"] > 0
    assert 0 < figures["share_of_the_driver"] + figures["share_of_conversion"] < 1
    assert 0 < driver_alone(postgres_server.url, 500)["driver_alone_seconds"] < 60
