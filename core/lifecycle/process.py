"""Child processes that end with their parent, so that a killed run leaves nothing behind that goes on writing."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping

VARIABLE = "CROSSDOMAIN_PARENT_DEATH"  # children of children (DVC starts the stages) ask for the same
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """Ask the system to kill this process as soon as its parent is gone; nothing happens where that is not Linux."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def with_parent_death(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment by which `die_if_asked` of a child's children does the same."""
    return {**environment, VARIABLE: "1"}


def die_if_asked() -> None:
    """`die_with_parent` where the environment says so; one whose parent went before is killed at once."""
    if os.environ.get(VARIABLE) == "1":
        die_with_parent()
        if os.getppid() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
