import pytest

from sessionactors.audit.record import pack_data
from sessionactors.reap_entry import reaped
from sessionactors.settings import REAP_POLICIES


@pytest.mark.parametrize("policy", REAP_POLICIES)
@pytest.mark.parametrize("idle", [0.0, 0.001, 120.0, 3.141592653589793, 1e9])
def test_it_is_packed_as_any_other_event_would_be(policy, idle):
    expected = pack_data({"event": "session_reaped", "policy": policy, "idle_age": idle})
    assert reaped(policy, idle)[1] == expected
