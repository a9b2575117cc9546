"""Source learners fitted once and shared by all that ask for them, however many target folds there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from core.data.samples import Samples
from core.errors import BadParamsError
from core.transfers.base import TransferTask

# A validation set smaller than this (rows of the rarer class) would stop early on noise.
MIN_VALID_ROWS_OF_EACH_CLASS = 200

Fitted = TypeVar("Fitted")


class SourceFits:
    """A memory of what was fitted on a source. It knows a source by identity: hand on the same Samples object."""

    def __init__(self) -> None:
        self._entries: dict[tuple[int, int, str], tuple[TransferTask, Any]] = {}

    def recall(self, task: TransferTask, purpose: str, fit: Callable[[], Fitted]) -> Fitted:
        """What was fitted for `purpose` on this source before, or `fit()`, which is then remembered."""
        key = (id(task.source), id(task.make_learner), purpose)
        if key not in self._entries:
            self._entries[key] = (task, fit())  # the task is kept so that its ids stay taken
        return self._entries[key][1]


def require_source(task: TransferTask, transfer: str) -> Samples:
    """The labelled source rows.

    Raises:
        BadParamsError: there are none.
    """
    source = task.source.labelled()
    if len(source) == 0:
        raise BadParamsError(
            f"Transfer '{transfer}' needs labelled source rows and there are none.",
            repair="Name source domains in prepare.source_domains or choose 'target_only'.",
        )
    return source


def usable_valid(task: TransferTask) -> Samples | None:
    """The validation rows where they are many enough to stop early on, else None: the learner uses inner folds."""
    if task.valid is None or task.valid.num_labelled == 0:
        return None
    valid = task.valid.labelled()
    is_enough = np.bincount(valid.targets, minlength=2).min() >= MIN_VALID_ROWS_OF_EACH_CLASS
    return valid if is_enough else None


def target_domain_of(task: TransferTask) -> str:
    """Name of the target domain."""
    return str(task.target.domains[0])
