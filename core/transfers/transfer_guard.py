"""May a source model be believed on a target without a single label of it? Judged from unlabelled rows alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from core.alignments.feature_maps import PrincipalComponents
from core.learners.centred_ridge import fit_centred_ridge

NUM_FOLDS = 5
STRENGTH = 10.0  # L2 of both classifiers, on columns of deviation one
SMALLEST = 1e-6
MAX_ROWS = 1500  # of a side: more tell the same


@dataclass(frozen=True)
class GuardLimits:
    """All three must be passed for a refusal.

    outside_share: of target rows that lie farther from the source than all but 1 % of its own held-out rows.
    cue_auc: of the source's labels as told by the cues alone. cue_shift: root of the mean squared difference of the
    cues' means, in deviations of the source.

    Set on ten pairs of two kinds of pictures (radiographs of two hospitals in both directions, their halves and
    series; solar cells of two types in both directions): the pairs that transfer have a cue shift up to 0.5, those
    where the source is at or below chance 0.9 and 1.3. That is thin evidence; the figures are told with every verdict.
    """

    outside_share: float = 0.5
    cue_auc: float = 0.75
    cue_shift: float = 0.75


@dataclass(frozen=True)
class GuardSide:
    """One domain as the guard sees it: descriptors (N, P), cues (N, K) of how the rows came about, groups (N,)."""

    descriptors: np.ndarray
    cues: np.ndarray
    groups: np.ndarray

    def take(self, rows: np.ndarray) -> GuardSide:
        """The rows by position."""
        return GuardSide(self.descriptors[rows], self.cues[rows], self.groups[rows])


@dataclass(frozen=True)
class GuardVerdict:
    """is_refused: take the source model for nothing until target labels speak for it. reason: for the user."""

    is_refused: bool
    reason: str
    outside_share: float
    domain_auc: float
    cue_auc: float
    cue_shift: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def judge_transfer(
    source: GuardSide,
    source_targets: np.ndarray,
    target: GuardSide,
    *,
    limits: GuardLimits | None = None,
    seed: int = 0,
) -> GuardVerdict:
    """Refuse where nothing of the target lies within the source, the source's labels can be told from how its rows
    were acquired, and the two sides differ in just that.

    No rule on unlabelled rows can prove that a transfer works: what the label has to do with the rows may be another
    thing in the target, and nothing unlabelled shows it. The guard refuses one recognisable way to fail: a model that
    could have learnt the acquisition, in a place where the acquisition is another. It lets pass what is merely
    different, and what is wrong for other reasons. domain_auc, of a classifier of source against target, is told only;
    any two sites have it near one. The target's labels are not an argument.

    Shape: source_targets (N,) 0 or 1.
    Source: the impossibility: Ben-David, Lu, Luu & Pal 2010, "Impossibility theorems for domain adaptation"; domain
    classifier: Ben-David et al. 2010, "A theory of learning from different domains", section 4; cues that carry the
    label: Geirhos et al. 2020, "Shortcut learning in deep neural networks".
    """
    limits = limits or GuardLimits()
    generator = np.random.default_rng(seed)
    rows = _some(len(source_targets), generator)
    source, source_targets = source.take(rows), np.asarray(source_targets)[rows]
    target = target.take(_some(len(target.groups), generator))
    outside, domain_auc = _overlap(source, target, seed)
    cue_auc = cross_fitted_auc(source.cues, source_targets, source.groups, seed=seed)
    scale = np.maximum(source.cues.std(axis=0), SMALLEST)
    shift = float(np.sqrt(np.mean(((target.cues.mean(axis=0) - source.cues.mean(axis=0)) / scale) ** 2)))
    is_refused = outside > limits.outside_share and cue_auc > limits.cue_auc and shift > limits.cue_shift
    told = (
        f"{outside:.0%} of the target lies outside of the source; how the source's rows were acquired alone tells its "
        f"labels with AUC {cue_auc:.2f}; there the two sides differ by {shift:.2f} deviations"
    )
    advice = "Refused: label some target rows" if is_refused else "Not refused, which is no proof that it works"
    return GuardVerdict(bool(is_refused), f"{advice}. {told}.", outside, domain_auc, cue_auc, shift)


def cross_fitted_auc(features: np.ndarray, targets: np.ndarray, groups: np.ndarray, *, seed: int = 0) -> float:
    """AUC of out-of-fold scores of a ridge logistic regression on standardised features, whole groups held out.

    0.5 where a class has fewer than two groups.
    """
    num_folds = min(NUM_FOLDS, *(len(set(groups[targets == label].astype(str))) for label in (0, 1)))
    if num_folds < 2:
        return 0.5
    scores = np.full(len(targets), np.nan)
    folds = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    for fit, held in folds.split(features, targets, groups.astype(str)):
        if len(np.unique(targets[fit])) < 2:
            continue
        mean, scale = features[fit].mean(axis=0), np.maximum(features[fit].std(axis=0), SMALLEST)
        found = fit_centred_ridge((features[fit] - mean) / scale, targets[fit], np.ones(len(fit)), STRENGTH)
        scores[held] = found[0] + (features[held] - mean) / scale @ found[1:]
    is_scored = ~np.isnan(scores)
    return float(roc_auc_score(targets[is_scored], scores[is_scored]))


def _some(count: int, generator: np.random.Generator) -> np.ndarray:
    return np.sort(generator.permutation(count)[:MAX_ROWS])


def _overlap(source: GuardSide, target: GuardSide, seed: int) -> tuple[float, float]:
    """(share of target rows outside of the source, AUC of a domain classifier), on 32 principal components."""
    groups = source.groups.astype(str)
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    is_held = np.isin(groups, names[: max(1, round(0.3 * len(names)))])
    scale = np.maximum(source.descriptors[~is_held].std(axis=0), SMALLEST)
    sides = [part / scale for part in (source.descriptors[~is_held], source.descriptors[is_held], target.descriptors)]
    num_components = min(32, len(sides[0]) - 1, len(sides[2]) - 1, sides[0].shape[1])
    components = PrincipalComponents(num_components=num_components).fit(sides[0], sides[2])
    fitted, held, of_target = (components.map_source(part) for part in sides)
    farthest = np.quantile(cdist(held, fitted).min(axis=1), 0.99)
    outside = float(np.mean(cdist(of_target, fitted).min(axis=1) > farthest))
    both = np.concatenate([held, of_target])
    is_target = np.repeat([0, 1], [len(held), len(of_target)])
    prefixed = np.concatenate([np.char.add("s ", groups[is_held]), np.char.add("t ", target.groups.astype(str))])
    return outside, cross_fitted_auc(both, is_target, prefixed, seed=seed)
