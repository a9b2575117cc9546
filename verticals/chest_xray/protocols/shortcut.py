"""What a model of a hospital's radiographs may be reading that is not the lung: named, and measured with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image as Picture
from sklearn.model_selection import StratifiedGroupKFold

from core.data.samples import Samples
from core.evaluation.intervals import bootstrap_interval
from core.evaluation.metrics import METRICS
from core.images.acquisition_cues import CUES, acquisition_cues
from core.images.image import Image, images_of
from core.learners.base import Learner
from core.learners.binary_table import logits_of
from core.learners.centred_ridge import fit_centred_ridge
from verticals.chest_xray.protocols.recipes import two_columns

NUM_FOLDS = 5
STRENGTH = 10.0
COARSE_PX = 28
BORDER_FRACTION = 0.11  # of the side, kept at each edge


def figure_of(targets: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """{auc, low, high, rows, positives}; 95 %, bootstrap over whole groups. AUC None where a class is missing."""
    counts = {"rows": len(targets), "positives": int(targets.sum())}
    if len(np.unique(targets)) < 2:
        return {"auc": None, "low": None, "high": None, **counts}
    scale = max(float(np.abs(scores).max()), 1e-9)  # a rank is all that counts; the logistic must not saturate
    told = bootstrap_interval(METRICS["auc"], targets, two_columns(5 * scores / scale), 1, groups=groups.astype(str))
    return {"auc": told.value, "low": told.low, "high": told.high, **counts}


def metadata_figures(samples: Samples, columns: pd.DataFrame) -> dict[str, Any]:
    """AUC of the label by what the list tells: view, age, sex, the patient's number, the number of the follow-up."""
    file = columns["file"].astype(str)
    found: dict[str, pd.Series] = {
        "patient_number": pd.Series(samples.groups.astype(str)).str.extract(r"(\d+)$")[0].astype(float),
        "follow_up_number": file.str.extract(r"_(\d+)\.\w+$")[0].astype(float),
    }
    if "view" in columns:
        found["view_is_pa"] = (columns["view"] == "PA").astype(float)
    if "sex" in columns:
        found["sex_is_male"] = (columns["sex"] == "M").astype(float)
    if "age" in columns:
        found["age"] = columns["age"].astype(float)
    told = {}
    for name, values in found.items():
        known = values.notna().to_numpy()
        if known.sum() > 1:
            targets = samples.targets[known]
            told[name] = figure_of(targets, values.to_numpy(dtype=float)[known], samples.groups[known])
    return told


def cue_figures(source: Samples, target: Samples) -> dict[str, Any]:
    """AUC of the label by each cue of acquisition, by all together (cross-fitted), and by the source's use of them."""
    cues = {"source": acquisition_cues(images_of(source)), "target": acquisition_cues(images_of(target))}
    sides = {"source": source, "target": target}
    told: dict[str, Any] = {
        side: {name: figure_of(sides[side].targets, values[:, k], sides[side].groups) for k, name in enumerate(CUES)}
        | {"all_together": figure_of(sides[side].targets, _cross_fitted_cues(values, sides[side]), sides[side].groups)}
        for side, values in cues.items()
    }
    scored = _fit_cues(cues["source"], source.targets)(cues["target"])
    told["fitted_on_source_read_on_target"] = figure_of(target.targets, scored, target.groups)
    return told


def control_figures(
    samples: Samples, columns: pd.DataFrame, make: Callable[[], Learner], report: Callable[[str], None]
) -> dict[str, Any]:
    """AUC within the hospital of a model that sees all, or the picture with something taken away; strata of the first.

    Scores are out of fold, patients whole.
    """
    told: dict[str, Any] = {}
    for name, change in CONTROLS.items():
        scores = cross_fitted(_changed(samples, change), make)
        told[name] = figure_of(samples.targets, scores, samples.groups)
        report(f"control {name}: AUC {told[name]['auc']:.3f}")
        if name == "as_it_is":
            told["strata_of_as_it_is"] = _strata(samples, columns, scores)
    return told


