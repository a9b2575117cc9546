"""The retraining loop on a small lender: promoted, kept, held, refused; resumed after a stop; poison never shipped."""

import importlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from loop_lender import (
    DOMAIN,
    VERTICAL,
    auc_on,
    bytes_of,
    champion_state,
    make_lender,
    month_rows,
    run_stages,
    without_dvc,
    write_month,
)
from project_copy import git
from typer.testing import CliRunner

from core.artifacts import Artifacts
from core.cli import app
from core.data.held_batches import held_batches
from core.data.late_labels import add_late_labels
from core.errors import BadInputError, CrossdomainError, VerificationError
from core.lifecycle.registry import champion_folder, list_versions, read_stages
from core.lifecycle.retrain import deciding, loop, run, training
from core.lifecycle.retrain.batch_source import BatchSource
from core.lifecycle.retrain.case_run import CaseRun
from core.lifecycle.retrain.journal import read_journals, unfinished_run
from core.lifecycle.run_lock import exclusive
from core.params import load_params, set_params
from core.stages import STAGES
from core.vertical import load_vertical


@pytest.fixture(autouse=True)
def no_dvc(monkeypatch):
    without_dvc(monkeypatch)


@pytest.fixture(scope="module")
def first_champion(tmp_path_factory):
    """A project whose first model was promoted; not to be changed."""
    return make_lender(tmp_path_factory.mktemp("lender") / "project")


@pytest.fixture
def lender(first_champion, tmp_path):
    return shutil.copytree(first_champion, tmp_path / "project")


def retrain(root, path=None, **more):
    source = None if path is None else BatchSource(path, path.stem, DOMAIN)
    return loop.retrain(root, VERTICAL, source=source, report=lambda _: None, **more)


def test_first_run_promotes_with_lineage_and_report(first_champion):
    version = list_versions(first_champion, VERTICAL)[0]
    assert read_stages(first_champion, VERTICAL).champion == version.version == "v0001"
    assert version.lineage.batches == {DOMAIN: ["initial", "start"]} and not version.lineage.is_code_dirty
    assert version.lineage.data_md5 == "0123456789abcdef.dir" and version.metrics["auc"]["low"] > 0.6
    page = (first_champion / f"artifacts/{VERTICAL}/retrain/r0001/report.html").read_text()
    assert "v0001" in page and "http://" not in page.replace("http://www.w3.org", "")


def test_month_like_the_ones_before_is_kept_and_nothing_is_trained(lender, tmp_path):
    before = champion_state(lender)
    journal = retrain(lender, write_month(tmp_path, 8))
    assert journal.outcome == "kept" and journal.result("train")["kind"] == "none"
    assert champion_state(lender) == before and journal.result("take_in")["rows"] == 120


def test_drifted_months_bring_a_challenger_that_is_judged_on_rows_that_neither_saw(lender, tmp_path):
    journals = [retrain(lender, write_month(tmp_path, month, shift=2.5)) for month in range(8, 12)]
    trained = [journal for journal in journals if journal.result("train")["kind"] == "pipeline"]
    assert trained and trained[0].result("watch")["recommendation"]["action"] == "retrain"
    judged = trained[0].result("judge")
    assert {one["rows"] for one in judged["comparisons"]} == {"fresh hold-out", "regression set"}
    assert trained[0].outcome == "promoted" and read_stages(lender, VERTICAL).champion != "v0001"
    assert judged["gates"] and all(gate["reason"] for gate in judged["gates"])


@pytest.mark.parametrize(
    ("poison", "why"),
    [
        (lambda rows: rows.assign(outcome=np.where(rows["outcome"] == "bad", "good", "bad")), "turned"),
        (lambda rows: rows.assign(outcome="good"), "All 120 labelled rows are negative"),
        (lambda rows: rows.assign(outcome="bad"), "All 120 labelled rows are positive"),
        (lambda rows: rows.assign(amount=rows["amount"] * 1000), "unlike anything"),
        (lambda rows: rows.assign(income=""), "No value at all in: income"),
        (lambda rows: rows.assign(housing="castle"), "unlike anything"),
    ],
    ids=["labels turned", "one class", "other class", "outlier flood", "column lost", "unknown codes"],
)
def test_poisoned_month_is_set_aside_and_the_champion_untouched(lender, tmp_path, poison, why):
    before = champion_state(lender)
    path = tmp_path / "month_008.csv"
    poison(month_rows(8)).to_csv(path, index=False)
    journal = retrain(lender, path)
    assert journal.outcome == "held" and why in journal.result("decide")["reason"]
    assert champion_state(lender) == before and len(list_versions(lender, VERTICAL)) == 1
    folder = lender / f"data/{VERTICAL}/{DOMAIN}"
    assert [held.batch for held in held_batches(folder)] == ["month_008"]
    assert not (folder / "rows/month_008.parquet").exists() and (folder / "held/month_008.parquet").exists()
    prepared = pd.read_parquet(lender / f"artifacts/{VERTICAL}/prepare/manifest.parquet")
    assert set(prepared["batch"]) == {"initial", "start"}
    following = retrain(lender, write_month(tmp_path, 9))
    assert following.outcome == "kept"


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_partly_turned_labels_never_make_the_champion_worse_on_clean_months(lender, tmp_path, share):
    """Whatever the loop decides, what serves afterwards is no worse on months that nobody has touched."""
    set_params(lender / "params.yaml", {f"{VERTICAL}.retrain.when": "always"})
    git(lender, "commit", "-qam", "always")
    clean = pd.concat([month_rows(month) for month in range(40, 46)])
    before = auc_on(lender, clean, tmp_path)
    for month in range(8, 12):
        retrain(lender, write_month(tmp_path, month, turn=share))
    assert auc_on(lender, clean, tmp_path) > before - 0.01


