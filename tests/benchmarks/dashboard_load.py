"""Ten analysts at once: how long a page switch and one score take, at the median and the 95th percentile.

    python tests/benchmarks/dashboard_load.py --sessions 10 --rounds 5

Each analyst has a browser tab of their own in headless Chromium and goes through the pages in another order; a switch
counts from the click until the page has stopped running. A score is the form of credit_risk. Server and browsers share
the machine, so the figures are an upper bound. Needs a run of each vertical.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
PAGES = ("Transfer", "Cases", "Decide", "Trust", "History", "Overview")
DONE = "[data-testid=stApp][data-test-script-state=notRunning]"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
WAIT_MS = 120_000


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5, help="switches and scores of each analyst (5)")
    parser.add_argument("--root", type=Path, default=ROOT, help="project folder with the runs")
    parser.add_argument("--output", type=Path, default=ROOT / "verticals/credit_risk/results/dashboard_load.json")
    return parser.parse_args()


async def visit(browser, address: str, number: int, rounds: int) -> tuple[list[float], list[float]]:
    """(seconds of page switches, seconds of scores) of one analyst."""
    page = await (await browser.new_context(viewport={"width": 1280, "height": 900})).new_page()
    await page.goto(f"{address}/?vertical=credit_risk&lang=en")
    await finished(page)
    switches, scores = [], []
    for turn in range(rounds):
        switches.append(await timed(page, page.get_by_role("link", name=PAGES[(number + turn) % len(PAGES)]).click()))
        await page.get_by_role("link", name="Score").click()
        await finished(page)
        button = page.get_by_test_id("stFormSubmitButton").get_by_role("button")
        scores.append(await timed(page, button.click(), wait_for="Result"))
    return switches, scores


async def timed(page, action, *, wait_for: str = "") -> float:
    """Seconds from the click until the page has stopped running and shows what it should."""
    started = time.perf_counter()
    await action
    await page.wait_for_timeout(50)  # until the run has begun
    if wait_for:
        await page.get_by_role("heading", name=wait_for).wait_for(timeout=WAIT_MS)
    await finished(page)
    return time.perf_counter() - started


async def finished(page) -> None:
    await page.wait_for_selector("h1", timeout=WAIT_MS)
    await page.wait_for_selector(DONE, timeout=WAIT_MS)


async def measure(address: str, sessions: int, rounds: int) -> tuple[list[float], list[float]]:
    """All analysts at once."""
    from playwright.async_api import async_playwright

    from apps.printing import find_chromium

    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        found = await asyncio.gather(*(visit(browser, address, number, rounds) for number in range(sessions)))
        await browser.close()
    return [one for switches, _ in found for one in switches], [one for _, scores in found for one in scores]


def start_server(root: Path) -> tuple[subprocess.Popen, str]:
    """A dashboard over `root` on a free port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "apps/dashboard.py", "--server.port", str(port)]
    environment = {**os.environ, "CROSSDOMAIN_ROOT": str(root), "PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    for _ in range(120):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
            break
        except OSError:
            time.sleep(0.5)
    return server, f"http://127.0.0.1:{port}"


def describe(seconds: list[float]) -> dict[str, float | int]:
    """Median, 95th percentile and largest."""
    values = {name: round(float(np.quantile(seconds, q)), 3) for name, q in (("p50", 0.5), ("p95", 0.95), ("max", 1))}
    return {"count": len(seconds), **values}


def main() -> None:
    """Measure one analyst alone, then all, and write."""
    from core.artifacts import write_json

    chosen = parse_arguments()
    server, address = start_server(chosen.root)
    try:
        alone = asyncio.run(measure(address, 1, chosen.rounds))
        together = asyncio.run(measure(address, chosen.sessions, chosen.rounds))
    finally:
        server.terminate()
    result = {
        "title": "Dashboard: seconds of a page switch and of one score",
        "sessions": chosen.sessions,
        "rounds": chosen.rounds,
        "cores": os.cpu_count(),
        "careful": "Server and browsers share the machine.",
        "alone": {"page_switch": describe(alone[0]), "score": describe(alone[1])},
        "together": {"page_switch": describe(together[0]), "score": describe(together[1])},
    }
    write_json(chosen.output, result)
    print(result)


if __name__ == "__main__":
    main()
