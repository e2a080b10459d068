"""Every example that we print runs: Python blocks in the pages, and doctests in the code.

The blocks of a page share one namespace and run in order, so that a page can
build something up as it explains. A block ``output`` is exactly what the Python block
before it prints, where ``...`` stands for anything, as in a doctest. A block that begins
with a comment that is a file name, ``# squares.py``, is that program: it is written there
and run by itself, ``# test_squares.py`` by pytest. A page that shows something that must not run shows it as another
language, such as ``text``.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import os
import re
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(
    r"^(?P<indent> *)```python\b[^\n]*\n(?P<code>.*?)^(?P=indent)``` *\n"
    r"(?:[^`]*?^(?P=indent)```output *\n(?P<output>.*?)^(?P=indent)``` *$)?",
    re.MULTILINE | re.DOTALL,
)
_PROGRAM = re.compile(r"# (?P<name>\w+\.py)\n")
_OUTPUT = re.compile(r"^ *```output *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One example of a page; `line` is where its first line stands, `output` what it prints, if the page says so."""

    line: int
    code: str
    output: str | None


def _blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            text.count("\n", 0, found.start("code")) + 1,
            textwrap.dedent(found["code"]),
            None if found["output"] is None else textwrap.dedent(found["output"]),
        )
        for found in _BLOCK.finditer(text)
    ]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


PAGES = [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if _blocks(page)]
DOCTESTED = [
    path
    for package in ("sessionactors", "supervisors")
    for path in sorted((ROOT / package).rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("page", PAGES, ids=map(_name, PAGES))
def test_the_examples_of_a_page_run(page, module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _run(page, module)


@pytest.mark.parametrize("path", DOCTESTED, ids=map(_name, DOCTESTED))
def test_the_doctests_of_a_module_hold(path, tmp_path, monkeypatch):
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert results.attempted
    assert not results.failed


@pytest.fixture
def module(monkeypatch) -> Iterator[ModuleType]:
    """Give the blocks of a page a module of their own: dataclasses look theirs up by name."""
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.fixture
def page(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "page.md"
        path.write_text(textwrap.dedent(text))
        return path

    return write


def test_the_blocks_of_a_page_share_their_names(page, module):
    _run(page("```python\nx = 1\n```\nand then\n```python\ny = x + 1\n```\n"), module)
    assert module.__dict__["y"] == 2


def test_a_failing_example_is_told_with_file_and_line(page, module):
    path = page("# Page\n\n```python\nx = 1\n\nassert x == 2, 'sum'\n```\n")
    with pytest.raises(pytest.fail.Exception, match=rf"{path}:6: AssertionError: sum"):
        _run(path, module)


def test_an_example_that_is_not_python_is_told_with_file_and_line(page, module):
    path = page("```python\nx = 1\n```\n\n```python\nx = = 1\n```\n")
    with pytest.raises(pytest.fail.Exception, match=rf"{path}:6: SyntaxError"):
        _run(path, module)


def test_an_error_inside_a_library_is_told_at_the_line_of_the_page(page, module):
    path = page("```python\nimport json\n\njson.loads('{')\n```\n")
    with pytest.raises(pytest.fail.Exception, match=rf"{path}:4: JSONDecodeError"):
        _run(path, module)


def test_what_a_page_says_is_printed_must_be_printed(page, module):
    _run(page("```python\nprint(1)\n```\nIt says:\n```output\n1\n```\n"), module)
    wrong = page("```python\nx = 1\nprint(x)\n```\n\n```output\n2\n```\n")
    with pytest.raises(pytest.fail.Exception, match=rf"{wrong}:2: it says\n2\n\nbut what is printed is\n1\n"):
        _run(wrong, module)


def test_a_block_that_names_a_file_is_run_as_a_program(page, module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = '# name.py\nif __name__ == "__main__":\n    print("by itself")\n'
    _run(page(f"```python\n{program}```\n\n```output\nby itself\n```\n"), module)
    with pytest.raises(pytest.fail.Exception, match="name 'x' is not defined"):
        _run(page("```python\n# name.py\nprint(x)\n```\n"), module)


def test_dots_stand_for_anything_that_is_printed(page, module):
    _run(page("```python\nprint('took 3 ms')\n```\n```output\ntook ... ms\n```\n"), module)


@pytest.mark.parametrize("page", PAGES, ids=map(_name, PAGES))
def test_all_output_of_a_page_belongs_to_an_example(page):
    shown = len(_OUTPUT.findall(page.read_text(encoding="utf-8")))
    assert shown == sum(block.output is not None for block in _blocks(page))


def test_an_example_inside_a_list_runs(page, module):
    _run(page("* first\n\n  ```python\n  x = 3\n  ```\n"), module)
    assert module.__dict__["x"] == 3


def test_other_languages_are_left_alone(page):
    assert not _blocks(page("```text\nnot python\n```\n```pythonic\nneither\n```\n```\nnor this\n```\n"))


def test_an_example_may_define_dataclasses(page, module):
    block = "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    b: int\n"
    _run(page(f"```python\n{block}```\n"), module)


def _run(page: Path, module: ModuleType) -> None:
    """Run the blocks of a page in order; fail with its name and the line that went wrong."""
    for block in _blocks(page):
        printed = io.StringIO()
        program = _PROGRAM.match(block.code)
        try:
            if program is not None:
                printed.write(_printed_by(program["name"], block.code))
            else:
                # Empty lines in front make line numbers in tracebacks those of the page.
                source = "\n" * (block.line - 1) + block.code
                with contextlib.redirect_stdout(printed):
                    exec(compile(source, str(page), "exec", dont_inherit=True), module.__dict__)
        except Exception as error:  # noqa: BLE001 - an example may fail in any way
            pytest.fail(f"{page}:{_line(error, page)}: {type(error).__name__}: {error}", pytrace=False)
        told = printed.getvalue()
        if block.output is not None and not _CHECKER.check_output(block.output, told, doctest.ELLIPSIS):
            pytest.fail(f"{page}:{block.line}: it says\n{block.output}\nbut what is printed is\n{told}", pytrace=False)


_CHECKER = doctest.OutputChecker()


def _printed_by(name: str, code: str) -> str:
    """Write a program into the current folder and run it; return what it prints."""
    Path(name).write_text(code, encoding="utf-8")
    is_test = name.startswith("test_")
    runner = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "supervisors.pytest_plugin"] if is_test else []
    done = subprocess.run(
        [sys.executable, *runner, name],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _line(error: Exception, page: Path) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == str(page):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(page)]
    return lines[-1] if lines else None
