"""What this library costs, measured: `python -m benchmarks --help`."""

__all__: list[str] = []
