"""State machines with OTP's meaning (gen_statem): pure engine, thin actor.

============================  ======================================================
`supervisors.statem.machine`  `StateMachine`, and what its clients call: `call()`,
                              `cast()`, `stop()`, `get_state()`, `replace_state()`
`supervisors.statem.results`  what a callback returns: `next_state()`, `keep_state()`,
                              `repeat_state()`, `stop()`, `stop_and_reply()`
`supervisors.statem.actions`  what it wants done besides: `reply()`, `postpone()`,
                              `next_event()`, time-outs
`supervisors.statem.events`   the kinds of events: `CALL`, `CAST`, `INFO` and the rest
============================  ======================================================

`stop` is two things, as in OTP: a request from outside, and a result. Hence nothing
is offered here in one heap.
"""

__all__: list[str] = []
