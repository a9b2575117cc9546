"""A copy of the project as git sees it, in a repository of its own, and commands called in it as a user would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
IDENTITY = {f"GIT_{who}_{what}": told for who in ("AUTHOR", "COMMITTER")
            for what, told in (("NAME", "test"), ("EMAIL", "test@example.org"))}  # fmt: skip


def copy_project(folder: Path) -> Path:
    """Code, dvc.yaml and params.yaml; no data, artifacts, registry or dvc.lock; one commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists() and name != "dvc.lock" and not name.startswith(("artifacts/", "registry/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git(folder, "init", "-q")
    commit_all(folder, "copy")
    return folder


def git(folder: Path, *arguments: str) -> str:
    """A git command as the test's own author; its output."""
    environment = {**os.environ, **IDENTITY}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


def commit_all(folder: Path, subject: str) -> None:
    """Everything that git does not ignore."""
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", subject)


def environment_of(folder: Path) -> dict[str, str]:
    """This environment, with the copy's own code in front."""
    path = str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]
    return {**os.environ, **IDENTITY, "PATH": path, "DVC_NO_ANALYTICS": "1", "PYTHONPATH": str(folder)}


def call(folder: Path, *command: str, expect: int = 0) -> str:
    """Run `python -m command` in the copy; its output."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environment_of(folder), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    told = f"{command}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert done.returncode == expect, told
    return done.stdout + done.stderr
