"""Several one-class learners as one: their scores in spreads of held-out good parts, joined by log-sum-exp."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from safetensors.numpy import load_file, save_file

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.errors import BadParamsError, VerificationError
from core.images.image import images_of
from core.learners.base import LEARNERS, Learner, load_learner, save_learner
from core.learners.binary_table import BinaryTableLearner
from core.learners.one_class import good_rows
from core.learners.score_fusion import SMALLEST_SPREAD, apply_scale, fit_scale, join_scores, log_sizes
from core.strict import STRICT

STATE, ARRAYS = "one_class_ensemble.json", "one_class_ensemble.safetensors"


@dataclass(frozen=True, config=STRICT)
class EnsemblePart:
    """One part: a registered one-class learner and its options."""

    learner: str
    options: Mapping[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class OneClassEnsembleOptions:
    """parts: what is joined. sharpness: of the log-sum-exp; large, the oddest part decides. quantile: share of held-out
    good pictures that stay below the threshold. use_unlabelled: unlabelled rows count as good ones, for every part.
    use_size_correction: a line in log height and log width is taken from each part's score, fitted on held-out good.
    """

    parts: tuple[EnsemblePart, ...] = (
        EnsemblePart("memory_bank", {"views": "flips"}),
        EnsemblePart("gaussian_features", {}),
    )
    sharpness: float = Field(default=1.5, gt=0.0)
    quantile: float = Field(default=0.95, gt=0.0, lt=1.0)
    use_unlabelled: bool = False
    use_size_correction: bool = False


@LEARNERS.register("one_class_ensemble")
class OneClassEnsemble(BinaryTableLearner):
    """Fitted state: `parts_`, `fusion_` (scale of the parts' scores), `held_parts_` (N, K) and `held_scores_` (N,) of
    the good pictures, `threshold_`, `centre_`, `scale_` of the joined score, `level_` of the maps.
    """

    Options = OneClassEnsembleOptions
    is_one_class: ClassVar[bool] = True
    needs_torch: ClassVar[bool] = True

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit every part on the good rows; rows of defects are not read, and neither is `valid`.

        Raises:
            BadParamsError: no part, a part that is no one-class learner, or fewer than four good pictures.
        """
        options = self.options
        good = good_rows(train, use_unlabelled=options.use_unlabelled)
        if not options.parts:
            raise BadParamsError("one_class_ensemble has no parts.", repair="Name one or more one-class learners.")
        self.parts_ = [self._make_part(part).fit(good) for part in options.parts]
        # Held out by whole groups within each part, in the order of the good rows.
        held = np.column_stack([part.held_scores_ for part in self.parts_])
        sizes = log_sizes(images_of(good))
        self.fusion_ = fit_scale(held, sizes if options.use_size_correction else None)
        self.held_parts_ = apply_scale(held, sizes, self.fusion_)
        joined = join_scores(self.held_parts_, options.sharpness)
        self.centre_, self.scale_ = float(joined.mean()), float(max(joined.std(), SMALLEST_SPREAD))
        self.held_scores_ = (joined - self.centre_) / self.scale_
        self.threshold_ = float(np.quantile(self.held_scores_, options.quantile))
        self.level_ = float(
            np.logaddexp(0.0, np.mean([(p.level_ - p.map_centre_) / p.map_spread_ for p in self.parts_]))
        )
        return self

    def heat_maps(self, samples: Samples) -> np.ndarray:
        """(N, h, w) float32 softplus of the mean of the parts' maps in spreads of good cells, of the largest's size."""
        return self.join_maps([part.heat_maps(samples) for part in self.parts_])

    def image_scores(self, samples: Samples) -> np.ndarray:
        """(N,) in spreads of the held-out good pictures around their mean; above `threshold_` is a defect."""
        return self.join_parts(self.part_scores(samples))

    def part_scores(self, samples: Samples) -> np.ndarray:
        """(N, K) each part's score in spreads of held-out good pictures, freed of size where that is told."""
        return self.fusion_scores(np.column_stack([part.image_scores(samples) for part in self.parts_]), samples)

    def fusion_scores(self, scores: np.ndarray, samples: Samples) -> np.ndarray:
        """(N, K) the parts' own scores (N, K) of the samples on the common scale."""
        return apply_scale(scores, log_sizes(images_of(samples)), self.fusion_)

    def join_parts(self, part_scores: np.ndarray) -> np.ndarray:
        """(N,) the joined score of (N, K) part scores."""
        return (join_scores(part_scores, self.options.sharpness) - self.centre_) / self.scale_

    def join_maps(self, maps: list[np.ndarray]) -> np.ndarray:
        """(N, h, w) of the parts' own maps, in the order of the parts."""
        from core.explain.heat_maps import enlarge

        side = max(one.shape[1] for one in maps)
        standard = [
            enlarge((one - part.map_centre_) / part.map_spread_, side)
            for one, part in zip(maps, self.parts_, strict=True)
        ]
        return np.logaddexp(0.0, np.mean(standard, axis=0)).astype(np.float32)

    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) score - threshold: 0 at the threshold. Monotone, not calibrated: no defect was seen."""
        return self.image_scores(samples) - self.threshold_

    def save_state(self, folder: Path) -> None:
        """Write one_class_ensemble.json and .safetensors, and a folder a part."""
        names = ("threshold_", "centre_", "scale_", "level_")
        write_json(folder / STATE, {"num_parts": len(self.parts_)} | {name: getattr(self, name) for name in names})
        arrays = {**self.fusion_, "held_parts": self.held_parts_, "held_scores": self.held_scores_}
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / ARRAYS)
        for place, part in enumerate(self.parts_):
            save_learner(part, folder / f"part_{place}")

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote.

        Raises:
            VerificationError: a file is missing.
        """
        if not (folder / STATE).exists() or not (folder / ARRAYS).exists():
            raise VerificationError(f"{folder / ARRAYS} is missing.", repair="Run `dvc repro` to train again.")
        state = read_json(folder / STATE)
        self.parts_ = [load_learner(folder / f"part_{place}") for place in range(int(state.pop("num_parts")))]
        for name, value in state.items():
            setattr(self, name, float(value))
        self.fusion_ = load_file(folder / ARRAYS)
        self.held_parts_, self.held_scores_ = self.fusion_.pop("held_parts"), self.fusion_.pop("held_scores")

    def _make_part(self, part: EnsemblePart) -> Learner:
        """An unfitted part that reads the same rows as the ensemble.

        Raises:
            BadParamsError: it is no one-class learner.
        """
        if not LEARNERS[part.learner].is_one_class or LEARNERS[part.learner] is OneClassEnsemble:
            names = [name for name in LEARNERS if LEARNERS[name].is_one_class and name != "one_class_ensemble"]
            raise BadParamsError(
                f"'{part.learner}' cannot be a part of one_class_ensemble.", repair=f"Choose from: {', '.join(names)}."
            )
        told = asdict(part)["options"] | {"use_unlabelled": self.options.use_unlabelled}
        return LEARNERS[part.learner](told, seed=self.seed)
