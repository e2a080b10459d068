"""Very many actors on few threads: mailboxes, turns, workers, waiting."""

__all__: list[str] = []
