"""The transfer surface: source rows and a few target rows in, a fitted learner out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from core.data.samples import Samples
from core.learners.base import Learner
from core.registry import Registry

TRANSFERS: Registry[type[Transfer]] = Registry("transfer")


@dataclass(frozen=True)
class TransferTask:
    """What a transfer may use. All rows are in the target's schema.

    source: labelled rows of other domains (may be empty). target: training rows of the target; only those within the
    label budget carry a label, the rest serve as unlabelled. valid: labelled target rows for early stopping, or None.
    make_learner: a fresh, unfitted learner of the kind chosen in params.
    """

    source: Samples
    target: Samples
    valid: Samples | None
    make_learner: Callable[[], Learner]
    seed: int = 0


class Transfer(ABC):
    """One way to use the source. `needs_source` / `needs_target_labels` tell the ledger where it applies.

    learns_unlabelled: target rows without a label change what is fitted.
    """

    needs_source: ClassVar[bool] = True
    needs_target_labels: ClassVar[bool] = True
    learns_unlabelled: ClassVar[bool] = False

    @abstractmethod
    def fit(self, task: TransferTask) -> Learner:
        """The fitted learner; it is saved, loaded and scored like any other."""
