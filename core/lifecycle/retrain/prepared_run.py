"""A retraining run of a vertical whose models score prepared rows, whether for a class or for a number."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.data.domain_folder import batch_names
from core.lifecycle.retrain.deciding import labelled_batches
from core.lifecycle.retrain.prepared_rows import TargetRows, open_target_rows
from core.lifecycle.retrain.run import Run
from core.lifecycle.retrain.training import kind_of_training


@dataclass(frozen=True)
class PreparedRun(Run):
    """What such runs share: the rows, which deliveries were learned from, and what the monitor's advice leads to."""

    @abc.abstractmethod
    def learns_unlabelled(self) -> bool:
        """Whether rows without a label change what the transfer fits."""

    def rows(self) -> TargetRows:
        """The prepared rows of the target."""
        return open_target_rows(self.vertical, self.params, self.artifacts)

    def kind_of_training(self, watched: Mapping[str, Any]) -> tuple[str, str]:
        """What the advice, the new labels and `retrain.when` ask for."""
        advice = watched["recommendation"]
        return kind_of_training(
            advice["action"] if advice else None,
            self.retrain,
            num_new_labels=watched.get("num_new_labels", 0),
            learns_unlabelled=self.learns_unlabelled(),
        )

    def learned_batches(self) -> list[str]:
        """Those with labels: the others are news to the model until theirs come."""
        return labelled_batches(self.artifacts, batch_names(self.target_folder), self.target)
