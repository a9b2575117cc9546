"""Source learners whose scores are further features of the target learner: one score for each source domain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.data.table_schema import Feature
from core.learners.base import LEARNERS, Learner, load_learner, save_learner
from core.learners.binary_table import BinaryTableLearner, check_binary, logits_of
from core.learners.part_histories import part_histories
from core.params import STRICT

MAX_MULTIPLIER = 5.0


@dataclass(frozen=True, config=STRICT)
class ScoreStackedOptions:
    """learner, options: the kind of the source learners and of the target learner.

    target_domain: rows of other domains are source rows; empty: there is no source row.
    """

    learner: str = "logistic_regression"
    options: Mapping[str, Any] = Field(default_factory=dict)
    target_domain: str = ""


@LEARNERS.register("score_stacked")
class ScoreStacked(BinaryTableLearner):
    """Fitted state: `sources_` (domain -> learner), `inner_` (target learner), `mean_scores_` (domain -> log-odds)."""

    Options = ScoreStackedOptions

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit one learner a source domain, then the target learner on the target's rows with the sources' log-odds.

        A source domain without both classes is passed over.

        Raises:
            BadParamsError: the target has no labelled row, or not two classes.
        """
        target_domain = self.options.target_domain
        domains = train.domains.astype(str)
        names = sorted(set(domains) - {target_domain}) if target_domain else []
        sources = {}
        for name in names:
            rows = train.of_domains([name]).labelled()
            if len(np.unique(rows.targets)) == 2:
                sources[name] = self._make_learner().fit(rows)
        target = train.of_domains([target_domain]) if target_domain else train
        return self.fit_on_target(sources, target, valid)

    def fit_on_target(self, sources: Mapping[str, Learner], target: Samples, valid: Samples | None = None) -> Self:
        """As `fit`, with source learners that are fitted already.

        Raises:
            BadParamsError: the target has no labelled row, or not two classes.
        """
        labelled = check_binary(target)
        self.sources_ = dict(sources)
        augmented = self._augment(labelled)
        self.mean_scores_ = {
            name: float(np.average(augmented.inputs[_column(name)], weights=labelled.weights)) for name in self.sources_
        }
        self.inner_ = self._make_learner().fit(augmented, None if valid is None else self._augment(valid))
        return self

    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) log-odds of class 1."""
        return logits_of(self.inner_, self._augment(samples))

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) of the raw columns: what a source score contributes is handed on to the columns behind it.

        Multiplier of a score = its contribution / its distance from the mean score, at most 5 in size; exact for a
        linear target learner.

        Source: Shrikumar, Greenside & Kundaje 2017, "Learning important features through propagating activation
        differences", section 3.3 (chain rule of multipliers).
        """
        augmented = self._augment(samples)
        total = self.inner_.contributions(augmented)
        for name, source in self.sources_.items():
            if _column(name) not in total:
                continue
            distance = augmented.inputs[_column(name)].to_numpy() - self.mean_scores_[name]
            is_far = np.abs(distance) > 1e-6
            multiplier = np.where(is_far, total[_column(name)] / np.where(is_far, distance, 1.0), 0.0)
            multiplier = np.clip(multiplier, -MAX_MULTIPLIER, MAX_MULTIPLIER)
            handed_on = source.contributions(samples).mul(multiplier, axis=0)
            total = total.drop(columns=_column(name)).add(handed_on, fill_value=0.0)
        return total

    @property
    def history_(self) -> list[dict[str, Any]]:
        """The learning curves of the source learners and of the target learner."""
        return part_histories({**self.sources_, "target": self.inner_})

    def save_state(self, folder: Path) -> None:
        """Write score_stacked.json, the target learner in inner/ and the source learners in source_<k>/."""
        names = list(self.sources_)
        write_json(
            folder / "score_stacked.json",
            {"sources": names, "mean_scores": [self.mean_scores_[name] for name in names]},
        )
        save_learner(self.inner_, folder / "inner")
        for position, name in enumerate(names):
            save_learner(self.sources_[name], folder / f"source_{position}")

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote."""
        state = read_json(folder / "score_stacked.json")
        names = state["sources"]
        self.sources_ = {name: load_learner(folder / f"source_{k}") for k, name in enumerate(names)}
        self.mean_scores_ = dict(zip(names, state["mean_scores"], strict=True))
        self.inner_ = load_learner(folder / "inner")

    def _make_learner(self) -> Learner:
        return LEARNERS[self.options.learner](self.options.options, seed=self.seed)

    def _augment(self, samples: Samples) -> Samples:
        """The rows with one number for each source domain: its log-odds."""
        scores = {_column(name): logits_of(source, samples) for name, source in self.sources_.items()}
        features = [Feature(_column(name), "number", meaning=f"score of {name}, log-odds") for name in self.sources_]
        return samples.with_inputs(samples.inputs.assign(**scores), samples.schema.with_features(features))


def _column(domain: str) -> str:
    """Name of the feature that holds a source's score."""
    return f"_score_of_{domain}"
