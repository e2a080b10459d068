import threading
import time
from contextlib import suppress

import pytest

from sessionactors import Session, SessionSystem
from sessionactors.errors import InvalidKind, InvalidOption, InvalidValue, NotFound, SessionTerminated, UnknownRequest
from sessionactors.expiry import ReapPolicy
from sessionactors.session import PEEK, Reaping
from supervisors import Actor
from supervisors.runtime.outcomes import AskTimeoutError
from tests.sessionactors.session_world import TRUSTED, ends, entries, kill, names, start_active, virtual

QUIET = {"idle_timeout": None}


@pytest.fixture
def system():
    # Sweeps at 60, 120, 180, ... seconds; only sessions idle for longer than 100 go.
    with virtual(session=QUIET, reaper={"interval": 60.0, "idle_threshold": 100.0}) as made:
        yield made


def eventually(condition, seconds=20.0):
    """Wait until something is the case."""
    passing = threading.Event()
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        passing.wait(0.005)


def advance(system, seconds):
    system.actors.advance(seconds)


# --- The schedule -----------------------------------------------------------------------------------------------------


def test_a_session_is_reaped_at_the_first_sweep_that_finds_it_idle_for_longer(system):
    start_active(system, "a")
    advance(system, 119.0)
    assert system.get_state("a") == "active"
    advance(system, 1.0)
    assert system.state_of("a") == "terminated"


def test_a_session_idle_for_exactly_the_threshold_is_spared(system):
    advance(system, 20.0)
    start_active(system, "a")
    advance(system, 100.0)
    assert system.get_state("a") == "active"
    advance(system, 60.0)
    assert system.state_of("a") == "terminated"


def test_activity_spares_and_questions_do_not(system):
    start_active(system, "a", "b")
    advance(system, 59.0)
    system.touch("a")
    system.get_info("b")
    system.check_quota("b")
    advance(system, 61.0)
    assert (system.state_of("a"), system.state_of("b")) == ("active", "terminated")


def test_no_boundary_is_missed_over_many_odd_intervals():
    with virtual(session=QUIET, reaper={"interval": 0.7, "idle_threshold": 2.1}) as system:
        for number in range(1, 200):
            # Started exactly on a sweep, so its idle time is exactly the threshold three sweeps later.
            system.actors.advance_to(0.7 * 5 * number)
            system.start_session(f"s{number}")
            system.actors.advance_to(0.7 * 5 * number + 0.7 * 3 - 0.01)
            assert system.get_state(f"s{number}") == "new"
            system.actors.advance_to(0.7 * 5 * number + 0.7 * 4 + 0.001)
            assert system.state_of(f"s{number}") == "terminated"


def test_timers_of_sessions_come_before_a_sweep_of_the_same_moment():
    with virtual(session={"idle_timeout": 60.0}, reaper={"interval": 60.0, "idle_threshold": 50.0}) as system:
        start_active(system, "a")
        advance(system, 60.0)
        assert names(system, "a")[-3:] == ["deactivated", "session_reaped", "session_terminated"]


def test_sweeps_go_on_in_a_paused_reapers_schedule(system):
    start_active(system, "a")
    system.pause_reaper()
    advance(system, 500.0)
    assert system.get_state("a") == "active"
    system.resume_reaper()
    advance(system, 39.0)
    assert system.get_state("a") == "active"
    advance(system, 1.0)
    assert system.state_of("a") == "terminated"


def test_a_paused_reaper_still_reaps_when_asked(system):
    start_active(system, "a")
    system.pause_reaper()
    advance(system, 101.0)
    assert system.reap() == 1


def test_a_new_interval_counts_from_the_change(system):
    start_active(system, "a")
    advance(system, 90.0)
    system.set_reap_interval(25.0)
    advance(system, 24.0)
    assert system.get_state("a") == "active"
    advance(system, 1.0)
    assert system.state_of("a") == "terminated"


