"""Ten analysts at once: how long a page switch and one score take, at the median and the 95th percentile.

    python tests/benchmarks/dashboard_load.py --sessions 10 --rounds 4

Each analyst has a browser tab of their own in headless Chromium and goes through the pages in another order; a switch
counts from the click until the page has stopped running. A score is the form of credit_risk, each time with another
amount. The first page is measured alone: of the server's first visitor, then of one who comes back. Server and browsers
share the machine, so the figures are an upper bound. Needs a run of each vertical.

Where an analyst waits too long or meets an error, the benchmark stops and says who, at what, and where the picture of
the page and the server's log are; the log then ends with what every thread of the server was doing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import sys
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from running_dashboard import running_dashboard  # noqa: E402

PAGES = ("Transfer", "Cases", "Decide", "Trust", "History", "Overview")
DONE = "[data-testid=stApp][data-test-script-state=notRunning]"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
ERROR = "[data-testid=stAlertContentError], [data-testid=stException]"
WHEN_IDLE = "() => new Promise(done => requestIdleCallback(() => done()))"  # what came is drawn
WAIT_MS, POLL_MS, CLOSE_SECONDS = 120_000, 20, 30.0


class StuckError(Exception):
    """An analyst did not get what they had asked for."""


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=4, help="switches and scores of each analyst (4)")
    parser.add_argument("--pause", type=float, default=10.0, help="mean seconds that an analyst looks at a page (10)")
    parser.add_argument("--root", type=Path, default=ROOT, help="project folder with the runs")
    parser.add_argument("--log", type=Path, help="the server's log; none: a temporary folder, kept on failure")
    parser.add_argument("--output", type=Path, default=ROOT / "verticals/credit_risk/results/dashboard_load.json")
    return parser.parse_args()


class Tab:
    """A browser page that counts the runs of its script that the server has told it to be over, however short.

    The page itself is no witness: it may draw the next state before anybody saw the last.
    """

    def __init__(self, page) -> None:
        self.page, self.num_ended = page, 0
        page.set_default_timeout(WAIT_MS)
        page.on("websocket", lambda socket: socket.on("framereceived", self._count))

    def _count(self, frame: bytes | str) -> None:
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        if isinstance(frame, bytes) and ForwardMsg.FromString(frame).WhichOneof("type") == "script_finished":
            self.num_ended += 1

    async def timed(self, action: Awaitable[None], *, heading: str) -> float:
        """Seconds from the click until the run that it led to is over, drawn, and shows the heading.

        Raises:
            StuckError: that takes more than two minutes, or the page shows an error.
        """
        before, started = self.num_ended, time.perf_counter()
        await action
        while self.num_ended == before:
            if time.perf_counter() - started > WAIT_MS / 1000:
                raise StuckError("the click led to no run of the page")
            await self.page.wait_for_timeout(POLL_MS)
        await self.page.evaluate(WHEN_IDLE)
        error = self.page.locator(ERROR)
        await self.page.get_by_role("heading", name=heading, exact=True).or_(error).first.wait_for(timeout=WAIT_MS)
        await self.finished()
        if await error.count():
            raise StuckError(f"the page shows: {await error.first.inner_text()}")
        return time.perf_counter() - started

    async def finished(self) -> None:
        """Wait for a page that shows something and does not run."""
        await self.page.wait_for_selector("h1", timeout=WAIT_MS)
        await self.page.wait_for_selector(DONE, timeout=WAIT_MS)


@dataclass
class Analyst:
    """One browser tab and what its user has waited for. switches, scores: seconds. pictures: where failures go."""

    tab: Tab
    number: int
    pictures: Path
    switches: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    async def work(self, address: str, rounds: int, pause_seconds: float) -> None:
        """Some pages and scores, one after another.

        Raises:
            StuckError: the page did not come within two minutes, or it shows an error.
        """
        page, random = self.tab.page, np.random.default_rng(self.number)
        step = "first page"
        try:
            await page.goto(f"{address}/?vertical=credit_risk&lang=en")
            await self.tab.finished()
            for turn in range(rounds):
                name = PAGES[(self.number + turn) % len(PAGES)]
                for step, heading, seconds in (
                    (name, name, self.switches),
                    ("Score", "Score", []),
                    ("form", "Result", self.scores),
                ):
                    if step != "Score":
                        await page.wait_for_timeout(1000 * random.uniform(0, 2 * pause_seconds))
                    if step == "form":  # another application each time
                        await page.get_by_role("spinbutton", name="credit amount").fill(str(random.integers(500, 9000)))
                    button = page.get_by_test_id("stFormSubmitButton").get_by_role("button")
                    target = button if step == "form" else page.get_by_role("link", name=step)
                    seconds.append(await self.tab.timed(target.click(), heading=heading))
        except Exception as error:
            picture = self.pictures / f"session_{self.number}.png"
            with contextlib.suppress(Exception):
                await page.screenshot(path=picture, timeout=1000 * CLOSE_SECONDS)
            told = f"Session {self.number} at '{step}' after {len(self.scores)} scores; see {picture}: {error}"
            raise StuckError(told) from error


async def open_tab(browser) -> Tab:
    """A tab of a visitor of their own."""
    return Tab(await (await browser.new_context(viewport={"width": 1280, "height": 900})).new_page())


async def measure_first_page(address: str, rounds: int) -> list[float]:
    """Seconds until the first page is whole: of the server's first visitor, then of one who comes back."""
    from playwright.async_api import async_playwright

    from apps.printing import find_chromium

    seconds = []
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        tab = await open_tab(browser)
        for _ in range(rounds + 1):
            await tab.page.goto("about:blank")
            started = time.perf_counter()
            await tab.page.goto(f"{address}/?lang=en")
            await tab.finished()
            seconds.append(time.perf_counter() - started)
        await browser.close()
    return seconds


