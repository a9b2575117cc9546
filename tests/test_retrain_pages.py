"""Pages of a vertical that is retrained: the champion scores, its runs are told, held deliveries with their repair."""

import shutil

import pytest

pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")

from drawn_pages import open_page, texts_of
from registered_models import facts

from core.artifacts import read_json, write_json
from core.data.held_batches import held_path, set_aside
from core.lifecycle.proposals import model_digest
from core.lifecycle.registry import folder_digest, promote, register
from core.lifecycle.retrain.journal import begin_run
from core.lifecycle.served_model import served_model

VERTICAL = "credit_risk"


@pytest.fixture
def retrained(own_run):
    """The run's model as the champion, and one run of the loop that kept it."""
    version = register(own_run, VERTICAL, own_run / f"artifacts/{VERTICAL}/train/model", facts())
    promote(own_run, VERTICAL, version.version, who="retrain", reason="first")
    journal = begin_run(own_run, VERTICAL, {"name": "2026-11", "domain": "near", "file": "x.csv", "sha256": "0"})
    journal.step("decide", lambda: {"champion": "v0001", "reason": "The monitor asks for nothing."})
    journal.end("kept")
    return own_run


def train_another(root):
    """Another model where the pipeline puts its own, as a later run that was refused would."""
    folder = root / f"artifacts/{VERTICAL}/train/model"
    manifest = read_json(folder / "manifest.json")
    write_json(folder / "manifest.json", {**manifest, "sha256": dict(reversed(manifest["sha256"].items()))})
    assert folder_digest(folder) != folder_digest(served_model(root, VERTICAL).folder)


def test_history_tells_runs_versions_and_the_way_back(retrained):
    page = open_page(retrained, "history", VERTICAL)
    told = "\n".join([texts_of(page), *(table.value.to_string() for table in page.dataframe)])
    for wanted in ("Retraining", "2026-11", "The monitor asks for nothing.", "v0001", "registry rollback credit_risk"):
        assert wanted in told, wanted


def test_history_names_what_is_held_and_how_to_take_it_back(retrained):
    folder = retrained / f"data/{VERTICAL}/near"
    first = next((folder / "rows").glob("*.parquet"))
    shutil.copyfile(first, folder / "rows/2026-12.parquet")
    set_aside(folder, "2026-12", reason="All 40 labelled rows are positive.", at="2026-12-02")
    assert held_path(folder, "2026-12").exists()
    told = texts_of(open_page(retrained, "history", VERTICAL))
    assert "All 40 labelled rows are positive." in told and "batches take-back credit_risk near 2026-12" in told


@pytest.mark.parametrize("name", ["overview", "score", "trust", "cases"])
def test_pages_say_when_another_model_serves_than_they_tell_of(retrained, name):
    assert "v0001 serves" not in texts_of(open_page(retrained, name, VERTICAL))
    assert "champion v0001" not in texts_of(open_page(retrained, name, VERTICAL))
    train_another(retrained)
    test = open_page(retrained, name, VERTICAL)
    assert not test.exception and not test.error
    assert ("v0001 serves" if name == "overview" else "champion v0001") in texts_of(test)


def test_champion_scores_even_where_the_last_run_left_no_model(retrained):
    shutil.rmtree(retrained / f"artifacts/{VERTICAL}/train/model")
    test = open_page(retrained, "score", VERTICAL)
    assert not test.exception and not test.error
    assert model_digest(retrained, VERTICAL) == folder_digest(served_model(retrained, VERTICAL).folder)


def test_champion_that_is_not_on_this_machine_is_named_with_the_repair(retrained):
    shutil.rmtree(retrained / f"models/{VERTICAL}/v0001")
    told = texts_of(open_page(retrained, "score", VERTICAL))
    assert "v0001 is missing on this machine" in told
