"""Every page of every vertical: with a full run, without one, and with damaged files."""

import pytest

pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")

from drawn_pages import open_page, texts_of
from small_run import VERTICALS

from apps.dashboard import VIEWS
from apps.language import LANGUAGES, catalogue


@pytest.mark.parametrize("vertical", VERTICALS)
@pytest.mark.parametrize("name", VIEWS)
def test_page_with_a_full_run_shows_no_error(full_run, name, vertical):
    test = open_page(full_run, name, vertical)
    assert not test.exception
    assert not test.error, [element.value for element in test.error]
    assert test.title


@pytest.mark.parametrize("name", VIEWS)
def test_page_without_a_run_names_the_command(tmp_path, full_run, name):
    (tmp_path / "params.yaml").write_bytes((full_run / "params.yaml").read_bytes())
    test = open_page(tmp_path, name)
    assert not test.exception
    assert not test.error
    if name != "history":
        assert "crossdomain run credit_risk" in texts_of(test)


DAMAGE = {
    "overview": "train/train_metrics.json",
    "transfer": "compare/ledger_metrics.json",
    "score": "train/model/scoring_model.json",
    "cases": "evaluate/predictions.parquet",
    "decide": "evaluate/valid_predictions.parquet",
    "trust": "report/release_metrics.json",
    "label": "evaluate/metrics.json",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_page_with_a_damaged_file_says_which_and_does_not_fail(tmp_path, full_run, name):
    import shutil

    root = tmp_path / "damaged"
    shutil.copytree(full_run, root, ignore=shutil.ignore_patterns(".git"))
    (root / "artifacts/credit_risk" / DAMAGE[name]).write_bytes(b"\x00 not what it was")
    test = open_page(root, name)
    assert not test.exception
    told = texts_of(test)
    assert DAMAGE[name].rsplit("/", 1)[-1] in told
    assert "The cause is in the server's log" not in told


@pytest.mark.parametrize("name", VIEWS)
def test_page_in_chinese_has_its_title(full_run, name):
    test = open_page(full_run, name, language="zh")
    assert not test.exception and not test.error
    assert any("\u4e00" <= letter <= "\u9fff" for letter in test.title[0].value)


def test_synthetic_runs_say_so_on_every_page(full_run):
    for name in ("transfer", "score", "cases", "decide", "trust", "label"):
        assert "SYNTHETIC" in texts_of(open_page(full_run, name, "chest_xray")), name
    assert "SYNTHETIC" not in texts_of(open_page(full_run, "transfer", "credit_risk"))


def test_catalogue_has_every_text_in_every_language():
    for key, texts in catalogue().items():
        assert set(texts) == set(LANGUAGES), key


def test_catalogue_texts_that_pages_ask_for_are_there():
    import re
    from pathlib import Path

    known = catalogue()
    for path in Path("apps").rglob("*.py"):
        source = path.read_text()
        parts = {"recent_view": "cases", "retrain_view": "history", "forecast_card": "overview"}
        page = "score" if path.stem.startswith(("score_", "row_")) else parts.get(path.stem, path.stem)
        for key in re.findall(r'(?:page\.text|translate)\(\s*"([\w. ]+)"', source):
            full_key = key if "." in key else f"{page}.{key}"
            if path.stem == "page_head" and "." not in key:  # the title of whichever page it stands in for
                continue
            assert full_key in known, f"{path}: {full_key}"


def test_overview_of_a_clone_with_metrics_alone_shows_no_figure(tmp_path, full_run):
    """Committed metrics do not tell whether their domains were generated."""
    (tmp_path / "params.yaml").write_bytes((full_run / "params.yaml").read_bytes())
    for path in full_run.glob("artifacts/chest_xray/*/*metrics.json"):
        copy = tmp_path / path.relative_to(full_run)
        copy.parent.mkdir(parents=True)
        copy.write_bytes(path.read_bytes())
    test = open_page(tmp_path, "overview", "chest_xray")
    assert not test.exception and not test.error
    assert not test.metric and "crossdomain run chest_xray" in texts_of(test)
