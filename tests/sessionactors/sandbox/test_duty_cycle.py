import pytest

from sessionactors.sandbox.duty_cycle import DutyCycle


def use(limit, seconds, step=0.05, burst=0.2, speed=1.0):
    """Let a process that always wants to run do so for a time; return the CPU seconds that it got."""
    duty = DutyCycle(limit, burst, 0.0)
    used = now = 0.0
    running = True
    while now < seconds:
        now += step
        used += step * speed if running else 0.0
        running = duty.step(now, used)
    return used


@pytest.mark.parametrize("limit", [5.0, 25.0, 50.0, 80.0, 99.0])
def test_over_time_a_process_gets_its_share_and_one_burst(limit):
    used = use(limit, 60.0)
    assert used == pytest.approx(0.6 * limit, abs=0.3)
    assert used <= 0.6 * limit + 0.2 + 0.05 + 1e-9


def test_who_uses_less_than_its_share_is_never_stopped():
    duty = DutyCycle(50.0, 0.2, 0.0)
    assert all(duty.step(now / 10, now / 10 * 0.4) for now in range(1, 1000))


def test_a_process_with_several_threads_pays_for_all_of_them():
    assert use(50.0, 60.0, speed=4.0) == pytest.approx(30.0, abs=0.5)


def test_what_is_saved_while_idle_is_bounded():
    duty = DutyCycle(50.0, 0.2, 0.0)
    duty.step(1000.0, 0.0)
    assert not duty.step(1000.1, 0.3)


def test_a_clock_that_goes_back_earns_nothing():
    duty = DutyCycle(50.0, 0.2, 100.0)
    duty.step(100.0, 0.3)
    assert not duty.step(50.0, 0.3)
    assert not duty.step(100.05, 0.3)
