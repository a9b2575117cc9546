"""Child processes that end with their parent, so that a killed run leaves nothing behind that goes on writing."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping

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
    """`die_with_parent` where the environment says so; one whose parent went before is killed at once."""
    asked = os.environ.get(VARIABLE, "")
    if not asked or not sys.platform.startswith("linux"):
        return
    die_with_parent()
    if not _is_running(int(asked)):
        os.kill(os.getpid(), signal.SIGKILL)
    os.environ[VARIABLE] = str(os.getpid())


def _is_running(pid: int) -> bool:
    """Linux alone: elsewhere signal 0 is no question."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
