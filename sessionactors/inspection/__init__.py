"""Looking into a session system from outside, and an operator's hand on its sessions.

Source: what `observer` and `recon` show of an Erlang node.
"""

from sessionactors.inspection.inspector import SessionInspector, SessionRow
from sessionactors.inspection.operations import session_operations

__all__ = ["SessionInspector", "SessionRow", "session_operations"]
