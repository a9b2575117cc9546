"""Runs read back from git, and what differs between two of them."""

import json
import shutil
import subprocess

import pytest

from core.lifecycle import git_files
from core.lifecycle.history import NOW, compare_runs, runs_of
from core.lifecycle.plain_changes import NOT_SET, changes_between

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
LEDGER = {
    "metric": "auc",
    "metric_title": "AUC",
    "baseline": "target_only",
    "confidence": 0.95,
    "entries": [
        {"budget": "all", "method": "pooled", "difference": 0.1, "difference_low": 0.05, "difference_high": 0.2}
    ],
}


def write_run(root, auc, *, transfer="pooled", budget=None, data="aa", verdict="gain", decision="ship"):
    """The files that a run of the toy vertical leaves."""
    folder = root / "artifacts" / "toy"
    for stage in ("evaluate", "compare", "report"):
        (folder / stage).mkdir(parents=True, exist_ok=True)
    metrics = {"domain": "near", "rows": 9, "auc": {"value": auc, "low": auc - 0.1, "high": auc + 0.1}}
    entry = {**LEDGER["entries"][0], "verdict": verdict}
    (folder / "evaluate/metrics.json").write_text(json.dumps(metrics))
    (folder / "compare/ledger_metrics.json").write_text(json.dumps({**LEDGER, "entries": [entry]}))
    (folder / "report/release_metrics.json").write_text(json.dumps({"decision": decision}))
    shown = "null" if budget is None else budget
    (root / "params.yaml").write_text(
        f"toy:\n  prepare:\n    label_budget: {shown}\n  train:\n    transfer: {transfer}\n"
    )
    (root / "data.dvc").write_text(f"outs:\n- md5: {data}.dir\n  path: data\n")


def git(root, *arguments):
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@bank.example"]
    done = subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(root, subject):
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", subject)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path):
    git(tmp_path, "init", "-q")
    write_run(tmp_path, 0.7, verdict="negative transfer", decision="refuse")
    first = commit(tmp_path, "First run")
    (tmp_path / "README.md").write_text("no run")
    commit(tmp_path, "Only words")
    write_run(tmp_path, 0.8, budget=50, data="bb")
    second = commit(tmp_path, "More labels: µ")
    write_run(tmp_path, 0.75, budget=50, data="bb", transfer="auto")
    return tmp_path, first, second


@needs_git
def test_runs_are_the_working_tree_and_the_commits_that_changed_the_metrics(project):
    root, first, second = project
    now, newest, oldest = runs_of(root, "toy")
    assert [now.commit, newest.commit, oldest.commit] == [NOW, second, first]
    assert (newest.subject, oldest.subject) == ("More labels: µ", "First run")
    assert (oldest.verdict, oldest.release, oldest.data_md5) == ("negative transfer", "refuse", "aa.dir")
    assert oldest.metrics == {"auc": {"value": 0.7, "low": 0.6, "high": pytest.approx(0.8)}}
    assert oldest.facts == {"domain": "near", "rows": 9}
    assert newest.params["prepare"] == {"label_budget": 50}
    assert now.verdict == "" and now.date  # the ledger has no entry of auto
    assert "Ann" not in repr(newest) and "bank.example" not in repr(newest)


@needs_git
def test_runs_are_bounded_and_of_one_vertical(project):
    root, _, second = project
    assert [run.commit for run in runs_of(root, "toy", limit=1)] == [NOW, second]
    assert [run.commit for run in runs_of(root, "other")] == [NOW]


@needs_git
def test_runs_of_a_project_below_the_repositorys_top(tmp_path):
    git(tmp_path, "init", "-q")
    root = tmp_path / "inner"
    root.mkdir()
    write_run(root, 0.7)
    first = commit(tmp_path, "First run")
    found = runs_of(root, "toy")[1]
    assert found.commit == first and found.metrics["auc"]["value"] == 0.7


@needs_git
def test_compare_runs_tells_params_data_and_metrics(project):
    now, newest, oldest = runs_of(project[0], "toy")
    found = compare_runs(oldest, newest)
    assert [str(change) for change in found.params] == ["prepare.label_budget: null -> 50"]
    assert found.data == ("aa.dir", "bb.dir")
    assert found.metrics[0].difference == pytest.approx(0.1)
    assert [change.path for change in compare_runs(newest, now).params] == ["train.transfer"]
    assert compare_runs(newest, now).data is None


@needs_git
def test_runs_commit_is_read_once(project, monkeypatch):
    runs_of(project[0], "toy")
    asked = []
    original = git_files._git
    monkeypatch.setattr(git_files, "_git", lambda root, *words: asked.append(words[0]) or original(root, *words))
    assert len(runs_of(project[0], "toy")) == 3
    assert asked == ["log"]


@needs_git
def test_runs_of_a_damaged_or_missing_file_leave_it_empty(project):
    root = project[0]
    (root / "artifacts/toy/evaluate/metrics.json").write_text('{"auc": {"va')
    (root / "params.yaml").write_text("toy: [1, 2\n")
    (root / "data.dvc").unlink()
    now = runs_of(root, "toy")[0]
    assert (now.metrics, now.params, now.data_md5, now.release) == ({}, {}, "", "ship")


def test_runs_without_git_are_the_working_tree_alone(tmp_path, monkeypatch):
    write_run(tmp_path, 0.7)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = runs_of(tmp_path, "toy")
    assert [run.commit for run in found] == [NOW]
    assert found[0].metrics["auc"]["value"] == 0.7 and found[0].verdict == "gain"


def test_runs_outside_a_repository_are_the_working_tree_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert [(run.commit, run.date) for run in runs_of(tmp_path, "toy")] == [(NOW, "")]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, [("a.b", 1, 2)]),
        ({"a": 1}, {"b": None}, [("a", 1, NOT_SET), ("b", NOT_SET, None)]),
        ({"a": {"b": 1}}, {}, [("a.b", 1, NOT_SET)]),
        ({}, {"a": {}}, [("a", NOT_SET, {})]),
        ({"a": {"b": 1}}, {"a": [1]}, [("a", {"b": 1}, [1])]),
        ({"a": [1, 2]}, {"a": [1, 2]}, []),
    ],
)
def test_changes_between_names_every_leaf(before, after, expected):
    assert [(c.path, c.before, c.after) for c in changes_between(before, after)] == expected
