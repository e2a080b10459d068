"""Every link in our pages leads somewhere, and every page can be come to.

`make docs` finds the same and more, but takes longer.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("*/README.md")])
REFERENCE = sorted(DOCS.rglob("*.rst"))

_FENCE = re.compile(r"^( *)(`{3,}).*?^\1\2`* *$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!\w+:)([^)\s]*)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_TREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def prose(page):
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page):
    """Return what headings are called in an address, as GitHub and MyST do it."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(prose(page)))
    return {each.replace(" ", "-") for each in words}


def dangling(page):
    """Return the links of a page that lead nowhere."""
    found = []
    for link in _LINK.findall(prose(page)):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


def listed(page):
    """Return the pages that the contents on a page name."""
    found = set()
    for tree in _TREE.findall(page.read_text(encoding="utf-8")):
        for line in tree.splitlines():
            if line and not line.startswith(":"):
                found.update(each for suffix in (".md", ".rst") for each in page.parent.glob(line + suffix))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page):
    assert not dangling(page)


@pytest.mark.parametrize(
    "text",
    [
        "[gone](gone.md)",
        "[no such heading](#nowhere)",
        "[no such heading there](other.md#nowhere)",
    ],
)
def test_a_link_that_leads_nowhere_is_found(tmp_path, text):
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    page.write_text(f"# A page\n\n{text} [good](other.md#a-page-too) [also](#a-page)\n\n```\n[not one](x)\n```\n")
    other.write_text("# A `page`, too\n")
    assert dangling(page) == [_LINK.findall(text)[0]]


def test_every_page_stands_in_the_contents():
    known, looked_at = {DOCS / "index.md"}, set()
    while todo := known - looked_at:
        for page in todo:
            looked_at.add(page)
            known |= listed(page)
    assert not {*DOCS.rglob("*.md"), *REFERENCE} - known


def test_pages_of_the_documentation_link_to_no_page_outside_of_it():
    # The built documentation does not have those.
    outside = [
        (page.name, link)
        for page in DOCS.rglob("*.md")
        for link in _LINK.findall(prose(page))
        if link.partition("#")[0].endswith(".md")
        and not (page.parent / link.partition("#")[0]).resolve().is_relative_to(DOCS)
    ]
    assert not outside