def test_worse_challenger_is_refused_and_stays_a_challenger(lender, tmp_path, monkeypatch):
    """A learner that scores at random passes no gate."""
    set_params(lender / "params.yaml", {f"{VERTICAL}.retrain.when": "always"})
    git(lender, "commit", "-qam", "always")
    before = champion_state(lender)

    def careless(vertical, root, *, to="report", **told):
        run_stages(vertical, root, to="prepare")
        if to == "report":
            path = root / f"artifacts/{vertical}/prepare/manifest.parquet"
            manifest = pd.read_parquet(path)
            is_open = manifest["split"].isin(["train", "valid"])
            shuffled = manifest.loc[is_open, "label"].sample(frac=1, random_state=0).to_numpy()
            manifest.loc[is_open, "label"] = shuffled
            manifest.to_parquet(path)
            chosen, params = load_vertical(vertical), load_params(root / "params.yaml", vertical)
            for stage in STAGES[1:]:
                function = getattr(importlib.import_module(f"core.stages.{stage}"), stage)
                function(chosen, params, Artifacts(root / "artifacts", vertical), seed=0)

    monkeypatch.setattr(training, "reproduce", careless)
    journal = retrain(lender, write_month(tmp_path, 8))
    assert journal.outcome == "refused" and journal.result("decide")["challenger"] == "v0002"
    assert champion_state(lender) == before
    failed = [gate["name"] for gate in journal.result("judge")["gates"] if not gate["is_passed"]]
    assert any(name.startswith("fresh hold-out") for name in failed)
    assert any(name.startswith("regression set") for name in failed)


def test_policy_of_a_person_holds_a_challenger_that_passes(lender, tmp_path):
    set_params(lender / "params.yaml", {f"{VERTICAL}.retrain.when": "always", f"{VERTICAL}.retrain.decide": "person"})
    git(lender, "commit", "-qam", "by hand")
    before = champion_state(lender)
    journal = retrain(lender, write_month(tmp_path, 8))
    assert journal.outcome == "held" and "person" in journal.result("decide")["reason"]
    assert champion_state(lender) == before and len(list_versions(lender, VERTICAL)) == 2


def test_code_that_is_in_no_commit_holds(lender, tmp_path):
    set_params(lender / "params.yaml", {f"{VERTICAL}.retrain.when": "always"})
    journal = retrain(lender, write_month(tmp_path, 8))
    assert journal.outcome == "held" and "code" in journal.result("decide")["reason"]


