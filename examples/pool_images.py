"""Make thumbnails of images in a pool of processes, with progress.

    python examples/pool_images.py FOLDER OUTPUT [--workers 4] [--width 64]

Reads every binary PPM (P6) and PGM (P5) file under FOLDER, shrinks it by averaging, and
writes it to OUTPUT under the same name. The work is plain Python, and heavy: just what
processes are for. A file that is broken fails alone; one that takes too long is
given up, and its process ended.

Without images at hand: `--make 20` writes so many into FOLDER first.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from supervisors.pools import TaskTimeoutError, WorkerPool


def main(arguments: list[str] | None = None) -> int:
    """Shrink what is there; return 1 if a file could not be shrunk."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--width", type=int, default=64, help="of a thumbnail, pixels")
    parser.add_argument("--make", type=int, default=0, metavar="N", help="write N images into FOLDER first")
    options = parser.parse_args(arguments)
    if options.make:
        make_images(options.folder, options.make)
    options.output.mkdir(parents=True, exist_ok=True)
    paths = sorted(each for each in options.folder.rglob("*") if each.suffix in (".ppm", ".pgm"))
    jobs = [(path, options.output / path.name, options.width) for path in paths]
    failed = 0
    with WorkerPool(shrink, options.workers, kind="process") as pool:
        outcomes = pool.map(jobs, progress=True, return_exceptions=True, timeout=60.0)
        for path, outcome in zip(paths, outcomes, strict=True):
            if isinstance(outcome, TaskTimeoutError):
                failed += 1
                print(f"{path}: took too long", file=sys.stderr)
            elif isinstance(outcome, Exception):
                failed += 1
                print(f"{path}: {outcome}", file=sys.stderr)
        facts = pool.statistics()
    print(f"{facts.done} images shrunk, {failed} failed, {facts.run_mean:.3f} s each")
    return 1 if failed else 0


def shrink(job: tuple[Path, Path, int]) -> tuple[int, int]:
    """Write a smaller copy of an image; return its width and height."""
    source, target, width = job
    kind, columns, rows, pixels = read_image(source)
    depth = 3 if kind == b"P6" else 1
    step = max(1, columns // width)
    small_columns, small_rows = max(1, columns // step), max(1, rows // step)
    small = bytearray()
    for row in range(small_rows):
        for column in range(small_columns):
            for channel in range(depth):
                total = 0
                for y in range(row * step, row * step + step):
                    first = (y * columns + column * step) * depth + channel
                    total += sum(pixels[first : first + step * depth : depth])
                small.append(total // (step * step))
    target.write_bytes(b"%s %d %d 255\n" % (kind, small_columns, small_rows) + small)
    return small_columns, small_rows


def read_image(path: Path) -> tuple[bytes, int, int, bytes]:
    """Return kind, columns, rows and pixels of a binary PPM or PGM file.

    Raises:
        ValueError: it is none, or is cut short.
    """
    data = path.read_bytes()
    fields: list[bytes] = []
    position = 0
    while len(fields) < 4:
        line = data.find(b"\n", position)
        if line < 0:
            raise ValueError("no image: the header is cut short")
        fields += data[position:line].partition(b"#")[0].split()
        position = line + 1
    kind, columns, rows, highest = fields[0], int(fields[1]), int(fields[2]), int(fields[3])
    if kind not in (b"P5", b"P6") or highest != 255:
        raise ValueError("no image: not a binary PPM or PGM file with 8 bits for each channel")
    size = columns * rows * (3 if kind == b"P6" else 1)
    if len(data) - position < size:
        raise ValueError(f"the image is cut short: {len(data) - position} of {size} bytes")
    return kind, columns, rows, data[position : position + size]


def make_images(folder: Path, count: int) -> None:
    """Write images of gradients with noise, the same ones every time."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = random.Random(1)
    for number in range(count):
        columns, rows = numbers.choice([(320, 240), (240, 320), (400, 400)])
        noise = numbers.randbytes(columns * rows * 3)
        pixels = bytes((each >> 2) + (place % columns * 192 // columns) for place, each in enumerate(noise))
        (folder / f"image-{number:03}.ppm").write_bytes(b"P6 %d %d 255\n" % (columns, rows) + pixels)


if __name__ == "__main__":
    sys.exit(main())