def test_there_is_never_more_than_one_timer(system):
    start_active(system, "a")
    system.commit_audit()
    pending = system.actors.timers.pending()
    for _ in range(3):
        system.set_reap_interval(30.0)
        system.pause_reaper()
        system.resume_reaper()
        system.set_reap_policy("all")
        system.set_reap_policy("idle_timeout")
        kill(system, "reaper")
        system.actors.settle()
    system.commit_audit()
    assert system.actors.timers.pending() == pending


def test_a_timer_that_was_replaced_while_it_was_on_its_way_does_nothing(system):
    start_active(system, "a")
    reaper = system.actors.whereis("reaper")
    stale = reaper._actor._timer.message
    reaper.suspend()
    reaper.send(("set_interval", 1000.0))
    reaper.send(stale)
    reaper.resume()
    system.actors.settle()
    system.commit_audit()
    pending = system.actors.timers.pending()
    reaper.send(stale)
    system.actors.settle()
    assert system.actors.timers.pending() == pending
    assert not reaper._actor._is_due


def test_the_schedule_outlives_a_crash(system):
    start_active(system, "a")
    advance(system, 70.0)
    kill(system, "reaper")
    system.actors.settle()
    advance(system, 49.0)
    assert system.get_state("a") == "active"
    advance(system, 1.0)
    assert system.state_of("a") == "terminated"


def test_policy_pause_and_counts_outlive_a_crash(system):
    start_active(system, "a", "b")
    system.terminate("b")
    assert system.reap("all") == 1
    system.set_reap_policy("expired")
    system.pause_reaper()
    kill(system, "reaper")
    system.actors.settle()
    found = system.reaper_statistics()
    assert (found.policy, found.paused, found.total_reaped, found.last_reap_count) == ("expired", True, 1, 1)


def test_a_session_with_a_shorter_life_than_all_others_is_not_overlooked(system):
    system.set_reap_policy("expired")
    system.start_session("long", {"ttl": 10_000.0})
    advance(system, 61.0)
    system.start_session("short", {"ttl": 10.0})
    advance(system, 60.0)
    assert (system.state_of("long"), system.state_of("short")) == ("new", "terminated")


def test_who_has_ended_long_ago_takes_no_memory():
    with virtual(session=QUIET, reaper={"idle_threshold": 1e6}) as system:
        system.start_session("stays")
        for number in range(2500):
            system.start_session(str(number))
            system.terminate(str(number))
        assert len(system.actors.whereis("reaper")._actor._agenda) <= 1002


# --- The policies -----------------------------------------------------------------------------------------------------


def test_all_ends_everybody(system):
    start_active(system, "a", "b")
    assert system.reap("all") == 2
    assert system.live_sessions() == []


def test_expired_goes_by_each_sessions_own_ttl(system):
    system.start_session("short", {"ttl": 10.0})
    system.start_session("long", {"ttl": 100.0})
    system.start_session("never", {"ttl": None})
    advance(system, 10.0)
    assert system.reap("expired") == 0
    advance(system, 1.0)
    assert system.reap("expired") == 1
    assert system.live_sessions() == ["long", "never"]


def test_a_custom_filter_picks(system):
    for each in ("a", "b"):
        system.start_session(each)
    system.set_reap_policy("custom", filter=lambda entry: entry.id == "a")
    advance(system, 60.0)
    assert system.live_sessions() == ["b"]


def test_a_filter_that_raises_keeps_the_session_and_is_reported_once(system, caplog):
    def picks(entry):
        raise RuntimeError

    for each in ("a", "b"):
        system.start_session(each)
    system.set_reap_policy("custom", filter=picks)
    advance(system, 180.0)
    assert system.live_sessions() == ["a", "b"]
    assert sum("filter raised" in each.message for each in caplog.records) == 1


def test_a_live_session_is_no_orphan(system):
    system.start_session("a")
    assert system.reap("orphaned") == 0


def test_an_orphan_is_cleared_up(system):
    ghost = system.actors.start(Actor)
    system.directory.add("ghost", ghost)
    system.check_rate_limit("ghost")
    ghost.kill()
    system.actors.settle()
    assert system.reap("orphaned") == 1
    assert system.live_sessions() == []
    assert system.limiter_statistics().total_sessions == 0
    assert names(system, "ghost") == ["session_reaped"]


# --- Ending -----------------------------------------------------------------------------------------------------------


