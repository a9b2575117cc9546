"""A tour through all pages in headless Chromium. Opt-in by having Chromium: skipped, saying so, where there is none.

CROSSDOMAIN_TOUR_ROOT: a project folder with real runs instead of the small ones. CROSSDOMAIN_TOUR_PICTURES: a folder
for the screenshots.
"""

import io
import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image as PillowImage
from small_run import VERTICALS

pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from playwright.sync_api import sync_playwright
from running_dashboard import running_dashboard

from apps.dashboard import FIRST, VIEWS
from apps.printing import find_chromium
from core.lifecycle.store import open_store

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium: apt-get install chromium")
# Streamlit looks for its own address below the path of a deep link first, and finds it one level up.
PROBES = re.compile(r"/_stcore/(health|host-config)")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
WAIT_MS = 60_000
GIVEN_UP = "ERR_ABORTED"


@pytest.fixture(scope="module")
def project(full_run, tmp_path_factory):
    """The folder that is shown; a copy, since the tour labels and proposes."""
    told = os.environ.get("CROSSDOMAIN_TOUR_ROOT")
    return Path(told) if told else shutil.copytree(full_run, tmp_path_factory.mktemp("tour") / "project")


@pytest.fixture(scope="module")
def address(project, tmp_path_factory):
    """A running dashboard."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with running_dashboard(project, log) as found:
        yield found
    assert "Traceback" not in log.read_text(), log.read_text()[-3000:]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def tab(browser):
    """A page whose console errors and failed requests are counted."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page, found = context.new_page(), []
    page.on("response", lambda answer: found.append(answer.url) if answer.status >= 400 else None)
    # A request that the browser gives up because the page is left is no error.
    page.on(
        "requestfailed", lambda request: found.append(request.url) if GIVEN_UP not in (request.failure or "") else None
    )
    page.on("pageerror", lambda error: found.append(str(error)))
    yield page
    context.close()
    bad = [url for url in found if not PROBES.search(url) and "_stcore/stream" not in url]
    assert not bad, bad


def open_view(tab, address, name, vertical, **query):
    """The page when it has stopped running."""
    told = "&".join(f"{key}={value}" for key, value in {"vertical": vertical, "lang": "en", **query}.items())
    tab.goto(f"{address}/{'' if name == FIRST else name}?{told}")
    settle(tab)


def settle(tab):
    """Wait until the page has stopped running, and did not begin again: a page may run twice in a row."""
    tab.wait_for_selector("h1", timeout=WAIT_MS)
    for _ in range(2):
        tab.wait_for_timeout(400)
        tab.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=WAIT_MS)
    assert tab.locator("[data-testid=stException]").count() == 0
    assert tab.get_by_text("The cause is in the server's log").count() == 0


