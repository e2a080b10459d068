"""A real Prometheus for tests, where one is installed: it scrapes, reads rules, and is asked what it found."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar
from urllib.parse import quote

__all__ = ["MISSING", "RULES", "Alert", "Prometheus", "is_installed", "quick"]

MISSING: Final = "no prometheus here (Debian package prometheus)"
RULES: Final = Path(__file__).parents[2] / "docs" / "prometheus" / "rules.yml"

_T = TypeVar("_T")


def is_installed() -> bool:
    """Tell whether there is a Prometheus on this machine."""
    return shutil.which("prometheus") is not None


def quick(rules: str, pending: str) -> str:
    """Return the rules with another time for which a condition has to hold; all else is what we ship."""
    return re.sub(r"(?m)^(\s+for:) .*$", rf"\1 {pending}", rules)


class Alert(NamedTuple):
    """An alert as Prometheus has it; `state` is "pending" or "firing"."""

    name: str
    state: str
    severity: str
    summary: str


class Prometheus:
    """A server that scrapes one address.

    Args:
        directory: for its configuration and what it stores.
        target: host and port, with a colon between.
        rules: files of rules.
        every: how long it is between two scrapes, as Prometheus writes times.
    """

    def __init__(self, directory: Path, target: str, rules: list[Path], every: str = "1s") -> None:
        config = directory / "prometheus.yml"
        config.write_text(
            f"global: {{scrape_interval: {every}, scrape_timeout: {every}, evaluation_interval: {every}}}\n"
            f"rule_files: {[str(path) for path in rules]}\n"
            f"scrape_configs: [{{job_name: ours, static_configs: [{{targets: ['{target}']}}]}}]\n"
        )
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={directory / 'tsdb'}",
                "--web.listen-address=127.0.0.1:0",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self._url = ""
        self._listens = threading.Event()
        self._pause = threading.Event()  # nobody sets it
        self._reading = threading.Thread(target=self._read)
        self._reading.start()
        if not self._listens.wait(60.0) or not self._url:
            self.close()
            raise AssertionError("\n".join(self.said))

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.said.append(line.rstrip())
            found = re.search(r'"Listening on" address=(\S+)', line)
            if found:
                self._url = f"http://{found[1]}"
                self._listens.set()
        self._listens.set()

    def alerts(self) -> list[Alert]:
        """Return the alerts that wait or fire, in order of name and state."""
        return sorted(
            Alert(
                each["labels"]["alertname"], each["state"], each["labels"]["severity"], each["annotations"]["summary"]
            )
            for each in self._get("alerts")["alerts"]
        )

    def value(self, query: str) -> float | None:
        """Return the first value of a query, or None while there is none."""
        found = self._get(f"query?query={quote(query)}")["result"]
        return float(found[0]["value"][1]) if found else None

    def until(self, look: Callable[[], _T], is_it: Callable[[_T], bool], timeout: float = 30.0) -> _T:
        """Look again and again until it is as wanted, and return what was seen; fail when the seconds are over."""
        found: _T | None = None
        for _ in range(int(timeout / 0.05)):
            try:
                found = look()
            except (urllib.error.URLError, ConnectionError):
                pass  # it listens, and is not ready yet
            else:
                if is_it(found):
                    return found
            self._pause.wait(0.05)
        raise AssertionError(f"after {timeout:g} seconds it is {found!r}")

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._url}/api/v1/{path}", timeout=5.0) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
        return data

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(10.0)
        self._reading.join(10.0)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
