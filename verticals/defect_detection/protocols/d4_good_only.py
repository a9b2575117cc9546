"""D4, first part: half of the good tile groups are learnt, all else is scored; three choices of groups."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.data.samples import Samples
from core.images.image import images_of
from core.learners import LEARNERS
from verticals.defect_detection.protocols.d4_figures import (
    SeedScores,
    auc_figure,
    auc_replicates,
    inner_maps,
    localisation,
    mean_of,
    rate_figure,
    with_range,
)

QUANTILES = (0.90, 0.95, 0.99)
BANK = {
    "image_fit": "native",
    "use_border_bins": True,
    "coreset": "random",
    "bank_size": 2000,
    "num_neighbours": 3,
    "stages": (7,),
}
CUES = {"image_fit": "native", "direction": "vertical"}
FUSED = {
    "parts": ({"learner": "memory_bank", "options": BANK}, {"learner": "surface_cues", "options": CUES}),
    "use_size_correction": True,
}
# name -> (which size of pictures, learner, options)
SINGLE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gaussian_features": ("squash", "gaussian_features", {}),
    "student_teacher": ("small", "student_teacher", {}),
}
FUSED_NAMES = ("memory_bank", "surface_cues", "memory_bank_size_corrected", "memory_bank_and_surface_cues")


@dataclass
class MethodRuns:
    """What a method gave, seed by seed; thresholds (seed, quantile)."""

    scores: list[SeedScores] = field(default_factory=list)
    thresholds: list[list[float]] = field(default_factory=list)
    places: list[dict[str, float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, rows: np.ndarray, score: np.ndarray, held: np.ndarray) -> None:
        """Scores of the tested rows, and those of held-out good pictures, which set the thresholds."""
        self.thresholds.append([float(np.quantile(held, quantile)) for quantile in QUANTILES])
        self.scores.append(SeedScores(rows, np.asarray(score, dtype=float)))


def train_rows(samples: Samples, seed: int) -> np.ndarray:
    """(N,) bool: the rows of half of the good groups."""
    good = np.unique(np.asarray(samples.groups).astype(str)[samples.labels == 0])
    chosen = np.random.default_rng(seed).permutation(good)[: len(good) // 2]
    return np.isin(np.asarray(samples.groups).astype(str), chosen) & (samples.labels == 0)


def run_good_only(
    by_size: Mapping[str, Samples],
    masks: np.ndarray,
    *,
    seeds: Sequence[int],
    single: Mapping[str, tuple[str, str, Mapping[str, Any]]],
    fused: Mapping[str, Any],
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    """A row of figures for each method.

    by_size: the same rows fitted as `native`, `squash`, `small`. masks: (N, 96, 96) of the pictures themselves.
    """
    samples = by_size["native"]
    runs = {name: MethodRuns() for name in (*single, *FUSED_NAMES)}
    for seed in seeds:
        is_train = train_rows(samples, seed)
        for name, (size, learner, options) in single.items():
            started = time.perf_counter()
            fitted = LEARNERS[learner](options, seed=seed).fit(by_size[size].take(is_train))
            test = by_size[size].take(~is_train)
            maps, score = fitted.maps_and_scores(test)
            runs[name].seconds.append(time.perf_counter() - started)
            runs[name].add(np.flatnonzero(~is_train), score, fitted.held_scores_)
            runs[name].places.append(localisation(inner_maps(maps, images_of(test), "squash"), masks[~is_train]))
            report(f"good only, seed {seed}: {name} ({runs[name].seconds[-1]:.0f} s)")
        _run_fused(runs, samples, masks, is_train, fused, seed)
        report(f"good only, seed {seed}: bank and cues ({runs[FUSED_NAMES[-1]].seconds[-1]:.0f} s)")
    return [describe(name, found, samples, reference=runs["surface_cues"]) for name, found in runs.items()]


def _run_fused(
    runs: Mapping[str, MethodRuns],
    samples: Samples,
    masks: np.ndarray,
    is_train: np.ndarray,
    fused: Mapping[str, Any],
    seed: int,
) -> None:
    """The bank, the cues and both, from one fit: the ensemble's parts are those learners."""
    rows, test = np.flatnonzero(~is_train), samples.take(~is_train)
    started = time.perf_counter()
    ensemble = LEARNERS["one_class_ensemble"](fused, seed=seed).fit(samples.take(is_train))
    found = [part.maps_and_scores(test) for part in ensemble.parts_]
    seconds = time.perf_counter() - started
    bank, cues = ensemble.parts_
    standard = ensemble.fusion_scores(np.column_stack([score for _, score in found]), test)
    maps = [*(inner_maps(one, images_of(test), "native") for one, _ in found)]
    joined = inner_maps(ensemble.join_maps([one for one, _ in found]), images_of(test), "native")
    told = {
        "memory_bank": (found[0][1], bank.held_scores_, maps[0]),
        "surface_cues": (found[1][1], cues.held_scores_, maps[1]),
        "memory_bank_size_corrected": (standard[:, 0], ensemble.held_parts_[:, 0], maps[0]),
        "memory_bank_and_surface_cues": (ensemble.join_parts(standard), ensemble.held_scores_, joined),
    }
    for name, (score, held, heat) in told.items():
        runs[name].add(rows, score, held)
        is_again = name == "memory_bank_size_corrected"  # a picture's size moves its score, not its map
        runs[name].places.append(runs["memory_bank"].places[-1] if is_again else localisation(heat, masks[rows]))
        runs[name].seconds.append(seconds)


def describe(name: str, found: MethodRuns, samples: Samples, *, reference: MethodRuns) -> dict[str, Any]:
    """The figures of one method."""
    is_defect, groups = samples.labels == 1, np.asarray(samples.groups).astype(str)
    kinds = np.where(is_defect, samples.kinds.astype(str), "")
    value, replicates = auc_replicates(is_defect, groups, found.scores)
    other, other_replicates = auc_replicates(is_defect, groups, reference.scores)
    at = []
    for place, quantile in enumerate(QUANTILES):
        seeds = [
            SeedScores(one.rows, one.score, told[place])
            for one, told in zip(found.scores, found.thresholds, strict=True)
        ]
        at.append(
            {
                "good_quantile": quantile,
                "recall": rate_figure(is_defect, groups, seeds),
                "false_reject_rate": rate_figure(~is_defect, groups, seeds),
            }
        )
    return {
        "method": name,
        "metric": "image_auroc",
        **with_range(value, replicates),
        "by_seed": [auc_figure(is_defect, groups, [one])["value"] for one in found.scores],
        "against_surface_cues": with_range(value - other, replicates - other_replicates),
        "by_kind": {
            kind: auc_figure(is_defect, groups, found.scores, ~is_defect | (kinds == kind))
            for kind in np.unique(kinds[is_defect])
        },
        **mean_of(found.places),
        "at_threshold_of_good_parts": at,
        "seconds": float(np.mean(found.seconds)),
    }