async def measure(
    address: str, sessions: int, rounds: int, pause_seconds: float, pictures: Path
) -> tuple[list[float], list[float]]:
    """(seconds of page switches, seconds of scores) of all analysts at once; the first who is stuck stops them all."""
    from playwright.async_api import async_playwright

    from apps.printing import find_chromium

    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        analysts = [Analyst(await open_tab(browser), number, pictures) for number in range(sessions)]
        try:
            async with asyncio.TaskGroup() as group:
                for one in analysts:
                    group.create_task(one.work(address, rounds, pause_seconds))
        except ExceptionGroup as stuck:
            raise stuck.exceptions[0] from None
        finally:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(browser.close(), CLOSE_SECONDS)
    return [x for one in analysts for x in one.switches], [x for one in analysts for x in one.scores]


def describe(seconds: list[float]) -> dict[str, float | int]:
    """Median, 95th percentile and largest."""
    values = {name: round(float(np.quantile(seconds, q)), 3) for name, q in (("p50", 0.5), ("p95", 0.95), ("max", 1))}
    return {"count": len(seconds), **values}


def main() -> None:
    """Measure one analyst alone, then all, and write."""
    from core.artifacts import write_json

    chosen = parse_arguments()
    folder = Path(mkdtemp(prefix="dashboard_load_"))
    log = chosen.log or folder / "server.log"
    try:
        with running_dashboard(chosen.root, log) as address:
            first_pages = asyncio.run(measure_first_page(address, chosen.rounds))
            alone = asyncio.run(measure(address, 1, chosen.rounds, 0.0, folder))
            together = asyncio.run(measure(address, chosen.sessions, chosen.rounds, chosen.pause, folder))
    except Exception as error:
        raise SystemExit(f"{error}\nThe server's log: {log}") from error
    shutil.rmtree(folder)
    result = {
        "title": "Dashboard: seconds of a page switch and of one score",
        "sessions": chosen.sessions,
        "rounds": chosen.rounds,
        "mean_pause_seconds": chosen.pause,
        "cores": os.cpu_count(),
        "careful": "Server and browsers share the machine.",
        "first_page": {"cold": round(first_pages[0], 3), "warm": describe(first_pages[1:])},
        "alone": {"page_switch": describe(alone[0]), "score": describe(alone[1])},
        "together": {"page_switch": describe(together[0]), "score": describe(together[1])},
    }
    write_json(chosen.output, result)
    print(result)


if __name__ == "__main__":
    main()
