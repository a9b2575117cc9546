"""Step 3: the challenger, by the pipeline from scratch on all deliveries, or the champion with its map fitted anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.data.manifest import LEARNED_SPLITS
from core.learners.learned_groups import LearnedGroups
from core.learners.scoring_model import ScoringModel
from core.lifecycle.pipeline import reproduce
from core.lifecycle.registry import folder_digest
from core.lifecycle.retrain.prepared_rows import TargetRows, fit_to
from core.lifecycle.retrain.retrain_params import RetrainParams
from core.params import VerticalParams
from core.stages.train import MIN_CALIBRATION_ROWS, calibrate
from core.transfers import TRANSFERS
from core.vertical import Vertical

NONE, PIPELINE, RECALIBRATED, LABELS_NEEDED = "none", "pipeline", "recalibrated", "labels needed"


def kind_of_training(
    action: str | None, params: RetrainParams, *, num_new_labels: int, learns_unlabelled: bool
) -> tuple[str, str]:
    """(what is trained, why). action: of the monitor; None where there is no champion yet.

    LABELS_NEEDED: something should be done, and the same training on the same labels would do nothing.
    """
    if action is None:
        return PIPELINE, "There is no champion yet."
    if not num_new_labels and not learns_unlabelled and action != "no_action":
        return LABELS_NEEDED, "No label has come since the champion, and the transfer learns nothing without."
    if params.when == "always" and action in ("no_action", "recalibrate"):
        return PIPELINE, "retrain.when is 'always'."
    if action == "no_action":
        return NONE, "The monitor asks for nothing."
    if action == "recalibrate":
        return RECALIBRATED, "The order of the scores holds; their map to probabilities does not."
    if action == "adapt":
        return PIPELINE, "The inputs drifted and labels are lacking: the transfer sees the new rows unlabelled."
    return PIPELINE, "The monitor asks for it."


def learns_unlabelled(params: VerticalParams) -> bool:
    """Whether rows without a label change what the transfer fits; of `auto`, whether a candidate's do."""
    names = params.train.candidates if params.train.transfer == "auto" else (params.train.transfer,)
    return any(TRANSFERS[name].learns_unlabelled for name in names if name in TRANSFERS)


def train_challenger(
    kind: str,
    *,
    vertical: Vertical,
    params: VerticalParams,
    root: Path,
    champion: ScoringModel | None,
    read_rows: Callable[[], TargetRows],
    own_folder: Path,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Where the challenger is, relative to `root`, and how it came about; a folder that is not there for NONE.

    The pipeline learns from every delivery that is not held, so what earlier ones taught is rehearsed. Where the labels
    are too few to fit the champion's map anew, the pipeline runs instead.

    Raises:
        CrossdomainError: the pipeline fails.
    """
    started = time.perf_counter()
    folder = None
    if kind == RECALIBRATED and champion is not None:
        recalibrated = recalibrate(champion, read_rows(), vertical, params)
        kind = RECALIBRATED if recalibrated is not None else PIPELINE
        if recalibrated is not None:
            folder = own_folder / "model"
            recalibrated.save(folder)
    if kind == PIPELINE:
        reproduce(vertical.name, root, report=report)
        folder = root / "artifacts" / vertical.name / "train" / "model"
    return {
        "kind": kind,
        "fit_seconds": round(time.perf_counter() - started, 1),
        "model": folder.relative_to(root).as_posix() if folder is not None else None,
        "model_digest": folder_digest(folder) if folder is not None else None,
    }


def recalibrate(
    champion: ScoringModel, rows: TargetRows, vertical: Vertical, params: VerticalParams
) -> ScoringModel | None:
    """The champion with calibration, threshold and conformal sets of labelled rows that it did not learn from.

    Those of training and validation alone: test and regression rows judge it afterwards. None where they are too few.
    """
    if champion.learned is None or champion.learner.is_one_class:
        return None
    is_open = rows.manifest["split"].isin(LEARNED_SPLITS).to_numpy()
    is_new = rows.samples.is_labelled & ~champion.learned.contains(rows.samples.groups)
    tuning = rows.take(is_open & is_new)
    known = tuning.targets
    if len(tuning) < MIN_CALIBRATION_ROWS or len(np.unique(known)) < 2:
        return None
    fitted = calibrate(champion.learner, fit_to(champion, tuning.samples), vertical, params, seed=params.train.seed)
    return replace(
        champion,
        calibrator=fitted.calibrator,
        band=fitted.band,
        threshold=fitted.threshold,
        conformal=fitted.conformal,
        learned=champion.learned.union(LearnedGroups.of(tuning.samples.groups)),
        provenance={**champion.provenance, "recalibrated_on": len(tuning)},
    )
