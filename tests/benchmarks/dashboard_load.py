"""Ten analysts at once: how long a page switch and one score take, at the median and the 95th percentile.

    python tests/benchmarks/dashboard_load.py --sessions 10 --rounds 4

Each analyst has a browser tab of their own in headless Chromium and goes through the pages in another order; a switch
counts from the click until the page has stopped running. A score is the form of credit_risk. The first page is measured
alone: of the server's first visitor, then of one who comes back. Server and browsers share the machine, so the figures
are an upper bound. Needs a run of each vertical.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from running_dashboard import running_dashboard  # noqa: E402

PAGES = ("Transfer", "Cases", "Decide", "Trust", "History", "Overview")
RUNNING = "[data-testid=stApp][data-test-script-state=running]"
DONE = "[data-testid=stApp][data-test-script-state=notRunning]"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
WAIT_MS, RUN_BEGINS_MS = 120_000, 1_000


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=4, help="switches and scores of each analyst (4)")
    parser.add_argument("--pause", type=float, default=10.0, help="mean seconds that an analyst looks at a page (10)")
    parser.add_argument("--root", type=Path, default=ROOT, help="project folder with the runs")
    parser.add_argument("--output", type=Path, default=ROOT / "verticals/credit_risk/results/dashboard_load.json")
    return parser.parse_args()


async def visit(
    browser, address: str, number: int, rounds: int, pause_seconds: float
) -> tuple[list[float], list[float]]:
    """(seconds of page switches, seconds of scores) of one analyst."""
    page = await (await browser.new_context(viewport={"width": 1280, "height": 900})).new_page()
    await page.goto(f"{address}/?vertical=credit_risk&lang=en")
    await finished(page)
    switches, scores = [], []
    random = np.random.default_rng(number)

    async def pause() -> None:
        await page.wait_for_timeout(1000 * random.uniform(0, 2 * pause_seconds))

    page.set_default_timeout(WAIT_MS)
    for turn in range(rounds):
        name = PAGES[(number + turn) % len(PAGES)]
        await pause()
        switches.append(await timed(page, page.get_by_role("link", name=name).click(), heading=name))
        await timed(page, page.get_by_role("link", name="Score").click(), heading="Score")
        await pause()
        button = page.get_by_test_id("stFormSubmitButton").get_by_role("button")
        scores.append(await timed(page, button.click(), heading="Result"))
    return switches, scores


async def measure_first_page(address: str, rounds: int) -> list[float]:
    """Seconds until the first page is whole: of the server's first visitor, then of one who comes back."""
    from playwright.async_api import async_playwright

    from apps.printing import find_chromium

    seconds = []
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        page = await (await browser.new_context(viewport={"width": 1280, "height": 900})).new_page()
        for _ in range(rounds + 1):
            await page.goto("about:blank")
            started = time.perf_counter()
            await page.goto(f"{address}/?lang=en")
            await finished(page)
            seconds.append(time.perf_counter() - started)
        await browser.close()
    return seconds


async def timed(page, action, *, heading: str) -> float:
    """Seconds from the click until the page has run to its end and shows the heading."""
    from playwright.async_api import TimeoutError as NotSeenError

    started = time.perf_counter()
    await action
    with contextlib.suppress(NotSeenError):  # a run so short that it was over before anybody looked
        await page.wait_for_selector(RUNNING, timeout=RUN_BEGINS_MS)
    await page.get_by_role("heading", name=heading, exact=True).wait_for(timeout=WAIT_MS)
    await finished(page)
    return time.perf_counter() - started


async def finished(page) -> None:
    await page.wait_for_selector("h1", timeout=WAIT_MS)
    await page.wait_for_selector(DONE, timeout=WAIT_MS)


async def measure(address: str, sessions: int, rounds: int, pause_seconds: float) -> tuple[list[float], list[float]]:
    """All analysts at once."""
    from playwright.async_api import async_playwright

    from apps.printing import find_chromium

    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        found = await asyncio.gather(
            *(visit(browser, address, number, rounds, pause_seconds) for number in range(sessions))
        )
        await browser.close()
    return [one for switches, _ in found for one in switches], [one for _, scores in found for one in scores]


def describe(seconds: list[float]) -> dict[str, float | int]:
    """Median, 95th percentile and largest."""
    values = {name: round(float(np.quantile(seconds, q)), 3) for name, q in (("p50", 0.5), ("p95", 0.95), ("max", 1))}
    return {"count": len(seconds), **values}


def main() -> None:
    """Measure one analyst alone, then all, and write."""
    from core.artifacts import write_json

    chosen = parse_arguments()
    with TemporaryDirectory() as folder, running_dashboard(chosen.root, Path(folder) / "log.txt") as address:
        first_pages = asyncio.run(measure_first_page(address, chosen.rounds))
        alone = asyncio.run(measure(address, 1, chosen.rounds, 0.0))
        together = asyncio.run(measure(address, chosen.sessions, chosen.rounds, chosen.pause))
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
