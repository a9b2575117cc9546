"""Super learner: a blend of other learners' log-odds, weighted by what they do out of fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass
from sklearn.metrics import roc_auc_score

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.errors import BadParamsError
from core.explain.occlusion import occlusion_contributions
from core.explain.typical_values import typical_values
from core.learners.additive_stacking import fit_stacking
from core.learners.base import LEARNERS, Learner, load_learner, save_learner
from core.learners.binary_table import BinaryTableLearner, check_binary, logits_of
from core.learners.blend_weights import fit_convex_weights, fit_part_map
from core.learners.held_out_loss import mean_log_loss
from core.learners.inner_folds import inner_folds
from core.learners.part_histories import part_histories
from core.params import STRICT


@dataclass(frozen=True, config=STRICT)
class BlendPart:
    """One part: a registered learner and its options."""

    learner: str
    options: Mapping[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class BlendOptions:
    """parts: what is blended. num_folds x num_repeats: the held-out scores that the weights are fitted on.

    combination: `convex` weights sum to one, as suits parts that tell the same; `additive` ones are free but not
    negative, with an intercept, as suits parts that each know something of their own (a table and a text).
    prior_weights: what the weights are drawn to, one a part (none: equal ones that sum to one), with prior_strength
    rows' worth of curvature. use_part_maps: put the parts on one scale (offset and slope, out of fold) first; additive
    weights are such a scale already. use_equal_weights: the prior weights as they are, none is fitted.
    """

    parts: tuple[BlendPart, ...] = (
        BlendPart("boosted_trees"),
        BlendPart("kernel_logistic"),
        BlendPart("logistic_regression", {"numbers": "spline", "ordered": "one_hot"}),
    )
    num_folds: int = Field(default=5, ge=2)
    num_repeats: int = Field(default=1, ge=1)
    combination: Literal["convex", "additive"] = "convex"
    prior_weights: tuple[float, ...] = ()
    prior_strength: float = Field(default=10.0, ge=0)
    use_part_maps: bool = True
    use_equal_weights: bool = False


@LEARNERS.register("blend")
class Blend(BinaryTableLearner):
    """Fitted state: `parts_`, `mix_` (K,), `offsets_` and `slopes_` (K,), `intercept_`, `selection_` (a row a part),
    `typical_` (feature -> typical value; None where the parts were fitted elsewhere).
    """

    Options = BlendOptions

    @classmethod
    def of_fitted(
        cls,
        parts: Sequence[Learner],
        mix: np.ndarray,
        *,
        offsets: np.ndarray | None = None,
        slopes: np.ndarray | None = None,
        selection: Sequence[Mapping[str, Any]] = (),
        seed: int = 0,
    ) -> Self:
        """A blend of learners that are fitted already; mix: (K,) weights that sum to one."""
        told = tuple(BlendPart(LEARNERS.name_of(type(part)), asdict(part.options)) for part in parts)
        blend = cls(BlendOptions(parts=told), seed=seed)
        blend._set_parts(parts, mix, offsets, slopes)
        blend.selection_ = [dict(row) for row in selection]
        return blend

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit the weights on out-of-fold log-odds, then each part on all rows; `valid` is not read.

        Too few labels to hold any out: the prior weights.

        Raises:
            BadParamsError: no part, an unknown part, no labelled row, or not two classes; or bad prior weights.
        """
        prior = self._prior_weights()
        labelled = check_binary(train)
        self._make_parts()  # an unknown part or option stops before any work
        num_parts = len(prior)
        mix, offsets, slopes, intercept = prior, np.zeros(num_parts), np.ones(num_parts), 0.0
        use_maps = self.options.use_part_maps and self.options.combination == "convex"
        needs_folds = num_parts > 1 and (use_maps or not self.options.use_equal_weights)
        self.selection_ = []
        held_logits, held_rows = self._out_of_fold_logits(labelled) if needs_folds else (None, [])
        if len(held_rows):
            targets, weights = labelled.targets[held_rows], labelled.weights[held_rows]
            weights = weights / self.options.num_repeats
            if use_maps:
                maps = [fit_part_map(held_logits[:, part], targets, weights) for part in range(num_parts)]
                offsets, slopes = np.array(maps).T
            mapped = offsets + slopes * held_logits
            if not self.options.use_equal_weights:
                intercept, mix = self._fit_weights(mapped, targets, weights, prior)
            self.selection_ = self._describe(mapped, targets, weights, intercept, mix)
        self._set_parts([part.fit(labelled) for part in self._make_parts()], mix, offsets, slopes, intercept)
        self.typical_ = typical_values(labelled.inputs, labelled.schema)
        return self

    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) intercept and weighted sum of the parts' mapped log-odds; parts of weight 0 are not asked."""
        total = np.full(len(samples), self.intercept_)
        for part, weight, offset, slope in self._active_parts():
            total = total + weight * (offset + slope * logits_of(part, samples))
        return total

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, F) weighted sum of the parts' contributions, in the order of the schema.

        A part that cannot explain itself is asked what each column changes when it is set to its typical value.

        Raises:
            NotImplementedError: a part cannot explain itself, and the parts were fitted elsewhere.
        """
        told = [
            (self._part_contributions(part, samples), weight * slope) for part, weight, _, slope in self._active_parts()
        ]
        names = [name for name in samples.schema.names() if any(name in values for values, _ in told)]
        total = np.zeros((len(samples), len(names)))
        for values, scale in told:
            for position, name in enumerate(values.columns):
                if name in names:
                    total[:, names.index(name)] += scale * values.iloc[:, position].to_numpy()
        return pd.DataFrame(total, columns=names)

    def save_state(self, folder: Path) -> None:
        """Write blend.json and each part in part_<k>/."""
        for position, part in enumerate(self.parts_):
            save_learner(part, folder / f"part_{position}")
        write_json(
            folder / "blend.json",
            {
                "mix": self.mix_,
                "offsets": self.offsets_,
                "slopes": self.slopes_,
                "intercept": self.intercept_,
                "selection": self.selection_,
                "typical": self.typical_,
            },
        )

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote."""
        state: dict[str, Any] = read_json(folder / "blend.json")
        parts = [load_learner(folder / f"part_{position}") for position in range(len(state["mix"]))]
        self._set_parts(parts, state["mix"], state["offsets"], state["slopes"], state["intercept"])
        self.selection_ = state["selection"]
        self.typical_ = state["typical"]

    def _make_parts(self) -> list[Learner]:
        return [LEARNERS[part.learner](part.options, seed=self.seed) for part in self.options.parts]

    def _prior_weights(self) -> np.ndarray:
        """(K,) what the weights are drawn to.

        Raises:
            BadParamsError: no part; not one weight a part, a negative one, or convex ones that do not sum to one.
        """
        num_parts, told = len(self.options.parts), self.options.prior_weights
        if not num_parts:
            raise BadParamsError("A blend needs at least one part.", repair="List learners under parts.")
        if not told:
            return np.full(num_parts, 1.0 / num_parts)
        is_convex = self.options.combination == "convex"
        if len(told) != num_parts or min(told) < 0 or (is_convex and not np.isclose(sum(told), 1.0)):
            raise BadParamsError(
                f"prior_weights {list(told)} for {num_parts} parts.",
                repair="Give one weight of at least 0 a part; those of a convex blend sum to 1.",
            )
        return np.array(told, dtype=float)

    def _fit_weights(
        self, mapped: np.ndarray, targets: np.ndarray, weights: np.ndarray, prior: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Intercept and (K,) weights of the chosen combination."""
        told = {"prior": prior, "prior_strength": self.options.prior_strength}
        if self.options.combination == "convex":
            return 0.0, fit_convex_weights(mapped, targets, weights, **told)
        coefficients = fit_stacking(mapped, targets, weights, **told)
        return float(coefficients[0]), coefficients[1:]

    def _set_parts(
        self, parts: Sequence[Learner], mix: Any, offsets: Any = None, slopes: Any = None, intercept: float = 0.0
    ) -> None:
        self.parts_ = list(parts)
        self.typical_: dict[str, float | str | None] | None = None
        self.intercept_ = float(intercept)
        self.mix_ = np.array(mix, dtype=float)
        self.offsets_ = np.zeros(len(parts)) if offsets is None else np.array(offsets, dtype=float)
        self.slopes_ = np.ones(len(parts)) if slopes is None else np.array(slopes, dtype=float)

    def _part_contributions(self, part: Learner, samples: Samples) -> pd.DataFrame:
        """(N, F) of one part."""
        try:
            return part.contributions(samples)
        except NotImplementedError:
            if self.typical_ is None:
                raise
            return occlusion_contributions(part, samples, self.typical_)

    @property
    def history_(self) -> list[dict[str, Any]]:
        """The parts' learning curves; `part` is their position and name."""
        return part_histories({f"{k}_{LEARNERS.name_of(type(part))}": part for k, part in enumerate(self.parts_)})

    def _active_parts(self) -> list[tuple[Learner, float, float, float]]:
        rows = zip(self.parts_, self.mix_, self.offsets_, self.slopes_, strict=True)
        return [row for row in rows if row[1] > 0]

    def _out_of_fold_logits(self, labelled: Samples) -> tuple[np.ndarray, np.ndarray]:
        """(R, K) held-out log-odds and the (R,) rows they belong to, all repeats one below the other."""
        logits, rows = [], []
        for repeat in range(self.options.num_repeats):
            for fit_rows, held_rows in inner_folds(labelled, self.options.num_folds, seed=self.seed + repeat):
                fit_part, held_part = labelled.take(fit_rows), labelled.take(held_rows)
                fitted = [part.fit(fit_part) for part in self._make_parts()]
                logits.append(np.column_stack([logits_of(part, held_part) for part in fitted]))
                rows.append(held_rows)
        if not rows:
            return np.zeros((0, len(self.options.parts))), np.zeros(0, dtype=int)
        return np.concatenate(logits), np.concatenate(rows)

    def _describe(
        self, mapped: np.ndarray, targets: np.ndarray, weights: np.ndarray, intercept: float, mix: np.ndarray
    ) -> list[dict[str, Any]]:
        """One row a part, and one for the blend, with out-of-fold log loss and AUC."""
        names = [part.learner for part in self.options.parts]
        columns = [*((names[k], mapped[:, k], float(mix[k])) for k in range(len(names)))]
        columns.append(("blend", intercept + mapped @ mix, 1.0))
        return [
            {
                "part": name,
                "weight": weight,
                "log_loss": mean_log_loss(logits, targets, weights),
                "auc": float(roc_auc_score(targets, logits, sample_weight=weights)),
            }
            for name, logits, weight in columns
        ]
