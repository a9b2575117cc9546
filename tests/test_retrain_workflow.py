"""The scheduled workflow of retraining: when it runs, what it does with exit codes, what it keeps in git."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

WORKFLOW = Path(__file__).parents[1] / ".github" / "workflows" / "retrain.yml"


def workflow_job() -> dict:
    return YAML(typ="safe").load(WORKFLOW)["jobs"]["retrain"]


def workflow_steps() -> dict[str, dict]:
    job = workflow_job()
    return {step.get("name") or step["uses"].split("@")[0]: step for step in job["steps"]}


def test_workflow_is_monthly_by_hand_and_one_at_a_time():
    told = YAML(typ="safe").load(WORKFLOW)
    when = told["on"]
    assert when["schedule"] == [{"cron": "17 3 1 * *"}] and "workflow_dispatch" in when
    assert told["concurrency"] == {"group": "retrain", "cancel-in-progress": False}
    steps = workflow_steps()
    assert list(steps) == [
        "actions/checkout", "actions/setup-python", "Install", "Data and models", "Retrain", "Report", "Keep",
    ]  # fmt: skip
    assert steps["Install"]["run"] == "pip install -c .ci/constraints.txt -e ."
    assert all("${{" not in step.get("run", "") for step in steps.values()), "no input is code of a shell"


def run_step(name: str, folder: Path, **variables: str) -> subprocess.CompletedProcess:
    """A step of the workflow as the runner calls it, with this folder's `bin` first."""
    fixed = {key: value for key, value in workflow_job()["env"].items() if "${{" not in value}
    variables = fixed | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder), **variables}
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", workflow_steps()[name]["run"]]
    return subprocess.run(command, cwd=folder / "project", env=variables, capture_output=True, text=True, check=False)


def put_command(folder: Path, name: str, script: str) -> None:
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(("code", "title"), [(0, ""), (20, "Refused"), (21, "Held"), (3, "Failed")])
def test_workflow_does_not_hide_the_exit_code(code, title, tmp_path):
    (tmp_path / "project").mkdir()
    put_command(tmp_path, "crossdomain", f'echo "$@" > told; exit {code}')
    output = tmp_path / "output"
    done = run_step("Retrain", tmp_path, VERTICAL="credit risk; exit 0", GITHUB_OUTPUT=str(output))
    assert done.returncode == code and output.read_text() == f"code={code}\n"
    assert (tmp_path / "project" / "told").read_text() == "retrain credit risk; exit 0\n"
    assert (f"::error title={title}::" in done.stdout) if title else not done.stdout


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_workflow_keeps_registry_and_data_on_top_of_what_came_meanwhile(tmp_path):
    def git(*words: str, at: str) -> str:
        line = ["git", "-c", "user.name=t", "-c", "user.email=t@t.test", *words]
        return subprocess.run(line, cwd=tmp_path / at, check=True, capture_output=True, text=True).stdout

    (tmp_path / "hub").mkdir()
    git("init", "--quiet", "--bare", "--initial-branch=main", at="hub")
    git("clone", "--quiet", str(tmp_path / "hub"), "project", at=".")
    project = tmp_path / "project"
    git("checkout", "--quiet", "-b", "main", at="project")
    for name in ("data.dvc", "dvc.lock", "README.md"):
        (project / name).write_text("before\n")
    (project / ".gitignore").write_text("/artifacts/**\n!/artifacts/**/\n!/artifacts/**/*metrics.json\n")
    git("add", ".", at="project")
    git("commit", "--quiet", "-m", "start", at="project")
    git("push", "--quiet", "-u", "origin", "main", at="project")
    git("clone", "--quiet", str(tmp_path / "hub"), "other", at=".")
    (tmp_path / "other" / "README.md").write_text("meanwhile\n")
    git("commit", "--quiet", "-am", "meanwhile", at="other")
    git("push", "--quiet", at="other")

    for name in ("data.dvc", "dvc.lock", "registry/credit_risk/stages.json", "artifacts/credit_risk/model.bin",
                 "artifacts/credit_risk/train_metrics.json"):  # fmt: skip
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("after\n")
    put_command(tmp_path, "dvc", 'echo "$@" > ../told')
    done = run_step("Keep", tmp_path, VERTICAL="credit_risk", CODE="20")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "told").read_text() == "push\n"
    assert git("log", "--format=%s", "main", at="hub").splitlines() == [
        "Retrain credit_risk: exit code 20", "meanwhile", "start",
    ]  # fmt: skip
    kept = git("show", "--format=", "--name-only", "main", at="hub").split()
    assert sorted(kept) == [
        "artifacts/credit_risk/train_metrics.json", "data.dvc", "dvc.lock", "registry/credit_risk/stages.json",
    ]  # fmt: skip
    assert run_step("Keep", tmp_path, VERTICAL="credit_risk", CODE="0").returncode == 0, "nothing new is no error"
    put_command(tmp_path, "dvc", "exit 1")
    assert run_step("Keep", tmp_path, VERTICAL="credit_risk", CODE="0").returncode == 1