def test_the_log_says_why_before_the_end(system):
    start_active(system, "a")
    advance(system, 120.0)
    reaped, ended = entries(system, "a")[-2:]
    assert (reaped.type, reaped.data) == (
        "lifecycle",
        {"event": "session_reaped", "policy": "idle_timeout", "idle_age": 120.0},
    )
    assert (ended.data["to_state"], ended.data["reason"]) == ("terminated", "reaped")


def test_a_session_that_was_used_since_the_reaper_has_looked_goes_on(system):
    start_active(system, "a")
    ref = system.directory.get("a")
    seen = ref.ask(PEEK)
    advance(system, 1.0)
    system.touch("a")
    assert ref.ask(Reaping(ReapPolicy("all"), seen.last_accessed)) is not None
    assert system.get_state("a") == "active"
    assert "session_reaped" not in names(system, "a")


def test_a_session_judges_itself_when_its_turn_has_come(system):
    start_active(system, "a")
    ref = system.directory.get("a")
    advance(system, 50.0)
    system.touch("a")
    assert ref.ask(Reaping(ReapPolicy("idle_timeout", 60.0))) == pytest.approx(110.0)
    advance(system, 60.5)
    assert ref.ask(Reaping(ReapPolicy("idle_timeout", 60.0))) is None
    assert not ref.is_alive()


def test_only_what_has_ended_is_counted(system):
    start_active(system, "a", "b", "c")
    system.terminate("b")
    assert system.reap("all") == 2
    assert system.reap("all") == 0
    found = system.reaper_statistics()
    assert (found.total_reaped, found.last_reap_count) == (2, 0)


def test_many_sessions_are_reaped_in_batches():
    with virtual(reaper={"interval": 60.0, "idle_threshold": 50.0, "batch_size": 7}, session=QUIET) as system:
        start_active(system, *map(str, range(50)))
        advance(system, 60.0)
        assert system.live_sessions() == []
        assert system.reaper_statistics().last_reap_count == 50


def test_a_session_that_does_not_answer_is_asked_again_and_the_reaper_lives(system):
    start_active(system, "a", "b")
    reaper = system.actors.whereis("reaper")
    system.directory.get("a").suspend()
    advance(system, 120.0)
    assert system.state_of("b") == "terminated"
    assert system.actors.whereis("reaper") is reaper
    system.directory.get("a").resume()
    advance(system, 120.0)
    assert system.state_of("a") == "terminated"


def test_a_subscriber_may_have_the_others_reaped(system):
    counts = []
    start_active(system, "a", "b", "c")
    system.subscribe("a", lambda event: counts.append(system.reap("all")))
    system.deactivate("a")
    assert counts == [2]
    assert system.live_sessions() == ["a"]
    assert system.get_state("a") == "idle"


def test_a_session_that_hangs_when_it_is_to_go_is_killed():
    entered, leave = threading.Event(), threading.Event()

    def hangs(event):
        entered.set()
        leave.wait(10.0)

    with SessionSystem(reaper={"termination_timeout": 0.05}) as system:
        start_active(system, "a")
        ref = system.directory.get("a")
        # From the thread that holds the session's turn, nobody else gets an answer.
        system.subscribe("a", hangs)
        holder = threading.Thread(target=lambda: system.deactivate("a"))
        holder.start()
        assert entered.wait(10.0)
        assert system.reap("all") == 1
        leave.set()
        holder.join()
        ref.join(10.0)
        records = entries(system, "a")
        assert ends(records) == {"a": 1}
        assert [each.data.get("forced") for each in records if each.data["event"] == "session_reaped"] == [True]


# --- Sessions that others run -----------------------------------------------------------------------------------------


class Held(Session):
    """Runs on the worker pool; a request holds it until it is let go."""

    entered = threading.Event()
    leave = threading.Event()

    def handle_request(self, request):
        if request == "reap":
            return self._around.whereis("reaper").ask(("reap", "all"))
        self.entered.set()
        self.leave.wait(10.0)
        return request


