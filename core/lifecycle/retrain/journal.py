"""What a run of `retrain` has done so far, on the disk after every step, so that a killed run is taken up again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.artifacts import read_json
from core.errors import VerificationError
from core.lifecycle.registry.durable import write_json_durably
from core.lifecycle.registry.records import as_json, utc_now

FORMAT = 1
RUN_PATTERN = re.compile(r"r(\d{4,})")
PROMOTED, KEPT, REFUSED, HELD, ABANDONED = "promoted", "kept", "refused", "held", "abandoned"


@dataclass
class Journal:
    """One run. values: format, run, vertical, started_at, ended_at, batch, outcome and steps, as its file has them.

    A step's result is written before the next step begins, so whatever is done twice after a kill is the one step that
    was going on. Runs are numbered: a clock that jumps changes no order.
    """

    path: Path
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> str:
        """r0001 and so on."""
        return str(self.values["run"])

    @property
    def outcome(self) -> str | None:
        """promoted, kept, refused, held or abandoned; None while the run is not over."""
        return self.values["outcome"]

    def result(self, step: str) -> dict[str, Any] | None:
        """What a step gave; None where it is not done."""
        told = self.values["steps"].get(step)
        return None if told is None else told["result"]

    def step(self, name: str, action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The step's result: from an earlier start of this run, or by doing it now."""
        if name not in self.values["steps"]:
            started = time.perf_counter()
            result = as_json(action())
            seconds = round(time.perf_counter() - started, 2)
            self.values["steps"][name] = {"done_at": utc_now(), "seconds": seconds, "result": result}
            self.save()
        return self.values["steps"][name]["result"]

    def end(self, outcome: str) -> None:
        """The run is over."""
        self.values |= {"outcome": outcome, "ended_at": utc_now()}
        self.save()

    def save(self) -> None:
        """Replace the file, whole or not at all."""
        write_json_durably(self.path, self.values)


def journal_folder(root: Path, vertical: str) -> Path:
    """Where the journals of a vertical are; they belong into git as the registry beside them."""
    return Path(root) / "registry" / vertical / "retrains"


def read_journals(root: Path, vertical: str) -> list[Journal]:
    """All runs, oldest first.

    Raises:
        VerificationError: a file is no journal.
    """
    folder = journal_folder(root, vertical)
    paths = [path for path in folder.glob("r*.json") if RUN_PATTERN.fullmatch(path.stem)]
    return [_read(path) for path in sorted(paths, key=lambda path: int(path.stem[1:]))]


def unfinished_run(root: Path, vertical: str) -> Journal | None:
    """The run that was stopped, if the last one was."""
    journals = read_journals(root, vertical)
    return journals[-1] if journals and journals[-1].outcome is None else None


def begin_run(root: Path, vertical: str, batch: dict[str, Any] | None) -> Journal:
    """A new journal, written; its number is above all earlier ones."""
    journals = read_journals(root, vertical)
    number = 1 + (int(journals[-1].run[1:]) if journals else 0)
    values = {
        "format": FORMAT,
        "run": f"r{number:04d}",
        "vertical": vertical,
        "started_at": utc_now(),
        "ended_at": None,
        "batch": batch,
        "outcome": None,
        "steps": {},
    }
    journal = Journal(journal_folder(root, vertical) / f"{values['run']}.json", values)
    journal.save()
    return journal


def _read(path: Path) -> Journal:
    try:
        values = read_json(path)
        is_known = values["format"] == FORMAT and values["run"] == path.stem and isinstance(values["steps"], dict)
    except (ValueError, KeyError, TypeError):
        is_known = False
    if not is_known:
        raise VerificationError(
            f"{path} is no journal of a run.", repair=f"Restore it: `git checkout -- {path}`, or take it away."
        )
    return Journal(path, values)
