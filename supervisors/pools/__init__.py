"""Worker pools that lose no task silently and never get stuck."""

__all__: list[str] = []
