"""One process at a time: a lock that the system itself gives back when its holder dies, and who holds it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from core.artifacts import read_json, remove_leftovers, write_json
from core.data.domain_folder import check_name
from core.errors import CrossdomainError

LOCKS_FOLDER = Path(".crossdomain") / "locks"
FILE_MODE = 0o666  # what the umask leaves of it: people who share a project share its locks


@contextmanager
def exclusive(root: Path, name: str, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Nobody else, another thread included, is inside `name` of this project meanwhile; not to be nested.

    wait_seconds: how long to wait for another to leave; 0 asks once. The file says nothing by being there: the system
    locks it, so a killed process leaves nothing behind that blocks, and no time of day is compared.

    Raises:
        BadInputError: `name` cannot be a file name.
        CrossdomainError: another holds it (the message tells who), or the lock's file cannot be opened.
    """
    check_name(name, "lock")
    folder = Path(root) / LOCKS_FOLDER
    holder = folder / f"{name}.holder.json"
    lock = FileLock(folder / f"{name}.lock", timeout=max(wait_seconds, 0.0), mode=FILE_MODE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise CrossdomainError(
            f"'{name}' is in use by {_shown(holder)}.", repair="Wait until that is done or stop it, then run again."
        ) from None
    except OSError as error:
        raise CrossdomainError(
            f"{folder / name}.lock cannot be locked: {error.strerror or error}.",
            repair=f"Make {folder} writable for everybody who works on this project.",
        ) from None
    try:
        remove_leftovers(folder, holder.name)
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(holder, {"pid": os.getpid(), "started_at": started_at, "command": shlex.join(sys.argv)})
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _shown(holder: Path) -> str:
    """Who holds a lock, in words; a holder that has just come or gone may not be known."""
    try:
        told = read_json(holder)
        return f"process {told['pid']} since {told['started_at']}: {told['command']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