def cross_fitted(samples: Samples, make: Callable[[], Learner], *, seed: int = 0) -> np.ndarray:
    """(N,) log-odds, each row scored by a learner that saw nothing of its group."""
    scores = np.zeros(len(samples))
    folds = StratifiedGroupKFold(NUM_FOLDS, shuffle=True, random_state=seed)
    for fit, held in folds.split(scores, samples.targets, samples.groups.astype(str)):
        scores[held] = logits_of(make().fit(samples.take(fit)), samples.take(held))
    return scores


def _strata(samples: Samples, columns: pd.DataFrame, scores: np.ndarray) -> dict[str, Any]:
    """One view at a time, and only patients numbered as the normal ones are."""
    targets, told = samples.targets, {}
    if "view" in columns:
        for view in sorted(columns["view"].dropna().unique()):
            rows = (columns["view"] == view).to_numpy()
            told[f"view {view}"] = figure_of(targets[rows], scores[rows], samples.groups[rows])
    number = pd.Series(samples.groups.astype(str)).str.extract(r"(\d+)$")[0].astype(float).to_numpy()
    if not np.isnan(number).any():
        rows = number <= number[targets == 0].max()
        told["patients_numbered_as_the_normal_ones"] = figure_of(targets[rows], scores[rows], samples.groups[rows])
    return told


def _changed(samples: Samples, change: Callable[[np.ndarray], np.ndarray]) -> Samples:
    """The samples with other pictures."""
    name = samples.schema.names("image")[0]
    images = [Image.of_pixels(np.ascontiguousarray(change(i.pixels[..., 0]))) for i in images_of(samples)]
    return samples.with_inputs(samples.inputs.assign(**{name: pd.Series(images, dtype=object)}), samples.schema)


def only_border(grey: np.ndarray) -> np.ndarray:
    """The middle, with both lungs, becomes one grey."""
    margin = round(BORDER_FRACTION * len(grey))
    changed = grey.copy()
    changed[margin:-margin, margin:-margin] = np.median(grey)
    return changed


def coarse(grey: np.ndarray) -> np.ndarray:
    """Nothing finer than an eighth of a 224-px picture: no grain, no fine vessels."""
    small = Picture.fromarray(grey).resize((COARSE_PX, COARSE_PX), Picture.Resampling.BOX)
    return np.asarray(small.resize(grey.shape[::-1], Picture.Resampling.BICUBIC))


def equalised(grey: np.ndarray) -> np.ndarray:
    """Every grey value as frequent as any other: no brightness, no contrast."""
    share = np.cumsum(np.bincount(grey.ravel(), minlength=256))
    return (255 * share / share[-1])[grey].astype(np.uint8)


def only_centre(grey: np.ndarray) -> np.ndarray:
    """The lungs' part of the picture alone, enlarged."""
    top, bottom, left, right = (round(part * len(grey)) for part in (0.18, 0.82, 0.15, 0.85))
    inner = Picture.fromarray(np.ascontiguousarray(grey[top:bottom, left:right]))
    return np.asarray(inner.resize(grey.shape[::-1], Picture.Resampling.BICUBIC))


CONTROLS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "as_it_is": lambda grey: grey,
    "only_border": only_border,
    "coarse": coarse,
    "equalised": equalised,
    "only_centre": only_centre,
}


def _fit_cues(cues: np.ndarray, targets: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A ridge logistic regression on standardised cues, as a function of cues."""
    mean, scale = cues.mean(axis=0), np.maximum(cues.std(axis=0), 1e-6)
    found = fit_centred_ridge((cues - mean) / scale, targets, np.ones(len(cues)), STRENGTH)
    return lambda rows: found[0] + (rows - mean) / scale @ found[1:]


def _cross_fitted_cues(cues: np.ndarray, samples: Samples) -> np.ndarray:
    scores = np.zeros(len(cues))
    folds = StratifiedGroupKFold(NUM_FOLDS, shuffle=True, random_state=0)
    for fit, held in folds.split(cues, samples.targets, samples.groups.astype(str)):
        scores[held] = _fit_cues(cues[fit], samples.targets[fit])(cues[held])
    return scores
