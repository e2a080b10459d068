"""Who may replace which record: the same for every store."""

from __future__ import annotations

from typing import Final

__all__ = ["FENCED", "refusal"]

FENCED: Final = ("another owner has claimed it since", "stop this system; its sessions belong to the other one")


def refusal(stored_epoch: object, stored_schema: object, epoch: int, schema: int) -> str | None:
    """Tell in words why a record may not take the place of a stored one, or None when it may.

    Args:
        stored_epoch: the owner who wrote what is stored; a damaged one is no reason.
        stored_schema: its schema version, likewise.
        epoch: the writer's.
        schema: version of what is to be written.
    """
    if isinstance(stored_epoch, int) and epoch < stored_epoch:
        return f"an owner of epoch {stored_epoch} has stored it, and this one has epoch {epoch}"
    if isinstance(stored_schema, int) and schema < stored_schema:
        return f"a newer program has stored it, in schema {stored_schema}"
    return None
