"""`python -m core.lifecycle.killable_dvc ARGUMENTS`: DVC, which may be killed at any moment and be started again.

DVC 3 writes dvc.lock and .dvc files in place, a large one for a second; a kill meanwhile leaves a file that it refuses
ever after ("validation failed"), the same goes for its list of readers and writers (its issues 6097 and 7615), and a
process that has got the number of a killed one blocks it. Here the files are written beside and renamed, and only a
process that is DVC counts. It ends with the process that started it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from core.lifecycle.process import die_if_asked

SECONDS_TO_WRITE = 1.0  # far more than another DVC is at its list


def dump_whole(path: str | Path, data: Any, dumper: Callable[..., Any], fs: Any = None, **arguments: Any) -> None:
    """As DVC's own `_dump_data` on this machine's files, but the file is the old one or the new one, never a part.

    The one beside has a fixed name: DVC's lock lets one writer in, so what a killed one left is written over.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.part")
    with beside.open("w+", encoding="utf-8") as file:
        dumper(data, file, **arguments)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def remove_half_list(path: Path) -> None:
    """Take DVC's list of readers and writers away where a killed process left it half written: it says nothing then."""
    until = time.monotonic() + SECONDS_TO_WRITE
    while path.exists():
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            if time.monotonic() > until:
                path.unlink(missing_ok=True)
            time.sleep(0.05)
        else:
            return


def is_other_dvc(pid: int, psutil: ModuleType) -> bool:
    """Whether this number is another running DVC's; of a process that may not be looked at: yes."""
    if pid == os.getpid():  # of a killed one, as in a container that was started again
        return False
    try:
        return any("dvc" in word for word in psutil.Process(pid).cmdline())
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False


def main(arguments: list[str]) -> int:
    """DVC's exit code."""
    die_if_asked()
    from dvc import rwlock
    from dvc.cli import main as run
    from dvc.utils.serialize import _common, _yaml

    psutil = rwlock.psutil
    rwlock.psutil = SimpleNamespace(pid_exists=lambda pid: is_other_dvc(pid, psutil))
    for module in (_common, _yaml):
        module._dump_data = dump_whole
    remove_half_list(Path(".dvc/tmp") / rwlock.RWLOCK_FILE)
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
