"""The benchmarks run: every workload at a tiny scale yields finite figures, and the results merge as they say."""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import cli, runner
from benchmarks.clients.programs import LANGUAGES
from benchmarks.field import PEERS, missing, open_selects
from benchmarks.load import fill
from benchmarks.ours import Ours
from benchmarks.registry import METRICS, WORKLOADS
from benchmarks.results import merge, read_results
from benchmarks.trades import make_trades, make_updates, session_symbols
from benchmarks.workload import OURS, Better, Figure, Settings
from tests.migrate.servers import DatabaseMissing, postgres_bin

TINY = Settings(scale=0.004, seconds=0.5)
INSTALLED = [name for name in PEERS if not missing(name)]  # perspective comes with the extra `bench`
ENOUGH = ("W4_50_group", "join3")  # of one that takes long to start; a real run checks its answers, too
CLIENTS = [f"client_{language}" for language in LANGUAGES]  # make clients-test runs their programs, see small_bench.py
KNOWN_NAMES = (
    *("W1", "W1_bytes", "W2", "W3", "W4_1", "W4_10", "W4_50", "W4_50_group", "W5", "W6_0", "W6_100", "W7", "W8"),
    *("wire_write_bulk", "wire_write_unary", "wire_watch_1", "wire_watch_100", "wire_watch_1000"),
    *("wire_latency_p50", "wire_latency_p99", "join3"),
    *("live_sum", "live_median", "live_distinct", "live_sum_group", "live_median_group", "live_distinct_group"),
)


def pairs() -> list[tuple[str, str]]:
    return [
        (workload.name, contestant)
        for workload in WORKLOADS.values()
        for contestant in workload.contestants
        if contestant == OURS or contestant in INSTALLED
        if contestant != "deephaven" or workload.name in ENOUGH
        if workload.name not in CLIENTS
    ]


def has_postgres() -> bool:
    try:
        postgres_bin()
    except DatabaseMissing:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize(("workload", "contestant"), pairs())
def test_workload_yields_finite_figures(workload: str, contestant: str) -> None:
    if workload == "migrate" and not has_postgres():
        pytest.skip("PostgreSQL is not installed")
    figures = runner.run_once(workload, contestant, TINY)
    assert set(figures) == {metric.name for metric in WORKLOADS[workload].metrics}
    for figure in figures.values():
        assert math.isfinite(figure.value)
        assert figure.value >= 0
        assert all(math.isfinite(value) for value in figure.detail.values())


def test_results_have_the_names_that_readers_know() -> None:
    assert set(KNOWN_NAMES) <= set(METRICS)


@pytest.mark.parametrize("name", [OURS, *(name for name in INSTALLED if name != "deephaven")])  # a JVM is no guest here
def test_contestants_find_the_same_rows(name: str) -> None:
    trades = make_trades(5_000, seed=7)
    wanted = set(session_symbols(3))
    expected = sorted(
        (
            price
            for symbol, price in zip(trades.symbol.to_list(), trades.price.tolist(), strict=True)
            if symbol in wanted and price > 500
        ),
        reverse=True,
    )[:10]
    contestant = open_selects(name, cores=1)
    fill(contestant, trades)
    assert contestant.row_count() == len(trades)
    assert expected
    assert contestant.top(session_symbols(3), 500.0, 10) == expected


def test_data_is_the_same_for_the_same_seed() -> None:
    first, second, other = make_trades(100, 1), make_trades(100, 1), make_trades(100, 2)
    assert first.price.tolist() == second.price.tolist()
    assert first.symbol.to_list() == second.symbol.to_list()
    assert first.price.tolist() != other.price.tolist()
    assert [u.id.tolist() for u in make_updates(100, 3, 5, 1)] == [u.id.tolist() for u in make_updates(100, 3, 5, 1)]


@pytest.mark.parametrize(
    ("better", "ours", "peer", "ratio"),
    [(Better.HIGHER, 200.0, 100.0, 2.0), (Better.LOWER, 200.0, 100.0, 0.5), (Better.LOWER, 5.0, 10.0, 2.0)],
)
def test_ratio_is_above_one_where_we_are_better(better: Better, ours: float, peer: float, ratio: float) -> None:
    assert better.ratio(ours, peer) == ratio


def test_merge_takes_the_best_peer_by_the_metrics_direction() -> None:
    outcome = {
        OURS: {"W1": Figure(300.0), "W1_bytes": Figure(50.0)},
        "duckdb": {"W1": Figure(100.0), "W1_bytes": Figure(80.0)},
        "polars": {"W1": Figure(600.0), "W1_bytes": Figure(160.0)},
    }
    results = merge({}, outcome)
    assert (results["W1"]["peer"], results["W1"]["best_peer"], results["W1"]["ratio"]) == ("polars", 600.0, 0.5)
    assert (results["W1_bytes"]["peer"], results["W1_bytes"]["ratio"]) == ("duckdb", 1.6)
    assert results["W1"]["same_run"]


def test_partial_run_updates_only_its_part() -> None:
    before = merge({}, {OURS: {"W2": Figure(10.0)}, "duckdb": {"W2": Figure(20.0)}})
    before |= merge({}, {OURS: {"W8": Figure(5000.0)}})
    after = merge(before, {OURS: {"W2": Figure(5.0)}})
    assert after["W8"] == before["W8"]
    assert after["W8"]["ratio"] is None
    assert (after["W2"]["ours"], after["W2"]["best_peer"], after["W2"]["ratio"]) == (5.0, 20.0, 4.0)
    assert not after["W2"]["same_run"]


def test_peers_alone_make_no_entry() -> None:
    assert merge({}, {"duckdb": {"W3": Figure(16.0)}}) == {}


def test_command_writes_results_and_prints_ratios(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    arguments = ["--only", "W2", "--peers", "duckdb", "--runs", "1", "--scale", "0.004", "--output", str(output)]
    ended = CliRunner().invoke(cli.main, arguments, catch_exceptions=False)
    assert ended.exit_code == 0
    assert "× duckdb" in ended.output
    entry = json.loads(output.read_text())["W2"]
    assert entry["unit"] == "ms"
    assert entry["peer"] == "duckdb"
    assert entry["ratio"] > 0


def test_a_peer_that_is_not_installed_is_left_out_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "missing", lambda name: "there is no Java" if name == "deephaven" else "")
    arguments = ["--only", "W2", "--peers", "duckdb,deephaven", "--runs", "1", "--scale", "0.004"]
    ended = CliRunner().invoke(cli.main, arguments, catch_exceptions=False)
    assert ended.exit_code == 0
    assert "deephaven DID NOT RUN: there is no Java" in ended.output
    assert "× duckdb" in ended.output


def test_a_package_that_is_not_installed_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing(OURS) == missing("duckdb") == ""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert "'.[bench]'" in missing("perspective")
    assert "'.[deephaven]'" in missing("deephaven")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "Java" in missing("deephaven")
    assert missing("perspective") == ""


def test_an_answer_that_is_wrong_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ours, "count_products", lambda *_: 17)
    with pytest.raises(AssertionError, match="answers 17 instead of"):
        WORKLOADS["W7"].run(OURS, TINY)


def test_command_refuses_unknown_workloads() -> None:
    ended = CliRunner().invoke(cli.main, ["--only", "W99"])
    assert ended.exit_code == 2
    assert "W99" in ended.output


def test_stored_results_are_whole() -> None:
    for name, entry in read_results(cli.RESULTS).items():
        assert entry["unit"] == METRICS[name].unit
        assert (entry["ratio"] is None) == (entry["best_peer"] is None) == (entry["peer"] is None)
