"""`dvc repro` of a vertical, its output passed on with the stage's number and times."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from core.errors import CrossdomainError
from core.lifecycle.process import with_parent_death
from core.stages import STAGES
from core.vertical import SERIES, VALUE, load_vertical

NOT_SHOWN = re.compile(
    r"(> python|Updating lock|Generating lock|To track|\s*git add|To enable|\s*dvc config|Use `dvc push|\s*$)"
)


def reproduce(
    vertical: str,
    root: Path,
    *,
    to: str = "report",
    force: bool = False,
    report: Callable[[str], None] = print,
) -> None:
    """`dvc repro` of the vertical up to a stage; it ends with this process, however that ends.

    Raises:
        CrossdomainError: no git repository, or DVC or a stage failed; its own message has been shown.
    """
    if not (root / ".git").exists() or shutil.which("git") is None:
        raise CrossdomainError(
            "DVC needs the project in a git repository.", repair="Run `git init` here, or clone it with git."
        )
    target = f"{load_vertical(vertical).stage_name(to)}@{vertical}"
    command = [sys.executable, "-m", "core.lifecycle.killable_dvc", "repro", target]
    command += ["--force"] if force else []
    # Stages call `python`: it must be this environment's even where that was not activated.
    path = str(Path(sys.executable).parent) + os.pathsep + os.environ.get("PATH", "")
    environment = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1"}
    started = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=root,
        env=with_parent_death(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        num_run = _show_progress(process.stdout or (), started, report)
    total = time.perf_counter() - started
    if process.returncode:
        error = CrossdomainError(
            f"The pipeline stopped after {total:.0f} s.",
            repair="The cause stands above; mend it and run again.",
        )
        error.exit_code = 1
        raise error
    done = f"{num_run} stages run" if num_run else "nothing had changed, no stage run"
    report(f"Pipeline: {done}, {total:.1f} s.")


def _show_progress(lines: Iterable[str], started: float, report: Callable[[str], None]) -> int:
    """Pass DVC's lines on, headed by `[2/6] train`; return how many stages ran."""
    num_run = 0
    for line in lines:
        stage = re.match(rf"Running stage '(?:{SERIES}|{VALUE})?(\w+)@", line)
        if stage and stage[1] in STAGES:
            num_run += 1
            number = STAGES.index(stage[1]) + 1
            report(f"[{number}/{len(STAGES)}] {stage[1]} (at {time.perf_counter() - started:.0f} s)")
        elif not NOT_SHOWN.match(line):
            report("    " + line.rstrip())
    return num_run
