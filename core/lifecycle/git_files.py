"""What git knows of the project: commits that changed a file, and the file as a commit had it. Nothing is written."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Commit:
    """id: 40 hexadecimal digits. date: ISO, when it was committed. subject: its first line."""

    id: str
    date: str
    subject: str


def commits_of(root: Path, path: str, *, limit: int) -> list[Commit]:
    """The last commits that changed a file, newest first; none without git, a repository or such a commit."""
    told = _git(root, "log", f"--max-count={limit}", "--format=%H%x1f%cI%x1f%s", "--", path)
    lines = (told or "").splitlines()
    return [Commit(*line.split("\x1f", 2)) for line in lines if line.count("\x1f") >= 2]


def file_at(root: Path, commit: str, path: str) -> str | None:
    """A file's text in a commit, its path relative to `root`; None where the commit has no such file."""
    return _git(root, "show", f"{commit}:./{path}")


def _git(root: Path, *arguments: str) -> str | None:
    """The output of a git command, or None where it fails or there is no git."""
    command = ["git", "--no-pager", "-c", "core.quotepath=off", *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=root,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
