"""How Sphinx builds the documentation; `make docs` runs it, with warnings as errors."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]  # the tree as it is, installed or not, and modules of our own

from reference_sources import add_source  # noqa: E402 - it is found by what stands above

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = PROJECT["name"]
release = version = PROJECT["version"]
project_copyright = "the authors of sessionactors"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "mermaid_pictures",
]

# Pages are Markdown that reads well as it is, so the fences are those that other
# programs know, too.
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3
suppress_warnings = ["ref.python"]  # a `Reply` of a server and one of a state machine are both meant by their pages

# One backtick in a docstring is code, as everywhere else.
default_role = "code"
autodoc_default_options = {"members": True, "imported-members": True, "show-inheritance": True}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Blocks", "Note"), ("Order", "Note"), ("Source", "Note"), ("Thread", "Note")]
# Attributes are told in the docstring of their class; they need no entry of their own.
napoleon_use_ivar = True

# `make docs` fetches what draws the pictures into this folder; it goes into the pages' own.
html_static_path = [folder for folder in [os.environ.get("DOCS_MERMAID", "")] if folder]

html_theme = "furo"
html_title = f"sessionactors {release}"
html_copy_source = False


def setup(app: Sphinx) -> None:
    """Register what stands below. Called by Sphinx."""
    app.connect("autodoc-process-docstring", add_source)
    app.connect("autodoc-process-docstring", part_plurals)


def part_plurals(*event: object) -> None:
    """Part "`Thing`s" into "`Thing`" and "s"; reStructuredText wants to be told."""
    lines = event[-1]
    assert isinstance(lines, list)
    lines[:] = [_PLURAL.sub(r"\1\\ s", line) for line in lines]


_PLURAL = re.compile(r"(?<![`\w])(`[\w.()]+`)s\b")
