"""Child processes that end with their parent, so that a killed run leaves nothing behind that goes on writing."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "CROSSDOMAIN_PARENT_DEATH"  # the parent's number; children of children (DVC starts the stages) ask as well
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """Ask the system to kill this process as soon as its parent is gone; nothing happens where that is not Linux."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def with_parent_death(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment by which a child that calls `die_if_asked`, and its children that do, end with this process."""
    return {**environment, VARIABLE: str(os.getpid())}


def die_if_asked() -> None:
    """`die_with_parent` where the environment says so; one that no longer stands below the told process is killed."""
    asked = os.environ.get(VARIABLE, "")
    if not asked or not sys.platform.startswith("linux"):
        return
    die_with_parent()
    if not _is_below(int(asked)):
        os.kill(os.getpid(), signal.SIGKILL)
    os.environ[VARIABLE] = str(os.getpid())


def _is_below(ancestor: int) -> bool:
    """Whether this process descends from that one: a killed one's children are given to another at once, while its
    number lives on until somebody asks how it ended."""
    pid = os.getpid()
    while pid > 1 and pid != ancestor:
        pid = _parent_of(pid)
    return pid == ancestor


def _parent_of(pid: int) -> int:
    """The fourth field of /proc/PID/stat; the second, a name in brackets, may hold anything. 0: it is gone."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(told.rpartition(")")[2].split()[1])