@pytest.fixture
def held():
    """Return a real system in which a session hangs in a request, and another one does not."""
    Held.entered.clear()
    Held.leave.clear()
    with SessionSystem(
        session=QUIET, reaper={"interval": 1e6, "idle_threshold": 0.2, "termination_timeout": 0.05}
    ) as system:
        for each in ("hangs", "works"):
            system.start_session(each, session_class=Held)
            system.authenticate(each, TRUSTED)
            system.activate(each)
        asker = threading.Thread(target=lambda: _ask_in_vain(system))
        asker.start()
        assert Held.entered.wait(10.0)
        yield system
        Held.leave.set()
        asker.join()


def _ask_in_vain(system):
    with suppress(SessionTerminated, AskTimeoutError):
        system.request("hangs", 1)


def test_the_reaper_answers_while_a_session_does_not(held):
    answers = []
    reaping = threading.Thread(target=lambda: answers.append(held.reap("all")))
    held.set_reap_policy("idle_timeout", idle_threshold=100.0)
    reaper = held.actors.whereis("reaper")
    begun = reaper.ask(("reap", "all"), block=False)
    assert held.reaper_statistics().last_reap_at is not None
    assert not begun.is_done()
    reaping.start()
    assert begun.get(timeout=10.0) == 2
    reaping.join()
    assert answers == [0]


def test_a_session_that_hangs_is_left_alone_as_long_as_it_might_have_been_used(held):
    held.set_reap_policy("idle_timeout", idle_threshold=100.0)
    assert held.reap() == 0
    assert held.live_sessions() == ["hangs", "works"]


def test_a_session_without_a_turn_for_longer_than_the_threshold_is_killed(held):
    eventually(lambda: held.reap() >= 0 and held.reaper_statistics().total_reaped == 2)
    records = [each for each in entries(held, "hangs") if each.data["event"] == "session_reaped"]
    assert [each.data.get("forced") for each in records] == [True]
    assert held.live_sessions() == []


def test_a_session_that_answers_late_ends_by_the_question_that_it_has_kept(held):
    held.touch("works")
    held.reap()
    asked_at = held.actors.clock.monotonic()
    assert "hangs" in held.live_sessions()
    eventually(lambda: held.actors.clock.monotonic() - asked_at > 0.2)
    Held.leave.set()
    eventually(lambda: held.state_of("hangs") == "terminated")
    eventually(lambda: held.reaper_statistics().total_reaped >= 1)
    records = [each for each in entries(held, "hangs") if each.data["event"] == "session_reaped"]
    assert [each.data.get("forced") for each in records] == [None]


def test_a_session_that_asks_for_it_is_left_alone(held):
    Held.leave.set()
    eventually(lambda: held.get_state("hangs") == "active")
    assert held.request("works", "reap") == 1
    assert held.live_sessions() == ["works"]


def test_a_filter_judges_sessions_that_others_run(held):
    Held.leave.set()
    held.set_reap_policy("custom", filter=lambda entry: entry.id == "works")
    assert held.reap() == 1
    assert held.live_sessions() == ["hangs"]


def test_sessions_that_others_run_end_at_the_same_time():
    together = threading.Barrier(3)

    class Meets(Session):
        dispatch = "shared"

        def on_terminated(self, reason):
            together.wait(10.0)

    with SessionSystem() as system:
        for each in "abc":
            system.start_session(each, session_class=Meets)
        assert system.reap("all") == 3
    assert not together.broken


# --- Statistics -------------------------------------------------------------------------------------------------------


def test_the_statistics_before_the_first_sweep(system):
    found = system.reaper_statistics()
    assert (found.total_reaped, found.last_reap_at, found.last_reap_count) == (0, None, 0)
    assert (found.interval, found.paused, found.policy, found.idle_threshold) == (60.0, False, "idle_timeout", 100.0)
    assert system.actors.whereis("reaper").ask(("get_reaped_count",)) == 0


def test_a_sweep_that_could_find_nothing_counts_as_one_that_found_nothing(system):
    advance(system, 125.0)
    assert system.reaper_statistics().last_reap_at == 120.0
    start_active(system, "a")
    advance(system, 115.0)
    assert (system.reaper_statistics().last_reap_at, system.reaper_statistics().last_reap_count) == (240.0, 1)
    advance(system, 60.0)
    assert (system.reaper_statistics().last_reap_at, system.reaper_statistics().last_reap_count) == (300.0, 0)


