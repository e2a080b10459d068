"""The harness reckons right, and interleaves as it says."""

from __future__ import annotations

import gc

import pytest

from benchmarks.harness import GROUPS, Catalogue, Comparison, Effort, Figure, figure, interleave, machine, missing, rate


def _recorder(calls, name, values):
    remaining = iter(values)

    def run() -> float:
        calls.append(name)
        return next(remaining)

    return run


def test_a_figure_has_the_median_and_both_ends():
    assert figure([5.0, 1.0, 3.0, 4.0], "us") == Figure(median=3.5, low=1.0, high=5.0, unit="us")


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_a_figure_of_nothing_measured_is_refused(values):
    with pytest.raises(ValueError, match=r"^values: "):
        figure(values, "us")


def test_the_contenders_take_turns():
    calls: list[str] = []
    candidates = {"a": _recorder(calls, "a", [0, 1, 2, 3]), "b": _recorder(calls, "b", [9, 8, 7, 6])}
    compared = interleave(candidates, runs=3, warm_ups=1)
    assert "".join(calls) == "abababab"
    assert compared.values == {"a": (1, 2, 3), "b": (8, 7, 6)}


def test_eight_runs_are_usual():
    assert len(interleave({"a": lambda: 1.0}).values["a"] or ()) == 8


def test_ratios_are_taken_pair_by_pair():
    compared = Comparison({"a": (10.0, 200.0, 30.0), "b": (5.0, 50.0, 30.0)})
    # The ratio of the medians would be 1.0.
    assert compared.ratio("a", "b") == Figure(median=2.0, low=1.0, high=4.0, unit="x")


def test_a_unit_can_be_made_handier():
    assert Comparison({"a": (0.5, 1.5)}).figure("a", "ms", scale=1000) == Figure(1000.0, 500.0, 1500.0, "ms")


def test_a_missing_peer_has_empty_figures():
    compared = interleave({"a": lambda: 1.0, "peer": None}, runs=2)
    assert compared.figure("peer", "calls/s") == missing("calls/s") == Figure(None, None, None, "calls/s")
    assert compared.ratio("a", "peer") == compared.ratio("peer", "a") == missing("x")
    assert compared.figure("a", "calls/s").median == 1.0


def test_garbage_is_collected_before_each_run_and_not_switched_off():
    seen = []

    def run() -> float:
        seen.append((gc.get_count()[2], gc.isenabled()))
        return 1.0

    interleave({"a": run}, runs=2, warm_ups=0)
    assert seen == [(0, True), (0, True)]


@pytest.mark.parametrize(
    ("candidates", "runs", "field"), [({}, 8, "candidates"), ({"a": float}, 0, "runs"), ({"a": float}, -1, "runs")]
)
def test_a_comparison_of_nothing_is_refused(candidates, runs, field):
    with pytest.raises(ValueError, match=rf"^{field}: "):
        interleave(candidates, runs=runs)


def test_a_rate_counts_what_was_done():
    done = []
    assert rate(1000, lambda: done.append(1)) > 0
    assert done == [1]


def test_smoke_runs_once_without_a_warm_up_at_the_smallest_size():
    calls: list[str] = []
    effort = Effort(smoke=True)
    effort.interleave({"a": _recorder(calls, "a", [1.0]), "b": _recorder(calls, "b", [1.0])})
    assert calls == ["a", "b"]
    assert effort.size(100_000, smoke=10) == 10


def test_a_full_run_warms_up_and_counts_eight():
    calls: list[str] = []
    effort = Effort()
    compared = effort.interleave({"a": _recorder(calls, "a", range(9))})
    assert compared.values == {"a": (1, 2, 3, 4, 5, 6, 7, 8)}
    assert effort.size(100_000, smoke=10) == 100_000


def test_a_catalogue_keeps_the_order_of_the_groups():
    catalogue = Catalogue()
    for group in ("audit", "kernel", "audit"):
        catalogue.benchmark(group)(lambda effort: {})
    assert catalogue.groups() == ["kernel", "audit"]
    assert [one.group for one in catalogue.of(GROUPS)] == ["kernel", "audit", "audit"]


def test_an_unknown_group_is_refused_where_it_is_declared():
    with pytest.raises(ValueError, match=r"^group: 'kernels' is not allowed; allowed: kernel, "):
        Catalogue().benchmark("kernels")


def test_the_machine_is_described_without_its_name():
    import platform

    facts = machine()
    assert facts.keys() == {"cores", "cpu", "gil", "implementation", "memory_bytes", "os", "python"}
    assert facts["python"] == platform.python_version()
    assert platform.node() not in map(str, facts.values())