@pytest.mark.parametrize("step", ["take_in", "watch", "fit", "judge", "register_challenger", "decide"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_run_that_stops_at_a_step_goes_on_there_and_ends_as_if_never_stopped(lender, tmp_path, monkeypatch, step, when):
    set_params(lender / "params.yaml", {f"{VERTICAL}.retrain.when": "always"})
    git(lender, "commit", "-qam", "always")
    path = write_month(tmp_path, 8)
    owner = run if hasattr(run, step) else CaseRun
    original = getattr(owner, step)

    def stopped(*arguments, **keywords):
        if when == "after":
            original(*arguments, **keywords)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, stopped)
        with pytest.raises(KeyboardInterrupt):
            retrain(lender, path)
    assert unfinished_run(lender, VERTICAL).run == "r0002"
    with pytest.raises(BadInputError, match="stopped"):
        retrain(lender, write_month(tmp_path, 9))
    journal = retrain(lender, path)
    assert journal.run == "r0002" and journal.outcome == "promoted" and unfinished_run(lender, VERTICAL) is None
    assert [version.version for version in list_versions(lender, VERTICAL)] == ["v0001", "v0002"]
    assert [change.version for change in read_stages(lender, VERTICAL).changes] == ["v0001", "v0002"]
    assert journal.result("decide")["previous"] == "v0001"


def test_given_up_run_leaves_the_champion_and_the_next_can_begin(lender, tmp_path, monkeypatch):
    before = champion_state(lender)
    with monkeypatch.context() as patch:
        patch.setattr(CaseRun, "watch", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            retrain(lender, write_month(tmp_path, 8))
    assert loop.abandon(lender, VERTICAL).outcome == "abandoned"
    assert champion_state(lender) == before
    assert retrain(lender, write_month(tmp_path, 9)).run == "r0003"


def test_two_runs_at_once_are_one(lender, tmp_path):
    with exclusive(lender, f"retrain-{VERTICAL}"), pytest.raises(CrossdomainError, match="in use"):
        retrain(lender, write_month(tmp_path, 8))
    assert [journal.run for journal in read_journals(lender, VERTICAL)] == ["r0001"]


def test_clock_that_jumps_back_changes_no_order(lender, tmp_path, monkeypatch):
    import core.lifecycle.retrain.journal as journal_module

    monkeypatch.setattr(journal_module, "utc_now", lambda: "1999-01-01T00:00:00+00:00")
    journal = retrain(lender, write_month(tmp_path, 8))
    assert journal.run == "r0002" and journal.values["started_at"].startswith("1999")
    assert [one.run for one in read_journals(lender, VERTICAL)] == ["r0001", "r0002"]


def test_damaged_champion_stops_the_run_and_names_the_repair(lender, tmp_path):
    (champion_folder(lender, VERTICAL) / "scoring_model.json").write_text("{}")
    with pytest.raises(VerificationError, match="SHA-256"):
        retrain(lender, write_month(tmp_path, 8))


def test_full_disk_while_registering_leaves_the_champion_and_goes_on_later(lender, tmp_path, monkeypatch):
    set_params(lender / "params.yaml", {f"{VERTICAL}.retrain.when": "always"})
    git(lender, "commit", "-qam", "always")
    before, path = champion_state(lender), write_month(tmp_path, 8)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(OSError, match="No space left"):
            retrain(lender, path)
    assert champion_state(lender) == before
    assert retrain(lender, path).outcome == "promoted"


def test_remote_that_cannot_be_reached_leaves_the_champion(lender, tmp_path, monkeypatch):
    set_params(lender / "params.yaml", {f"{VERTICAL}.retrain.when": "always", f"{VERTICAL}.retrain.push": True})
    git(lender, "commit", "-qam", "push")
    before, path = champion_state(lender), write_month(tmp_path, 8)
    with monkeypatch.context() as patch:
        patch.setattr("core.lifecycle.remote.has_remote", lambda _: True)
        patch.setattr("core.lifecycle.remote.push", lambda *_: (_ for _ in ()).throw(CrossdomainError("unreachable")))
        with pytest.raises(CrossdomainError, match="unreachable"):
            retrain(lender, path)
        assert champion_state(lender) == before
        patch.setattr("core.lifecycle.remote.push", lambda *_: None)
        assert retrain(lender, path).outcome == "promoted"


def test_same_delivery_twice_is_refused_and_nothing_written(lender, tmp_path):
    retrain(lender, write_month(tmp_path, 8))
    before = bytes_of(lender / "data")
    with pytest.raises(BadInputError, match="already"):
        retrain(lender, write_month(tmp_path, 8))
    assert bytes_of(lender / "data") == before and len(read_journals(lender, VERTICAL)) == 2


def test_taken_back_delivery_counts_as_looked_at(lender, tmp_path, monkeypatch):
    path = tmp_path / "month_008.csv"
    month_rows(8).assign(housing="castle").to_csv(path, index=False)
    assert retrain(lender, path).outcome == "held"
    monkeypatch.chdir(lender)
    runner = CliRunner()
    shown = runner.invoke(app, ["batches", "list", VERTICAL, DOMAIN])
    assert "held" in shown.output and "unlike anything" in shown.output
    told = runner.invoke(
        app, ["batches", "take-back", VERTICAL, DOMAIN, "month_008", "--reason", "a new product", "--who", "owner"]
    )
    assert told.exit_code == 0, told.output
    journal = retrain(lender)
    assert not journal.result("watch")["batch_problems"] and journal.outcome in ("promoted", "kept", "held", "refused")
    assert "month_008" in journal.result("take_in")["batches"]


def test_dry_run_tells_and_changes_nothing(lender, tmp_path, monkeypatch):
    path = write_month(tmp_path, 8, shift=3.0)
    before = {name: bytes_of(lender / name) for name in ("data", "registry", "artifacts", "models")}
    monkeypatch.chdir(lender)
    told = CliRunner().invoke(app, ["retrain", VERTICAL, "--batch", str(path), "--dry-run"])
    assert told.exit_code == 0 and "120 rows of 'month_008'" in told.output and "watch:" in told.output
    assert {name: bytes_of(lender / name) for name in before} == before


def test_command_ends_with_the_code_of_its_outcome(lender, tmp_path, monkeypatch):
    monkeypatch.chdir(lender)
    runner = CliRunner()
    kept = runner.invoke(app, ["retrain", VERTICAL, "--batch", str(write_month(tmp_path, 8))])
    assert kept.exit_code == 0 and "kept" in kept.output
    path = tmp_path / "month_009.csv"
    month_rows(9).assign(outcome="good").to_csv(path, index=False)
    assert runner.invoke(app, ["retrain", VERTICAL, "--batch", str(path)]).exit_code == 21
    told = json.loads((lender / f"artifacts/{VERTICAL}/retrain/r0003/report.json").read_text())
    assert told["journal"]["outcome"] == "held"


def test_metrics_file_and_message_of_a_run(lender, tmp_path):
    set_params(lender / "params.yaml", {f"{VERTICAL}.retrain.prometheus_file": "metrics/retrain.prom"})
    journal = retrain(lender, write_month(tmp_path, 8))
    text = (lender / "metrics/retrain.prom").read_text()
    assert 'outcome="kept"' in text and journal.result("tell")["report"].endswith("report.html")


def test_recalibrated_champion_differs_in_its_map_alone(lender, tmp_path):
    from core.learners.scoring_model import ScoringModel
    from core.lifecycle.retrain.prepared_rows import open_target_rows, probability_of

    for month in range(8, 14):
        load_vertical(VERTICAL).import_domain(
            write_month(tmp_path, month), lender / "data", DOMAIN, batch=f"month_{month:03d}"
        )
    run_stages(VERTICAL, lender, to="prepare")
    params = load_params(lender / "params.yaml", VERTICAL)
    rows = open_target_rows(load_vertical(VERTICAL), params, Artifacts(lender / "artifacts", VERTICAL))
    champion = ScoringModel.load(champion_folder(lender, VERTICAL))
    new = training.recalibrate(champion, rows, load_vertical(VERTICAL), params)
    order = np.argsort(probability_of(champion, rows), kind="stable")
    assert (np.diff(probability_of(new, rows)[order]) >= -1e-12).all()
    assert len(new.learned) > len(champion.learned) and new.learner is champion.learner
    held_out = rows.manifest["split"].isin(["test", "regression"]).to_numpy()
    assert not new.learned.contains(
        rows.samples.groups[held_out & ~champion.learned.contains(rows.samples.groups)]
    ).any()


def test_data_version_is_that_of_data_dvc(lender):
    assert deciding.data_md5(lender) == "0123456789abcdef.dir"


def test_drift_without_labels_is_held_until_they_come_and_then_learned(lender, tmp_path):
    """Training again on the labels that the champion knows would change nothing; late labels are news."""
    for month in range(8, 11):
        path = tmp_path / f"month_{month:03d}.csv"
        month_rows(month, shift=2.5).drop(columns="outcome").to_csv(path, index=False)
        journal = retrain(lender, path)
        assert journal.outcome == "held" and journal.result("train")["kind"] == "labels needed"
        assert "label" in journal.result("decide")["reason"] and not journal.result("decide")["set_aside"]
    rows = pd.concat([month_rows(month, shift=2.5) for month in range(8, 11)])
    labels = pd.DataFrame({"sample_id": f"{DOMAIN}/" + rows["loan_id"], "label": rows["outcome"]})
    add_late_labels(lender / f"data/{VERTICAL}/{DOMAIN}", labels, "late")
    journal = retrain(lender)
    assert journal.result("watch")["num_new_labels"] == 360 and journal.result("train")["kind"] == "pipeline"
    assert journal.outcome == "promoted"
    last = list_versions(lender, VERTICAL)[-1]
    assert last.lineage.batches[DOMAIN][-1] == "month_010"


@pytest.mark.parametrize(
    ("action", "when", "labels", "unlabelled", "kind"),
    [
        (None, "drift", 0, False, "pipeline"),
        ("no_action", "drift", 9, False, "none"),
        ("no_action", "always", 9, False, "pipeline"),
        ("recalibrate", "drift", 9, False, "recalibrated"),
        ("retrain", "drift", 0, False, "labels needed"),
        ("adapt", "drift", 0, False, "labels needed"),
        ("adapt", "drift", 0, True, "pipeline"),
        ("retrain", "drift", 9, False, "pipeline"),
    ],
)
def test_what_is_trained_follows_the_monitor_and_the_labels(action, when, labels, unlabelled, kind):
    params = training.RetrainParams(when=when)
    told, reason = training.kind_of_training(action, params, num_new_labels=labels, learns_unlabelled=unlabelled)
    assert told == kind and reason
