"""What a source knows of the label, joined with what is unusual in the target itself; target labels are optional."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from safetensors.numpy import load_file, save_file
from scipy.optimize import brentq
from scipy.special import expit

from core.alignments.subspace_residual import SubspaceResidual, rank_logits
from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.learners.aligned import descriptors_of, require_descriptors
from core.learners.base import LEARNERS, Learner, load_learner, save_learner
from core.learners.binary_table import BinaryTableLearner, check_binary
from core.learners.centred_ridge import fit_centred_ridge
from core.learners.descriptor_heads import fit_ridge_scores
from core.learners.descriptor_map import DescriptorMap
from core.learners.inner_folds import inner_folds
from core.params import STRICT

CLIP = 4.0
MIN_COLUMNS = 32  # with fewer descriptors, all are kept
NUM_FOLDS = 4
MIN_ROWS_OF_EACH_CLASS = 3
# Without labels the two ranks are averaged; a few labels move the weights from there.
PRIOR_SLOPES = 0.5
PRIOR_STRENGTH = 5.0
STATE, ARRAYS = "anomaly_guided.json", "anomaly_guided.safetensors"


@dataclass(frozen=True, config=STRICT)
class AnomalyGuidedOptions:
    """learner, options: who describes a row. target_domain: rows of other domains are source.

    kept_fraction: share of descriptors kept, those whose mean and spread differ least between the domains.
    kernel_width, strength: of the kernel ridge on them. num_components, bulk_fraction: of the label-free subspace.
    """

    learner: str = "image_probe"
    options: Mapping[str, Any] = Field(default_factory=dict)
    target_domain: str = ""
    kept_fraction: float = Field(default=0.25, gt=0.0, le=1.0)
    kernel_width: float = Field(default=1.0, gt=0.0)
    strength: float = Field(default=1.0, gt=0.0)
    num_components: int = Field(default=40, ge=1)
    bulk_fraction: float = Field(default=0.75, gt=0.0, le=1.0)


@LEARNERS.register("anomaly_guided")
class AnomalyGuided(BinaryTableLearner):
    """log-odds = a + b rank(source score) + c rank(unusualness), ranks as log-odds among the target's rows.

    Without target labels b = c and a is such that the mean probability is the source's rate; with some, the three are
    fitted on held-out scores, drawn to where they were.

    Fitted state: `describer_`, `kept_` (columns), `scales_`, `map_`, `coefficients_`, `subspace_`, `references_`,
    `mix_` (a, b, c).
    """

    Options = AnomalyGuidedOptions
    needs_torch = True

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit on labelled source rows, all target pictures, and what target labels may be seen; `valid` is not read.

        Raises:
            BadParamsError: no labelled source row of two classes, or a learner without descriptors.
        """
        is_target = train.domains.astype(str) == self.options.target_domain
        describer = LEARNERS[self.options.learner](self.options.options, seed=self.seed)
        require_descriptors(describer)
        source = check_binary(train.take(~is_target))
        return self.fit_with(describer.fit(source), source, train.take(is_target))

    def fit_with(self, describer: Learner, source: Samples, target: Samples) -> Self:
        """As `fit`, with a fitted describer."""
        self.describer_ = describer
        labelled = target.labelled()
        of_source, of_target = descriptors_of(describer, source), descriptors_of(describer, target)
        self.subspace_ = SubspaceResidual.fit(
            of_target,
            num_components=min(self.options.num_components, max(1, of_target.shape[1] // 2)),
            kept_fraction=self.options.bulk_fraction,
        )
        unusual = self.subspace_.distances(of_target)
        self._keep_unshifted(of_source, of_target)
        places = np.concatenate([self._place(of_source, "source"), self._place(of_target, "target")])
        is_known = np.r_[np.ones(len(source), dtype=bool), target.is_labelled]
        self.map_ = DescriptorMap({"centre": np.zeros(places.shape[1]), "scale": np.ones(places.shape[1])})
        self.map_.add_kernel(places[is_known], width=self.options.kernel_width, max_landmarks=4000, seed=self.seed)
        design = self.map_.design(places)
        aims = np.r_[source.target_probability, labelled.target_probability]
        weights = np.r_[source.weights, labelled.weights * self._multiplier(source, labelled)]
        self.coefficients_ = self._fit_scores(design[is_known], aims, weights)
        scores = design[len(source) :] @ self.coefficients_[1:]
        self.references_ = {"source": np.sort(scores), "unusual": np.sort(unusual)}
        rate = float(np.average(source.target_probability, weights=source.weights))
        columns = np.column_stack(
            [rank_logits(self.references_["source"], scores), rank_logits(self.references_["unusual"], unusual)]
        )
        self.mix_ = self._unlabelled_mix(columns, rate)
        if len(labelled) and np.bincount(labelled.targets, minlength=2).min() >= MIN_ROWS_OF_EACH_CLASS:
            held = self._held_out(design, aims, weights, is_known, len(source), labelled)
            columns = np.column_stack([held, columns[target.is_labelled, 1]])
            self.mix_ = fit_centred_ridge(columns, labelled.targets, labelled.weights, PRIOR_STRENGTH, centre=self.mix_)
        return self

    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) log-odds of class 1, every row as one of the target."""
        features = descriptors_of(self.describer_, samples)
        scores = self.map_.base(self._place(features, "target")) @ self.map_.to_base(self.coefficients_)[1:]
        columns = np.column_stack(
            [
                rank_logits(self.references_["source"], scores),
                rank_logits(self.references_["unusual"], self.subspace_.distances(features)),
            ]
        )
        return self.mix_[0] + columns @ self.mix_[1:]

    def save_state(self, folder: Path) -> None:
        """Write anomaly_guided.json and .safetensors, and the describer in describer/."""
        write_json(folder / STATE, {"gamma": self.map_.gamma, "mix": self.mix_.tolist()})
        arrays = {f"map.{name}": array for name, array in self.map_.arrays.items()}
        arrays |= {f"subspace.{name}": array for name, array in self.subspace_.to_arrays().items()}
        arrays |= {f"reference.{name}": array for name, array in self.references_.items()}
        arrays |= {f"scale.{name}": array for name, array in self.scales_.items()}
        arrays |= {"kept": self.kept_, "coefficients": self.coefficients_}
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / ARRAYS)
        save_learner(self.describer_, folder / "describer")

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote."""
        state, arrays = read_json(folder / STATE), load_file(folder / ARRAYS)

        def below(prefix: str) -> dict[str, np.ndarray]:
            return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

        self.mix_, self.map_ = np.array(state["mix"]), DescriptorMap(below("map."), gamma=state["gamma"])
        self.subspace_ = SubspaceResidual.from_arrays(below("subspace."))
        self.references_, self.scales_ = below("reference."), below("scale.")
        self.kept_, self.coefficients_ = arrays["kept"], arrays["coefficients"]
        self.describer_ = load_learner(folder / "describer")

    def _keep_unshifted(self, of_source: np.ndarray, of_target: np.ndarray) -> None:
        """The columns with the least shift: |difference of means| / spread + |log ratio of spreads|."""
        means = [side.mean(axis=0) for side in (of_source, of_target)]
        spreads = [side.std(axis=0) + 1e-6 for side in (of_source, of_target)]
        shift = np.abs(means[0] - means[1]) / np.sqrt(spreads[0] * spreads[1])
        shift += np.abs(np.log(spreads[0] / spreads[1]))
        num_kept = max(min(MIN_COLUMNS, len(shift)), int(self.options.kept_fraction * len(shift)))
        self.kept_ = np.sort(np.argsort(shift, kind="stable")[:num_kept])
        self.scales_ = {
            f"{side}.{name}": values[k][self.kept_]
            for k, side in enumerate(("source", "target"))
            for name, values in (("mean", means), ("spread", spreads))
        }

    def _place(self, features: np.ndarray, side: str) -> np.ndarray:
        """The kept columns on their domain's own scale."""
        places = (features[:, self.kept_] - self.scales_[f"{side}.mean"]) / self.scales_[f"{side}.spread"]
        return np.clip(places, -CLIP, CLIP)

    def _multiplier(self, source: Samples, labelled: Samples) -> float:
        """What a labelled target row weighs against a source row: the square root of the ratio of their numbers."""
        return float(max(1.0, np.sqrt(len(source) / len(labelled)))) if len(labelled) else 1.0

    def _fit_scores(self, design: np.ndarray, aims: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(1 + M,) kernel ridge on the probabilities."""
        return fit_ridge_scores(design, aims, weights, self.options.strength)

    def _held_out(
        self,
        design: np.ndarray,
        aims: np.ndarray,
        weights: np.ndarray,
        is_known: np.ndarray,
        num_source: int,
        labelled: Samples,
    ) -> np.ndarray:
        """(L,) rank log-odds of labelled target rows whose label the kernel ridge did not see."""
        known = design[is_known]
        held = np.zeros(len(labelled))
        for _, held_rows in inner_folds(labelled, NUM_FOLDS, seed=self.seed):
            is_fit = np.ones(len(known), dtype=bool)
            is_fit[num_source + held_rows] = False
            coefficients = self._fit_scores(known[is_fit], aims[is_fit], weights[is_fit])
            reference = np.sort(design[num_source:] @ coefficients[1:])
            held[held_rows] = rank_logits(reference, known[num_source + held_rows] @ coefficients[1:])
        return held

    def _unlabelled_mix(self, columns: np.ndarray, rate: float) -> np.ndarray:
        """(3,) equal slopes, and the intercept at which the mean probability is `rate`."""
        logits = PRIOR_SLOPES * columns.sum(axis=1)
        rate = float(np.clip(rate, 0.01, 0.99))
        intercept = brentq(lambda value: expit(value + logits).mean() - rate, -30.0, 30.0)
        return np.array([intercept, PRIOR_SLOPES, PRIOR_SLOPES])
