"""What git knows of the project: commits that changed a file, the file as a commit had it, what is in no commit."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from core.errors import CrossdomainError

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


def head_commit(root: Path) -> str:
    """The id of the commit that is checked out; empty where there is none."""
    return (_git(root, "rev-parse", "--verify", "--quiet", "HEAD") or "").strip()


def changed_paths(root: Path, *paths: str) -> list[str]:
    """What below the paths is in no commit as it lies there, untracked files too; none without git."""
    told = _git(root, "status", "--porcelain", "--", *paths) or ""
    return [line[3:] for line in told.splitlines()]


def commit_paths(root: Path, paths: list[str], subject: str) -> str | None:
    """Commit these paths alone, others stay as they are staged; the new commit's id, None where nothing had changed.

    Raises:
        CrossdomainError: git refuses (no name and e-mail set, a merge going on, another git's lock).
    """
    present = [path for path in paths if (root / path).exists()]
    if not present or not changed_paths(root, *present):
        return None
    is_added = _git(root, "add", "--", *present) is not None
    if not is_added or _git(root, "commit", "--quiet", "--only", "--message", subject, "--", *present) is None:
        raise CrossdomainError(
            "git does not take the commit of the run.",
            repair="Set user.name and user.email, and remove .git/index.lock where no git runs; then:"
            f' git add -- {" ".join(present)} && git commit -m "{subject}" -- {" ".join(present)}',
        )
    return head_commit(root)


def _git(root: Path, *arguments: str) -> str | None:
    """The output of a git command, or None where it fails or there is no git.

    A git that is killed leaves its lock, and every later one fails. So none is taken for a mere question, and a kill or
    an interrupt of this process's group does not reach it: it ends by itself at once, or is asked to after a time.
    """
    command = ["git", "--no-pager", "--no-optional-locks", "-c", "core.quotepath=off", *arguments]
    pipe, none = subprocess.PIPE, subprocess.DEVNULL
    try:
        process = subprocess.Popen(command, cwd=root, stdin=none, stdout=pipe, stderr=none, start_new_session=True)
    except OSError:
        return None
    with process:
        try:
            told, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()  # it takes its lock away
            return None
    return told.decode("utf-8", "replace") if process.returncode == 0 else None
