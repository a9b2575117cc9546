"""Pooled descriptors of a frozen image backbone with a light head: trained in seconds, from a few pictures on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass
from safetensors.numpy import load_file, save_file

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.errors import BadParamsError
from core.images.image import images_of
from core.learners.base import LEARNERS
from core.learners.binary_table import BinaryTableLearner, check_binary
from core.learners.centred_ridge import fit_centred_ridge
from core.learners.descriptor_heads import (
    RIDGE_STRENGTHS,
    balance_classes,
    fit_cosine_scores,
    fit_ridge_scores,
    fit_scores_as_logits,
    spread_soft_labels,
)
from core.learners.descriptor_map import DescriptorMap
from core.learners.descriptor_options import DescriptorOptions
from core.learners.inner_folds import inner_folds
from core.learners.strength_choice import choose_strength
from core.params import STRICT

LINEAR_STRENGTHS = (30000.0, 10000.0, 3000.0, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0)  # hundreds of columns
KERNEL_STRENGTHS = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
CENTRED_FACTOR = 30.0  # a good centre may hardly need to move
FEW_LABELS_STRENGTH = {"logistic": 1000.0, "rbf": 0.3, "ridge": 1000.0, "cosine": 0.0}
STATE, ARRAYS = "image_probe.json", "image_probe.safetensors"


@dataclass(frozen=True, config=STRICT)
class ImageProbeOptions(DescriptorOptions):
    """backbone: `efficientnet_lite0`, a checkpoint file or folder with backbone_sha256 and model, or a hub id.

    scratch_seed: random weights from that seed (a baseline). precision: see `choose_engine`.
    head: `logistic`; `rbf` (kernel logistic regression, exact up to max_landmarks rows); `ridge` and `cosine` (scores,
    brought to log-odds by held-out rows). strength: L2 penalty, `auto` by inner folds of whole groups on `select_by`.
    kernel_width: of `rbf`, its exponent at the median squared distance (larger: more local).
    use_soft_labels: learn from graded labels. class_weight: `balanced` tilts the probabilities towards the rarer class.
    num_components: whiten to so many principal components. normalise: `group` standardises each group (a line, a lot)
    of at least min_group_rows rows by its own pictures, labels unread; a row's score then depends on the rows of its
    group that are scored with it, and a smaller group gets the training set's scale.
    """

    backbone: str = "efficientnet_lite0"
    backbone_sha256: str = ""
    model: str = ""
    scratch_seed: int | None = None
    precision: Literal["auto", "fp32", "channels_last", "fused", "bf16"] = "auto"
    head: Literal["logistic", "ridge", "cosine", "rbf"] = "rbf"
    strength: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    select_by: Literal["log_loss", "auc"] = "log_loss"
    kernel_width: float = Field(default=0.5, gt=0)
    max_landmarks: int = Field(default=4000, ge=10)
    use_soft_labels: bool = False
    class_weight: Literal["none", "balanced"] = "none"
    normalise: Literal["none", "group"] = "none"
    min_group_rows: int = Field(default=20, ge=2)
    num_components: int | None = Field(default=None, ge=1)
    num_folds: int = Field(default=5, ge=2)
    large_num_rows: int = Field(default=1500, ge=100)  # from here on, one inner fold decides instead of all


@LEARNERS.register("image_probe")
class ImageProbe(BinaryTableLearner):
    """Fitted state: `backbone_`, `precision_`, `map_`, `coefficients_` (of `map_.base`), `strength_`."""

    Options = ImageProbeOptions
    needs_torch = True

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit on the labelled rows; `valid` is not read.

        Raises:
            BadParamsError: no labelled row, not two classes, or no image column.
            MissingArtifactError, OfflineError, VerificationError: the backbone is not there or not what it claims.
        """
        labelled = check_binary(train)
        self._load_backbone(labelled)
        is_learned = train.is_labelled & (train.weights > 0)
        if not self._min_group_rows:
            train, is_learned = labelled, np.ones(len(labelled), dtype=bool)
        descriptors = self.describe(train)  # unlabelled rows, too, tell a group's mean and deviation
        self._fit_map(descriptors, train.groups)
        places = self.map_.place(descriptors, train.groups)[is_learned]
        self._add_kernel(places)
        return self._fit_head(labelled, places, centre=None)

    def fit_prior(self, source: Samples, target: Samples) -> Self:
        """Fit on the source's labels, with descriptors scaled by the target's rows (labels unread).

        The kernel's landmarks are rows of both, so that the target can move the function where it lies.

        Raises:
            BadParamsError: no labelled source row, not two classes, or a head that cannot continue.
        """
        self._check_continuable()
        labelled = check_binary(source)
        self._load_backbone(labelled)
        sides = [(self.describe(side), side.groups) for side in ((target, labelled) if len(target) else (labelled,))]
        self._fit_map(*sides[0])
        places = [self.map_.place(*side) for side in sides]
        self._add_kernel(np.concatenate(places))
        return self._fit_head(labelled, places[-1], centre=None)

    def continue_on(self, target: Samples, valid: Samples | None = None) -> Self:
        """A new learner, fitted on the target with its L2 penalty centred at this learner's function.

        Raises:
            BadParamsError: no labelled target row, not two classes, or a head that cannot continue.
        """
        self._check_continuable()
        grown = type(self)(self.options, seed=self.seed)
        grown.backbone_, grown.precision_, grown.map_ = self.backbone_, self.precision_, self.map_
        labelled = check_binary(target)
        places = self.map_.place(grown.describe(labelled), labelled.groups)
        return grown._fit_head(labelled, places, centre=self.map_.to_design(self.coefficients_))

    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) log-odds of class 1."""
        base = self.map_.base(self.map_.place(self.describe(samples), samples.groups))
        return self.coefficients_[0] + base @ self.coefficients_[1:]

    def contributions(self, samples: Samples) -> pd.DataFrame:
        """(N, 1) distance of the log-odds from the training mean; where in the picture, heat maps tell."""
        name = samples.schema.names("image")[0]
        return pd.DataFrame({name: self.predict_logits(samples) - self.typical_logit_})

    def describe(self, samples: Samples) -> np.ndarray:
        """(N, P) float32 descriptors, cached; `image_descriptors.descriptor_columns` tells what each column is."""
        from core.learners.image_descriptors import describe

        return describe(images_of(samples), self.backbone_, self.options, precision=self.precision_)

    def descriptor_slopes(self, samples: Samples) -> np.ndarray:
        """(N, P) derivative of the log-odds by each descriptor at each row, for heat maps.

        Raises:
            NotImplementedError: the cosine head, whose rows are brought to length one.
        """
        if self.options.head == "cosine":
            raise NotImplementedError("the cosine head has no slopes by descriptor")
        return self.map_.slopes(self.describe(samples), samples.groups, self.coefficients_)

    def save_state(self, folder: Path) -> None:
        """Write image_probe.json, image_probe.safetensors, and where the backbone is found again."""
        write_json(
            folder / STATE,
            {
                "precision": self.precision_,
                "gamma": self.map_.gamma,
                "strength": self.strength_,
                "typical_logit": self.typical_logit_,
            },
        )
        arrays = {**self.map_.arrays, "coefficients": self.coefficients_}
        save_file({name: np.ascontiguousarray(values) for name, values in arrays.items()}, folder / ARRAYS)
        self.backbone_.save_reference(folder)

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote.

        Raises:
            MissingArtifactError, OfflineError, VerificationError: the backbone cannot be found again, or is another.
        """
        from core.backbones.image import ImageBackbone

        state, arrays = read_json(folder / STATE), load_file(folder / ARRAYS)
        self.precision_, self.strength_ = state["precision"], state["strength"]
        self.typical_logit_, self.coefficients_ = state["typical_logit"], arrays.pop("coefficients")
        self.map_ = DescriptorMap(arrays, self._min_group_rows, self.options.head == "cosine", state["gamma"])
        self.backbone_ = ImageBackbone.load_reference(folder)

    @property
    def _min_group_rows(self) -> int:
        return self.options.min_group_rows if self.options.normalise == "group" else 0

    def _load_backbone(self, samples: Samples) -> None:
        """The backbone, and the precision in which it is run from now on."""
        from core.backbones.engine import choose_engine
        from core.backbones.image import shared_backbone

        told = self.options
        self.backbone_ = shared_backbone(told.backbone, told.backbone_sha256, told.model, told.scratch_seed)
        size_px = images_of(samples.take([0]))[0].pixels.shape[0] // told.num_tiles
        self.precision_ = choose_engine(self.backbone_, max(size_px, 1), precision=told.precision).precision

    def _check_continuable(self) -> None:
        if self.options.head not in ("logistic", "rbf"):
            raise BadParamsError(
                f"Head '{self.options.head}' cannot be trained on from a source model.",
                repair="Choose head 'logistic' or 'rbf', or another transfer.",
            )

    def _fit_map(self, descriptors: np.ndarray, groups: np.ndarray) -> None:
        """Scale and components, labels unread."""
        self.map_ = DescriptorMap.fit(
            descriptors,
            groups,
            num_components=self.options.num_components,
            min_group_rows=self._min_group_rows,
            has_unit_length=self.options.head == "cosine",
        )

    def _add_kernel(self, places: np.ndarray) -> None:
        """The landmarks of the `rbf` head."""
        if self.options.head == "rbf":
            width, max_landmarks = self.options.kernel_width, self.options.max_landmarks
            self.map_.add_kernel(places, width=width, max_landmarks=max_landmarks, seed=self.seed)

    def _fit_head(self, labelled: Samples, places: np.ndarray, *, centre: np.ndarray | None) -> Self:
        """Coefficients of the log-odds from the labelled rows."""
        options = self.options
        rows, samples = (
            spread_soft_labels(labelled) if options.use_soft_labels else (np.arange(len(labelled)), labelled)
        )
        if options.class_weight == "balanced":
            samples = balance_classes(samples)
        of_rows = self.map_.design(places)
        design = of_rows[rows]
        if options.head in ("ridge", "cosine"):
            coefficients, self.strength_ = self._fit_scores(design, samples)
        else:
            self.strength_ = self._choose_strength(design, samples, centre)
            coefficients = fit_centred_ridge(design, samples.targets, samples.weights, self.strength_, centre=centre)
        logits = coefficients[0] + of_rows @ coefficients[1:]
        self.typical_logit_ = float(np.average(logits, weights=labelled.weights))
        self.coefficients_ = self.map_.to_base(coefficients)
        return self

    def _fit_scores(self, design: np.ndarray, samples: Samples) -> tuple[np.ndarray, float]:
        """Ridge or cosine scores as log-odds, and the strength."""
        options, strengths = self.options, (0.0,)
        if options.head == "ridge":
            strengths = RIDGE_STRENGTHS if options.strength == "auto" else (float(options.strength),)
            if len(strengths) > 1 and not inner_folds(samples, options.num_folds, seed=self.seed):
                strengths = (FEW_LABELS_STRENGTH["ridge"],)
        fit = fit_ridge_scores if options.head == "ridge" else lambda x, y, w, _: fit_cosine_scores(x, y, w)
        return fit_scores_as_logits(design, samples, fit, strengths, num_folds=options.num_folds, seed=self.seed)

    def _choose_strength(self, design: np.ndarray, samples: Samples, centre: np.ndarray | None) -> float:
        """The L2 penalty as told, or by inner folds."""
        options = self.options
        if options.strength != "auto":
            return float(options.strength)
        if not inner_folds(samples, options.num_folds, seed=self.seed):
            return FEW_LABELS_STRENGTH[options.head] * (1.0 if centre is None else CENTRED_FACTOR)
        strengths = KERNEL_STRENGTHS if options.head == "rbf" else LINEAR_STRENGTHS
        if centre is not None:
            strengths = (CENTRED_FACTOR * strengths[0], CENTRED_FACTOR / 3 * strengths[0], *strengths)
        return choose_strength(
            design,
            samples,
            num_folds=options.num_folds,
            large_num_rows=options.large_num_rows,
            select_by=options.select_by,
            seed=self.seed,
            centre=centre,
            strengths=strengths,
        )
