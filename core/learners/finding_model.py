"""Several findings in one row, each with a probability of its own, learned where that finding is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.evaluation.calibrators.platt import PlattCalibrator
from core.learners.base import Learner, load_learner, save_learner
from core.learners.inner_folds import inner_folds

MIN_ROWS_OF_A_CLASS = 5
NUM_FOLDS = 3
STATE = "findings.json"


@dataclass(frozen=True)
class FindingModel:
    """P(finding) of each finding by itself, so that a row's probabilities need not sum to one.

    names: (K,) findings in the order of `learners`, of `calibrators` and of the columns that `predict` gives.
    left_out: finding -> why it has no learner.
    """

    names: tuple[str, ...]
    learners: tuple[Learner, ...]
    calibrators: tuple[PlattCalibrator, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def fit(cls, make_learner: Callable[[], Learner], train: Samples, *, seed: int) -> Self | None:
        """One learner a finding, fitted on the rows that know it; None where the samples have no findings.

        A finding with fewer than five rows present or absent, or whose groups cannot be split for the calibration, is
        left out with its reason.
        """
        if not train.finding_names:
            return None
        fitted: dict[str, tuple[Learner, PlattCalibrator]] = {}
        left_out = {}
        for name in train.finding_names:
            known = rows_that_know(train, name)
            counts = np.bincount(known.targets, minlength=2)
            if counts.min() < MIN_ROWS_OF_A_CLASS:
                left_out[name] = (
                    f"{counts[1]} present and {counts[0]} absent among the training rows; at least "
                    f"{MIN_ROWS_OF_A_CLASS} of each are needed"
                )
                continue
            calibrator = _fit_calibrator(make_learner, known, seed=seed)
            if calibrator is None:
                left_out[name] = "its rows are of too few groups to hold any out for the calibration"
            else:
                fitted[name] = make_learner().fit(known), calibrator
        learners, calibrators = (tuple(pair[place] for pair in fitted.values()) for place in (0, 1))
        return cls(tuple(fitted), learners, calibrators, left_out)

    def predict(self, samples: Samples) -> np.ndarray:
        """(N, K) calibrated probabilities, a column a finding; there is no softmax over them."""
        columns = [
            calibrator.transform(learner.predict_probability(samples))[:, 1]
            for learner, calibrator in zip(self.learners, self.calibrators, strict=True)
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((len(samples), 0))

    def save(self, folder: Path) -> None:
        """Write findings.json and a folder a finding."""
        write_json(
            folder / STATE,
            {
                "names": self.names,
                "calibrators": [calibrator.to_dict() for calibrator in self.calibrators],
                "left_out": dict(self.left_out),
            },
        )
        for position, learner in enumerate(self.learners):
            save_learner(learner, folder / f"finding_{position}")

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """What `save` wrote; None where there is none."""
        if not (folder / STATE).exists():
            return None
        state = read_json(folder / STATE)
        learners = tuple(load_learner(folder / f"finding_{k}") for k in range(len(state["names"])))
        calibrators = tuple(PlattCalibrator.from_dict(values) for values in state["calibrators"])
        return cls(tuple(state["names"]), learners, calibrators, state["left_out"])


def rows_that_know(samples: Samples, name: str) -> Samples:
    """The rows whose finding is known, with it as their label; an unknown one is no negative."""
    values = samples.findings_of((name,))[:, 0]
    known = samples.take(~np.isnan(values))
    labels = values[~np.isnan(values)]
    return replace(known, labels=labels, label_probability=np.full(len(known), np.nan))


def _fit_calibrator(make_learner: Callable[[], Learner], known: Samples, *, seed: int) -> PlattCalibrator | None:
    """A Platt map of the rows that inner folds of whole groups held out; None where those lack a class."""
    held_rows, raw = [], []
    for fit_rows, held in inner_folds(known, NUM_FOLDS, seed=seed):
        raw.append(make_learner().fit(known.take(fit_rows)).predict_probability(known.take(held)))
        held_rows.append(known.targets[held])
    if not raw or len(np.unique(np.concatenate(held_rows))) < 2:
        return None
    return PlattCalibrator().fit(np.concatenate(raw), np.concatenate(held_rows))
