"""A small scoring model for pictures with planted blobs, saved and loaded as the train stage does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from image_samples import image_samples

from core.data.domain import ColumnSpec, DomainSpec
from core.data.samples import Samples
from core.evaluation.calibration import CALIBRATORS
from core.evaluation.calibration_band import CalibrationBand
from core.evaluation.conformal import ConformalSets
from core.images.image import images_of
from core.images.spec import ImageSpec
from core.learners import LEARNERS
from core.learners.kind_model import KindModel
from core.learners.scoring_model import ScoringModel

SIZE_PX = 32
SPEC = DomainSpec(
    name="line_a",
    vertical="defect_detection",
    columns=(
        ColumnSpec("image", kind="image", image=ImageSpec(size_px=SIZE_PX, colour="grey", fit="squash")),
        ColumnSpec("label", use="label"),
    ),
    positive=("bright", "dark"),
    negative=("good",),
)
TINY = {"model": "test_efficientnet", "scratch_seed": 0, "stages": (1, 2), "precision": "fp32"}


def blob_samples(num: int = 60, *, seed: int = 0) -> tuple[Samples, np.ndarray]:
    """Samples with the kinds `bright`, `dark` and `good`, and the masks of the blobs."""
    samples, masks = image_samples(num, size=SIZE_PX, seed=seed)
    kinds = np.full(num, "good", dtype=object)
    for row, image in enumerate(images_of(samples)):
        if masks[row].any():
            inside = image.pixels[:, :, 0][masks[row]].mean()
            kinds[row] = "bright" if inside > image.pixels[:, :, 0][~masks[row]].mean() else "dark"
    return replace(samples, kinds=kinds), masks


def fit_learner(name: str = "image_probe", options: dict | None = None, *, num: int = 60):
    """A learner of a tiny backbone with random weights, fitted on blobs."""
    chosen = options if options is not None else {**TINY, "head": "logistic", "strength": 1.0}
    return LEARNERS[name](chosen, seed=0).fit(blob_samples(num, seed=1)[0])


def make_defect_model(
    name: str = "image_probe", options: dict | None = None, *, has_kinds: bool = True, error_rate: float = 0.1
) -> ScoringModel:
    """Fitted, calibrated on other blobs."""
    train, (valid, _) = blob_samples(60, seed=1)[0], blob_samples(60, seed=2)
    learner = fit_learner(name, options)
    raw = learner.predict_probability(valid)
    calibrator = CALIBRATORS["platt"]().fit(raw, valid.targets)
    band = CalibrationBand.fit(
        CALIBRATORS["platt"], raw, valid.targets, positive_index=1, confidence=0.95, seed=0, num_refits=10
    )
    model = ScoringModel(
        learner=learner,
        calibrator=calibrator,
        band=band,
        threshold=0.4,
        schema=train.schema,
        classes=("good", "defective"),
        positive_class="defective",
        conformal=ConformalSets.fit(calibrator.transform(raw), valid.targets, error_rate=error_rate),
        kinds=KindModel.fit(lambda: fit_unfitted(name, options), train) if has_kinds else None,
    )
    return model.with_context(spec=SPEC, train=train, options={}, provenance={"versions": {"x": "1"}})


def fit_unfitted(name: str, options: dict | None):
    """The same learner, not fitted yet."""
    chosen = options if options is not None else {**TINY, "head": "logistic", "strength": 1.0}
    return LEARNERS[name](chosen, seed=0)
