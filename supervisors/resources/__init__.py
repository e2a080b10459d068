"""Pools of resources that live in one actor: connections, sessions with others, whatever is a value and no actor.

Source: Elixir's `NimblePool` (NPOOL-1 to NPOOL-12).
"""

from __future__ import annotations

from supervisors.resources.borrowing import Loan, LoanOverError, borrow
from supervisors.resources.keeper import Lent, MadeLater, Remove, ResourceKeeper, Skip, StopPool
from supervisors.resources.pool import ResourcePool

__all__ = [
    "Lent",
    "Loan",
    "LoanOverError",
    "MadeLater",
    "Remove",
    "ResourceKeeper",
    "ResourcePool",
    "Skip",
    "StopPool",
    "borrow",
]