def test_a_paused_reaper_counts_no_sweeps(system):
    advance(system, 70.0)
    system.pause_reaper()
    advance(system, 200.0)
    assert system.reaper_statistics().last_reap_at == 60.0
    system.resume_reaper()
    assert system.reaper_statistics().last_reap_at == 60.0
    advance(system, 40.0)
    assert system.reaper_statistics().last_reap_at == 300.0


# --- Bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["nonsense", "custom", "", 5, []])
def test_a_policy_that_is_none_is_refused_and_the_reaper_lives(system, policy):
    reaper = system.actors.whereis("reaper")
    for use in (system.reap, system.set_reap_policy):
        with pytest.raises((InvalidKind, InvalidValue)):
            use(policy)
    assert system.reaper_statistics().policy == "idle_timeout"
    assert system.actors.whereis("reaper") is reaper


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"idle_threshold": 0}, InvalidValue),
        ({"idle_threshold": "5"}, InvalidKind),
        ({"interval": 5.0}, InvalidOption),
        ({"filter": print}, InvalidValue),
    ],
)
def test_a_wrong_option_of_a_policy_is_refused_and_changes_nothing(system, options, error):
    with pytest.raises(error):
        system.set_reap_policy("idle_timeout", **options)
    assert system.reaper_statistics().idle_threshold == 100.0


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf"), True, "5", None])
def test_an_interval_that_is_none_is_refused_and_changes_nothing(system, interval):
    with pytest.raises((InvalidKind, InvalidValue)) as refused:
        system.set_reap_interval(interval)
    assert refused.value.field == "interval"
    assert system.reaper_statistics().interval == 60.0


def test_an_unknown_message_is_refused_and_the_reaper_lives(system):
    reaper = system.actors.whereis("reaper")
    for message in ((), ("nonsense",), "nonsense", None):
        with pytest.raises(UnknownRequest):
            reaper.ask(message)
    assert reaper.is_alive()


# --- Batches ----------------------------------------------------------------------------------------------------------


def test_a_manual_reap_lets_others_ask_between_its_batches():
    with virtual(session=QUIET, reaper={"batch_size": 2}) as system:
        start_active(system, *"abcdefg")
        reaper = system.actors.whereis("reaper")
        answers = []
        for each in "abcdefg":
            system.subscribe(each, lambda _: answers.append(reaper.ask(("get_reaped_count",), block=False)))
        assert system.reap("all") == 7
        assert [each.get(timeout=0) for each in answers] == [2, 2, 4, 4, 6, 6, 7]


def test_reaps_that_are_asked_for_at_once_are_each_told_their_own_count():
    with virtual(session=QUIET, reaper={"batch_size": 2}) as system:
        start_active(system, *"abcdefg")
        reaper = system.actors.whereis("reaper")
        futures = []
        system.subscribe("a", lambda _: futures.append(reaper.ask(("reap", "all"), block=False)))
        assert system.reap("all") == 7
        assert [each.get(timeout=0) for each in futures] == [0]
        assert system.reaper_statistics().total_reaped == 7


def test_a_reaper_that_dies_while_it_reaps_tells_who_waits():
    with virtual(session=QUIET, reaper={"batch_size": 2}) as system:
        start_active(system, *"abcdefg")
        system.subscribe("c", lambda _: kill(system, "reaper"))
        with pytest.raises(NotFound):
            system.reap("all")
        system.actors.settle()
        assert system.live_sessions() == [*"efg"]
        assert system.reap("all") == 3


class Incomparable:
    """Raises when it is compared."""

    __hash__ = None

    def __eq__(self, other):
        raise RuntimeError("no")


def test_a_policy_that_cannot_be_compared_is_refused_and_the_reaper_lives(system):
    reaper = system.actors.whereis("reaper")
    with pytest.raises(InvalidKind) as refused:
        system.reap(Incomparable())
    assert refused.value.field == "policy"
    assert system.actors.whereis("reaper") is reaper
