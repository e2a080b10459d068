"""Looking into a session system from outside, and an operator's hand on its sessions."""

from sessionactors.inspection.inspector import SessionInspector, SessionRow
from sessionactors.inspection.operations import session_operations

__all__ = ["SessionInspector", "SessionRow", "session_operations"]
