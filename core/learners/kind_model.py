"""Which kind of positive a row is: one learner a kind, fitted on positive rows alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.learners.base import Learner, load_learner, save_learner
from core.learners.binary_table import logits_of

MIN_ROWS_OF_A_KIND = 2


@dataclass(frozen=True)
class KindModel:
    """P(kind | positive). words: (K,) the label words; learners: one against the rest, in their order."""

    words: tuple[str, ...]
    learners: tuple[Learner, ...]

    @classmethod
    def fit(cls, make_learner: Callable[[], Learner], train: Samples, positive_index: int = 1) -> Self | None:
        """Fitted on the labelled positive rows of `train`; None where fewer than two kinds have rows enough."""
        positive = train.labelled()
        positive = positive.take(positive.labels == positive_index)
        words, counts = np.unique(positive.kinds.astype(str), return_counts=True)
        words = tuple(w for w, count in zip(words, counts, strict=True) if w and count >= MIN_ROWS_OF_A_KIND)
        if len(words) < 2:
            return None
        known = positive.take(np.isin(positive.kinds.astype(str), words))
        known = replace(known, label_probability=np.full(len(known), np.nan))
        learners = [
            make_learner().fit(replace(known, labels=(known.kinds.astype(str) == word).astype(float))) for word in words
        ]
        return cls(words, tuple(learners))

    def predict(self, samples: Samples) -> np.ndarray:
        """(N, K) probabilities of the kinds, given that the row is positive; rows sum to one (softmax of log-odds)."""
        logits = np.column_stack([logits_of(learner, samples) for learner in self.learners])
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    def save(self, folder: Path) -> None:
        """Write kinds.json and a folder a kind."""
        write_json(folder / "kinds.json", {"words": self.words})
        for position, learner in enumerate(self.learners):
            save_learner(learner, folder / f"kind_{position}")

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """What `save` wrote; None where there is none."""
        if not (folder / "kinds.json").exists():
            return None
        words = tuple(read_json(folder / "kinds.json")["words"])
        return cls(words, tuple(load_learner(folder / f"kind_{k}") for k in range(len(words))))
