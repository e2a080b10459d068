"""Write `access.log`, the sample that `make run` replays.

    python examples/generate_access_log.py [PATH]

An afternoon of a small web site: visitors who read, leave and come back, people
who sign in, crawlers, a monitoring probe that never rests, scanners that look
for holes, a load test that runs into the rate limit, and a few lines that a
crash has cut off. As servers do, it writes a request down when it is answered,
under the time at which it came, so the lines are a little out of order.

The same script writes the same bytes, whatever the Python and the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from supervisors.entropy import Entropy

__all__ = ["generate", "main"]

SEED = 20260302
BEGIN = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC).timestamp()
SPAN = 5 * 3600.0
"""Seconds of the afternoon."""

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

PAGES = (
    "/",
    "/about",
    "/articles/otp-in-python",
    "/articles/let-it-crash",
    "/articles/timers",
    "/contact",
    "/feed.xml",
)
ASSETS = ("/static/site.css", "/static/site.js", "/static/logo.svg", "/favicon.ico", "/static/fonts/serif.woff2")
HOLES = ("/wp-login.php", "/.env", "/admin/", "/.git/config", "/cgi-bin/test.cgi", "/phpmyadmin/", "/server-status")

BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Lynx/2.9.2 libwww-FM/2.14",
    r"Reader \"Evening\" 3.1 (C:\\Reader)",
)
CRAWLERS = (
    "ExampleBot/2.1 (+http://crawler.example.org/bot.html)",
    "Mozilla/5.0 (compatible; SampleSpider/7; +http://spider.example.net/)",
    "feed-fetcher/1.4",
)

Draw = Callable[[], float]
"""Returns a number from 0 up to 1.

