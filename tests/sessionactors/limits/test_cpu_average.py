import pytest

from sessionactors.limits.cpu_average import CpuAverage


def test_use_is_divided_by_the_whole_window():
    average = CpuAverage(10.0, 0.0)
    assert average.add(1.0, 1.0) == pytest.approx(10.0)
    assert average.add(2.0, 2.0) == pytest.approx(20.0)


def test_steady_use_of_half_a_core_is_fifty_percent():
    average = CpuAverage(10.0, 0.0)
    found = [average.add(float(now), now / 2) for now in range(1, 30)]
    assert found[9:] == pytest.approx([50.0] * 20)


def test_use_leaves_the_average_as_it_leaves_the_window():
    average = CpuAverage(10.0, 0.0)
    average.add(1.0, 1.0)
    assert average.add(5.0, 1.0) == pytest.approx(10.0)
    assert average.add(10.5, 1.0) == pytest.approx(5.0)  # half of that second has left
    assert average.add(11.0, 1.0) == 0.0
    assert average.add(500.0, 1.0) == 0.0


def test_readings_that_lie_far_apart_are_spread_over_the_time_between():
    average = CpuAverage(10.0, 0.0)
    assert average.add(100.0, 50.0) == pytest.approx(50.0)


def test_an_average_is_quiet_once_nothing_in_the_window_has_changed():
    average = CpuAverage(10.0, 0.0)
    assert average.is_quiet()
    average.add(1.0, 1.0)
    assert not average.is_quiet()
    average.add(12.0, 1.0)
    average.add(23.0, 1.0)
    assert average.is_quiet()


def test_what_is_kept_is_bounded_by_the_window():
    average = CpuAverage(10.0, 0.0)
    for now in range(1000):
        average.add(float(now), float(now))
    assert "12 readings" in repr(average) or "11 readings" in repr(average)


def test_a_meter_that_starts_late_counts_from_then():
    average = CpuAverage(10.0, 50.0, 7.0)
    assert average.add(51.0, 7.5) == pytest.approx(5.0)
