"""State machines of Erlang, the peer of a session.

So many live `gen_statem`s with the six states of a session, asked by `gen_statem:call` in
a node of its own with as many schedulers as the machine has cores; they keep
the time of the last activity, count transitions, set their idle timer anew with each,
which is OTP's way of it (ours is lazy), and audit nothing. A second set of them
has no idle timer at all, so it does less than a session has to.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["Beam", "erlang"]

SESSION_ERL: Final = """
-module(session).
-behaviour(gen_statem).
-export([main/0, init/1, callback_mode/0, handle_event/4]).

-define(IDLE_TIMEOUT, 300000).

callback_mode() -> handle_event_function.

init(Timed) -> {ok, active, #{timed => Timed, last => erlang:monotonic_time(), transitions => 0}}.

handle_event({call, From}, {deactivate, _}, active, Data) -> go(From, idle, Data);
handle_event({call, From}, {resume, _}, idle, Data) -> go(From, active, Data);
handle_event({call, From}, {suspend, _}, active, Data) -> go(From, suspended, Data);
handle_event({call, From}, {suspend, _}, idle, Data) -> go(From, suspended, Data);
handle_event({call, From}, {resume, _}, suspended, Data) -> go(From, active, Data);
handle_event({call, From}, {authenticate, _}, new, Data) -> go(From, auth, Data);
handle_event({call, From}, {activate, _}, auth, Data) -> go(From, active, Data);
handle_event({call, From}, {terminate, _}, _, Data) -> go(From, terminated, Data);
handle_event({call, From}, _, State, _) -> {keep_state_and_data, [{reply, From, {error, State}}]};
handle_event(state_timeout, idle, active, Data) -> {next_state, idle, Data};
handle_event(state_timeout, idle, idle, Data) -> {next_state, suspended, Data}.

go(From, To, #{timed := Timed, transitions := Count} = Data) ->
    New = Data#{last := erlang:monotonic_time(), transitions := Count + 1},
    Timer = [{state_timeout, ?IDLE_TIMEOUT, idle} || Timed],
    {next_state, To, New, [{reply, From, {ok, To}} | Timer]}.

main() ->
    {ok, [Count]} = io:fread("", "~d"),
    Plain = [start(false) || _ <- lists:seq(1, Count)],
    Timed = [start(true) || _ <- lists:seq(1, Count)],
    loop(Plain, Timed).

start(Timed) -> {ok, Pid} = gen_statem:start(?MODULE, Timed, []), Pid.

%% One line in, one measurement out, until the pipe is closed.
loop(Plain, Timed) ->
    case io:fread("", "~a") of
        {ok, [plain]} -> io:format("~p~n", [measure(Plain)]), loop(Plain, Timed);
        {ok, [timed]} -> io:format("~p~n", [measure(Timed)]), loop(Plain, Timed);
        eof -> halt(0)
    end.

measure(Pids) ->
    Start = erlang:monotonic_time(nanosecond),
    [{ok, idle} = gen_statem:call(Pid, {deactivate, none}) || Pid <- Pids],
    [{ok, active} = gen_statem:call(Pid, {resume, none}) || Pid <- Pids],
    erlang:monotonic_time(nanosecond) - Start.
"""


class Beam:
    """A running Erlang node with so many live state machines."""

    def __init__(self, erl: str, erlc: str, count: int) -> None:
        self._count = count
        self._folder = tempfile.TemporaryDirectory()
        (Path(self._folder.name) / "session.erl").write_text(SESSION_ERL)
        subprocess.run([erlc, "session.erl"], cwd=self._folder.name, check=True)  # noqa: S603 - our own program
        self._node = subprocess.Popen(  # noqa: S603 - our own program
            [erl, "+P", "1000000", "-noshell", "-s", "session", "main"],
            cwd=self._folder.name,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._say(str(count))

    def rate(self, which: str) -> float:
        """Return transitions a second of the plain or of the timed ones."""
        self._say(which)
        assert self._node.stdout is not None
        return 2 * self._count / (int(self._node.stdout.readline()) / 1e9)

    def close(self) -> None:
        """End the node."""
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        self._node.stdin.close()
        self._node.stdout.close()
        self._node.wait(timeout=30)
        self._folder.cleanup()

    def _say(self, line: str) -> None:
        assert self._node.stdin is not None
        self._node.stdin.write(f"{line}\n")
        self._node.stdin.flush()


@contextmanager
def erlang(count: int) -> Iterator[Beam | None]:
    """Give a node, or None where there is no Erlang."""
    erl, erlc = shutil.which("erl"), shutil.which("erlc")
    beam = Beam(erl, erlc, count) if erl is not None and erlc is not None else None
    try:
        yield beam
    finally:
        if beam is not None:
            beam.close()
