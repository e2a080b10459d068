from __future__ import annotations

import hashlib

import pytest

from sessionactors.audit.errors import AuditDamagedError, AuditWriteError
from sessionactors.audit.log import AuditLog
from sessionactors.audit.queries import AuditReader
from sessionactors.audit.tiles import tile_path, write_tiles
from tests.sessionactors.audit.conftest import alter, some_events


@pytest.mark.parametrize(
    ("index", "width", "path"),
    [
        (0, 256, "tile/0/000"),
        (0, 1, "tile/0/000.p/1"),
        (999, 256, "tile/0/999"),
        (1000, 256, "tile/0/x001/000"),
        (1234067, 256, "tile/0/x001/x234/067"),
        (1234067, 112, "tile/0/x001/x234/067.p/112"),
    ],
)
def test_a_tile_is_where_the_specification_says(index, width, path):
    assert tile_path("0", index, width) == path


def write(tmp_path, count, damage=None):
    with AuditLog(tmp_path / "log", origin="example.com/log") as log:
        log.append_many(some_events(count))
        head = log.commit()
    if damage:
        alter(tmp_path / "log", damage)
    with AuditReader(tmp_path / "log") as reader:
        write_tiles(reader, head, head.note, tmp_path / "out")
    return head, tmp_path / "out"


def files(out):
    return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())


def root_by_definition(leaves):
    """Return the root as RFC 6962 defines it, written another way than in the program."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = root_by_definition(leaves[:split]), root_by_definition(leaves[split:])
    return hashlib.sha256(b"\1" + left + right).digest()


def entries_of(out):
    found = []
    bundles = [path for path in (out / "tile" / "entries").rglob("*") if path.is_file()]
    for path in sorted(bundles, key=lambda path: path.parts[len(out.parts) + 2][:3]):
        raw = path.read_bytes()
        while raw:
            size = int.from_bytes(raw[:2], "big")
            found.append(raw[2 : 2 + size])
            raw = raw[2 + size :]
    return found


def test_a_small_log_has_partial_tiles_only(tmp_path):
    _, out = write(tmp_path, 5)
    assert files(out) == ["checkpoint", "tile/0/000.p/5", "tile/entries/000.p/5"]


def test_the_entries_lead_to_the_signed_root(tmp_path):
    head, out = write(tmp_path, 700)
    assert root_by_definition(entries_of(out)) == head.root
    assert (out / "checkpoint").read_bytes() == head.note


def test_each_hash_of_a_tile_is_the_root_of_what_is_below(tmp_path):
    _, out = write(tmp_path, 700)
    leaves = entries_of(out)
    assert files(out) == [
        "checkpoint",
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/188",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/188",
    ]
    low = (out / "tile/0/001").read_bytes()
    assert low == b"".join(hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves[256:512])
    high = (out / "tile/1/000.p/2").read_bytes()
    assert high == root_by_definition(leaves[:256]) + root_by_definition(leaves[256:512])


def test_a_log_of_whole_tiles_has_no_partial_ones(tmp_path):
    _, out = write(tmp_path, 512)
    assert [name for name in files(out) if ".p" in name] == ["tile/1/000.p/2"]


def test_an_empty_log_has_only_its_head(tmp_path):
    _, out = write(tmp_path, 0)
    assert files(out) == ["checkpoint"]


def test_an_altered_log_leaves_nothing(tmp_path):
    with pytest.raises(AuditDamagedError):
        write(tmp_path, 300, "UPDATE entries SET leaf = x'00' WHERE sequence = 7")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log"]


def test_nothing_is_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(AuditWriteError):
        write(tmp_path, 3)
    assert list((tmp_path / "out").iterdir()) == []
