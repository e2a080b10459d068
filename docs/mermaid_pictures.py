"""Pictures in Mermaid that the reader's browser draws, also without a network.

`.ci/mermaid` fetches Mermaid's one file from the npm registry when the documentation is built; it
goes into the pages' own folder. Where it could not be had, pages ask a public server for the same
file. It is a plain script and no module, because a browser loads no module from a page
that was opened as a file.
"""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.parsers.rst import Directive

if TYPE_CHECKING:
    from sphinx.application import Sphinx

VERSION = "11.17.2"
INTEGRITY = "sha384-EOXBFmc3gx5mb+vn0vPvvGqACToJD24hhacX5Yx+8NUUQrHIle/Qi5Bg9o3zKwW2"
FILE = "mermaid.min.js"
ELSEWHERE = f"https://cdn.jsdelivr.net/npm/mermaid@{VERSION}/dist/{FILE}"

# "loose" would let a picture run scripts; ours need none.
START = """
mermaid.initialize({
    securityLevel: "strict",
    startOnLoad: true,
    theme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "default",
});
"""


class Picture(Directive):
    """Put the text of a picture into the page, where the script finds it."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the picture as HTML. Called by Sphinx."""
        text = "\n".join(self.content)
        return [nodes.raw("", f'<pre class="mermaid">\n{escape(text)}\n</pre>\n', format="html")]


def add_script(app: Sphinx, _page: str, _template: str, _context: object, doctree: nodes.document | None) -> None:
    """Have a page that has a picture load the script. Called by Sphinx for each page."""
    if doctree is None or not any('class="mermaid"' in each.astext() for each in doctree.findall(nodes.raw)):
        return
    if _has_file():
        app.add_js_file(FILE)
    else:
        app.add_js_file(ELSEWHERE, integrity=INTEGRITY, crossorigin="anonymous")
    app.add_js_file(None, body=START)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register what stands above. Called by Sphinx."""
    app.add_directive("mermaid", Picture)
    app.connect("html-page-context", add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _has_file() -> bool:
    return (Path(os.environ.get("DOCS_MERMAID", "")) / FILE).exists()