def keep(tab, name):
    """A screenshot for a person, where a folder is told."""
    folder = os.environ.get("CROSSDOMAIN_TOUR_PICTURES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        height = tab.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        size = tab.viewport_size
        tab.set_viewport_size({"width": size["width"], "height": min(max(int(height) + 60, 600), 4000)})
        tab.wait_for_timeout(300)
        tab.screenshot(path=f"{folder}/{name}.png")
        tab.set_viewport_size(size)


@pytest.mark.parametrize("vertical", VERTICALS)
def test_tour_through_all_pages_shows_no_error(tab, address, vertical):
    for name in VIEWS:
        open_view(tab, address, name, vertical)
        assert tab.locator("[data-testid=stAlertContentError]").count() == 0, name
        keep(tab, f"{vertical}_{name}")


def test_tour_on_a_phone_fits_its_width(browser, address):
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    for name in VIEWS:
        open_view(page, address, name, "credit_risk")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 391, (name, wide)
        keep(page, f"phone_{name}")
    context.close()


def test_tour_uploads_a_table_and_downloads_its_scores(tab, address, project, tmp_path):
    rows_of_target = sorted((project / "data/credit_risk").glob("*/rows/*.parquet"))
    specs = (project / "artifacts/credit_risk/prepare/specs.json").read_text()
    target = re.search(r'"name": "(\w+)"', specs).group(1)
    rows = pd.read_parquet(next(path for path in rows_of_target if path.parent.parent.name == target)).head(9)
    rows.to_csv(tmp_path / "applications.csv", index=False)
    open_view(tab, address, "score", "credit_risk")
    tab.get_by_role("tab", name="File").click()
    tab.locator("input[type=file]").first.set_input_files(str(tmp_path / "applications.csv"))
    tab.get_by_text("9 scored, 0 refused").wait_for(timeout=WAIT_MS)
    with tab.expect_download(timeout=WAIT_MS) as download:
        tab.get_by_role("button", name="Download CSV").click()
    scores = pd.read_csv(download.value.path(), encoding="utf-8-sig")
    assert len(scores) == 9 and scores["probability"].between(0, 1).all()
    keep(tab, "upload_table")


@pytest.mark.parametrize("vertical", ["defect_detection", "chest_xray"])
def test_tour_uploads_a_picture_and_sees_its_heat_map(tab, address, vertical, tmp_path):
    pixels = np.random.default_rng(0).integers(60, 200, (64, 64)).astype(np.uint8)
    PillowImage.fromarray(pixels).save(tmp_path / "part.png")
    open_view(tab, address, "score", vertical)
    tab.locator("input[type=file]").first.set_input_files(str(tmp_path / "part.png"))
    tab.get_by_text("1 scored, 0 refused").wait_for(timeout=WAIT_MS)
    tab.locator("[data-testid=stImage] img").nth(1).wait_for(timeout=WAIT_MS)
    settle(tab)
    assert tab.locator("[data-testid=stImage] img").count() == 2
    keep(tab, f"upload_{vertical}")


def test_tour_opens_what_was_scored_again_in_cases(tab, address, tmp_path):
    open_view(tab, address, "score", "credit_risk")
    tab.get_by_test_id("stFormSubmitButton").get_by_role("button").click()
    tab.get_by_role("heading", name="Result").wait_for(timeout=WAIT_MS)
    settle(tab)
    assert tab.locator("[data-testid=stAlertContentError]").count() == 0
    tab.get_by_text("What would change the decision").click()
    tab.get_by_text("Columns that may change").wait_for(timeout=WAIT_MS)
    settle(tab)
    keep(tab, "score_result")
    tab.get_by_role("link", name="Cases").click()
    tab.get_by_text("scored in this session", exact=True).click()
    tab.get_by_role("heading", name="Nearest training cases").wait_for(timeout=WAIT_MS)
    settle(tab)
    keep(tab, "recent_cases")


def test_tour_labels_by_keyboard_and_makes_a_batch(tab, address, project):
    open_view(tab, address, "label", "credit_risk")
    domain = next(iter(open_domains(project)))
    before = len(open_store(project).current_labels("credit_risk", domain))
    # The last element of the page: whatever is above it, the keys too, is there.
    tab.get_by_role("button", name="Make the batch").wait_for(timeout=WAIT_MS)
    settle(tab)
    tab.locator("body").press("1")
    deadline = time.monotonic() + WAIT_MS / 1000
    while len(open_store(project).current_labels("credit_risk", domain)) == before and time.monotonic() < deadline:
        tab.wait_for_timeout(250)
    assert len(open_store(project).current_labels("credit_risk", domain)) == before + 1
    settle(tab)
    name = f"tour_{int(time.time())}"
    tab.get_by_label("Name of the batch").fill(name)
    tab.get_by_label("Name of the batch").press("Enter")
    settle(tab)
    tab.get_by_role("button", name="Make the batch").click()
    tab.get_by_text("new labels").wait_for(timeout=WAIT_MS)
    assert (project / f"data/credit_risk/{domain}/labels/{name}.parquet").exists()
    keep(tab, "batch")


def open_domains(project):
    """The target domain first, as prepare wrote it."""
    import json

    return json.loads((project / "artifacts/credit_risk/prepare/specs.json").read_text())


def test_tour_proposes_a_threshold_from_a_deep_link(tab, address, project):
    before = len(open_store(project).proposals("credit_risk"))
    open_view(tab, address, "decide", "credit_risk", threshold="0.350")
    tab.get_by_label("Why?").fill("tour")
    tab.get_by_role("button", name="Propose this threshold").click()
    tab.get_by_text("is saved").wait_for(timeout=WAIT_MS)
    proposals = open_store(project).proposals("credit_risk")
    assert len(proposals) == before + 1 and abs(proposals[0].threshold - 0.35) < 1e-9
    keep(tab, "proposal")


def test_report_prints_to_a_pdf(project):
    from apps.printing import print_to_pdf

    pdf = print_to_pdf(project / "artifacts/credit_risk/report/report.html")
    assert io.BytesIO(pdf).read(5) == b"%PDF-" and len(pdf) > 20_000