Everything is drawn with this one function, because it is the only one of which
Python promises the same numbers in every version.
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One request; `took` is the seconds until it is written down."""

    at: float
    client: str
    request: str
    status: int = 200
    size: int = 0
    user: str = "-"
    referer: str = "-"
    agent: str = "-"
    took: float = 0.0

    def __str__(self) -> str:
        return (
            f'{self.client} - {self.user} [{_stamp(self.at)}] "{self.request}" {self.status} {self.size or "-"} '
            f'"{self.referer}" "{self.agent}"'
        )


def generate(seed: int = SEED) -> str:
    """Return the whole log."""
    entropy = Entropy(seed)

    def stream(name: str) -> Draw:
        return entropy.stream(f"access-log.{name}").random

    lines = [
        *_visitors(stream("visitors"), 176),
        *_staff(stream("staff")),
        *_crawlers(stream("crawlers")),
        *_probe(),
        *_scanners(stream("scanners")),
        *_load_test(stream("load test")),
    ]
    lines.sort(key=lambda line: line.at + line.took)
    written = [str(line) for line in lines]
    _damage(written)
    return "".join(f"{line}\n" for line in written)


def _visitors(draw: Draw, count: int) -> Iterator[Line]:
    """Yield people who read a few pages, and of whom one in three comes back."""
    for number in range(count):
        client = _address(draw, number)
        agent = _one_of(draw, BROWSERS)
        at = draw() * (SPAN - 1800)
        for _ in range(1 + int(draw() * 1.5)):
            referer = "-" if draw() < 0.6 else "https://search.example.com/?q=supervisors"
            for _ in range(1 + int(draw() * 3)):
                page = _one_of(draw, PAGES)
                yield _page(draw, at, client, page, referer=referer, agent=agent)
                if draw() < 0.5:
                    yield Line(at + 1, client, f"GET {_one_of(draw, ASSETS)} HTTP/2.0", 304, agent=agent, took=draw())
                referer = f"https://www.example.com{page}"
                at += 5 + draw() * draw() * 700
            at += 200 + draw() * 4000
            if at > SPAN:
                break


def _staff(draw: Draw) -> Iterator[Line]:
    """Yield people who sign in, sometimes at the second attempt, and work through the afternoon."""
    for user in ("ana", "ben", "chidi", "dora", "emil", "o'neill", "f\\xc3\\xa9lix"):
        client = f"{user.split(chr(39))[0].split(chr(92))[0]}-laptop.office.example.com"
        at = draw() * 1200
        if draw() < 0.7:
            yield Line(at, client, "POST /login HTTP/1.1", 401, 312, agent=BROWSERS[0], took=0.2)
            at += 4
        while at < SPAN:
            failed = draw() < 0.03
            yield Line(
                at,
                client,
                "GET /desk HTTP/1.1" if draw() < 0.7 else "POST /desk/save HTTP/1.1",
                503 if failed else 200,
                0 if failed else 2000 + int(draw() * 9000),
                user=user,
                referer="https://www.example.com/desk",
                agent=BROWSERS[0],
                took=draw() * 3,
            )
            at += 20 + draw() * draw() * 1500


def _crawlers(draw: Draw) -> Iterator[Line]:
    """Yield robots, each at a pace of its own."""
    for number in range(6):
        client = f"crawl-{number}.example.net" if number % 2 else f"2001:db8:c::{number + 1:x}"
        pace = 40 + number * 70
        at = draw() * pace
        while at < SPAN:
            missing = draw() < 0.1
            page = f"{_one_of(draw, PAGES)}?page={int(draw() * 9)}"
            yield Line(
                at,
                client,
                f"GET {page} HTTP/1.1",
                404 if missing else 200,
                196 if missing else 4000 + int(draw() * 20000),
                agent=CRAWLERS[number % len(CRAWLERS)],
                took=draw(),
            )
            at += pace * (0.8 + draw() * 0.4)


def _probe() -> Iterator[Line]:
    """Yield the probe that looks every minute whether all is well."""
    for minute in range(int(SPAN / 60)):
        yield Line(minute * 60.0, "::1", "GET /health HTTP/1.1", 200, 2, agent="probe/1.0")


def _scanners(draw: Draw) -> Iterator[Line]:
    """Yield programs that try what might be open, and connections that never asked anything."""
    for number in range(8):
        client = f"203.0.113.{10 + number}"
        at = draw() * SPAN
        for hole in HOLES:
            status = 403 if draw() < 0.4 else 404
            yield Line(at, client, f"GET {hole} HTTP/1.0", status, 199, agent="-", took=draw() * 0.2)
            at += draw() * 2
        yield Line(at + 20, client, "-" if number % 2 else r"\x16\x03\x01\x02", 408 if number % 2 else 400, 0, took=20)


def _load_test(draw: Draw) -> Iterator[Line]:
    """Yield more requests in ten seconds than the rate limit lets through."""
    for number in range(1150):
        at = 9000 + number / 115
        failed = draw() < 0.01
        yield Line(
            at, "198.51.100.7", "GET / HTTP/1.1", 500 if failed else 200, 5120, agent="load/0.9", took=draw() * 2
        )


def _page(draw: Draw, at: float, client: str, page: str, *, referer: str, agent: str) -> Line:
    failed = draw() < 0.01
    return Line(
        at,
        client,
        f"GET {page} HTTP/2.0",
        500 if failed else 200,
        0 if failed else 3000 + int(draw() * 40000),
        referer=referer,
        agent=agent,
        took=draw() * draw() * 8,
    )


def _damage(lines: list[str]) -> None:
    """Leave the traces of a crash and of other programs that write to the same file."""
    lines[700] = lines[700][:45]  # cut off in the request: cannot be read
    lines[900] = lines[900][:-20]  # cut off in the user agent: can be read
    lines.insert(2000, "logrotate: 1 file rotated")
    lines.insert(2500, "\\x00" * 16)
    lines.insert(2600, '192.0.2.1 - - [30/Feb/2026:14:00:00 +0000] "GET / HTTP/1.1" 200 512 "-" "-"')


def _address(draw: Draw, number: int) -> str:
    if number % 9 == 0:
        return f"2001:db8:{int(draw() * 65536):x}::{number:x}"
    if number % 13 == 0:
        return f"host-{number}.isp.example.net"
    return f"192.0.2.{number + 1}" if number < 120 else f"198.51.100.{number + 1}"


def _one_of(draw: Draw, choices: tuple[str, ...]) -> str:
    return choices[int(draw() * len(choices))]


def _stamp(at: float) -> str:
    moment = datetime.fromtimestamp(BEGIN + int(at), UTC)
    # Not %b, which speaks the language of the machine.
    return f"{moment:%d}/{MONTHS[moment.month - 1]}/{moment:%Y:%H:%M:%S} +0000"


def main() -> None:
    """Write the log where the first argument says, or beside this script."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("access.log")
    path.write_text(generate(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
