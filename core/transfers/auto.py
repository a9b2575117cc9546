"""The transfers tried on held-out target labels and blended by what they do there; with few labels, carefully."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from core.data.samples import Samples
from core.errors import BadParamsError
from core.evaluation.delong import auc_covariance
from core.learners.base import Learner
from core.learners.binary_table import logits_of
from core.learners.blend import Blend
from core.learners.blend_weights import fit_convex_weights, fit_part_map
from core.learners.held_out_loss import mean_log_loss
from core.learners.inner_folds import inner_folds
from core.transfers.base import TRANSFERS, Transfer, TransferTask
from core.transfers.continued_training import can_continue
from core.transfers.pooled import Pooled
from core.transfers.source_fits import SourceFits

CANDIDATES = (
    "source_only",
    "target_only",
    "stacked_score",
    "continued_training",
    "pooled",
    "importance_weighting",
)
REFITS_SOURCE = ("pooled", "importance_weighting")
MAX_REFIT_ROWS = 10_000  # refitting a larger source for every fold would cost more than it tells
MIN_WEIGHT = 0.02
MIN_ROWS_OF_EACH_CLASS = 3


@TRANSFERS.register("auto")
class Auto(Transfer):
    """A convex blend of the candidates' log-odds, weighted by their held-out log loss on the target's labels.

    Each candidate is put on the target's scale first (offset and slope, out of fold). The weights are drawn towards
    equal ones by `prior_strength` rows' worth of curvature, so that few labels give a steady average and many labels
    give the best candidate. With too few labels to hold any out, the source model is taken as it is; with no source,
    the target's. The result carries `selection_`, one row a candidate.

    Guard: `target_only` gets all the weight where the source has not shown on the target's labels that it knows
    anything (its AUC there, which it did not train on, is not above 0.5 at level `skill_level`, one-sided DeLong) and
    it also has a higher held-out log loss than `target_only`. Either sign alone is not enough: with a hundred labels a
    good source often misses significance, and a good source can by chance lose to the target on log loss; a useless one
    fails both. A part of the blend that is without skill has nearly flat log-odds, so what the guard misses costs
    little. `skill_level=1` turns the guard off.

    One standard error: else the better of `target_only` and, where it has shown skill, `source_only` is kept, unless
    the blend's held-out log loss is lower by more than `min_evidence` standard errors of the paired difference. A mix
    that is no better than one of its parts beyond chance is not worth its complexity, and it costs what the worse part
    drags down (Breiman, Friedman, Olshen & Stone 1984, section 3.4.3). `min_evidence=-inf` turns the rule off.

    transfer_options: the candidates' own options, by name.
    """

    needs_source = False
    needs_target_labels = False

    def __init__(
        self,
        *,
        candidates: Sequence[str] = (),
        num_folds: int = 5,
        num_repeats: int | None = None,
        prior_strength: float = 5.0,
        skill_level: float = 0.05,
        min_evidence: float = 1.0,
        transfer_options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        for name in candidates:
            if TRANSFERS[name] is Auto:
                raise BadParamsError("'auto' cannot be a candidate of itself.")
        self.candidates = tuple(candidates)
        self.num_folds = num_folds
        self.num_repeats = num_repeats
        self.prior_strength = prior_strength
        self.skill_level = skill_level
        self.min_evidence = min_evidence
        self.transfer_options = transfer_options or {}
        self.source_fits = SourceFits()

    def fit(self, task: TransferTask) -> Learner:
        """The blend of the candidates, each fitted on all rows.

        Raises:
            BadParamsError: neither side has labelled rows of two classes, or no candidate applies.
        """
        target = task.target.labelled()
        applicable, skipped = self._applicable(task, target)
        transfers = self._make_transfers(applicable, task)
        if len(applicable) == 1:
            learners = [transfers[applicable[0]].fit(task)]
            rows = [{"candidate": applicable[0], "weight": 1.0, "log_loss": None, "auc": None}]
            return Blend.of_fitted(learners, np.ones(1), selection=[*rows, *skipped], seed=task.seed)
        held_logits, held_rows, num_repeats = self._held_out_logits(transfers, task, target)
        targets = target.targets[held_rows]
        weights = target.weights[held_rows] / num_repeats
        maps = [fit_part_map(held_logits[:, k], targets, weights) for k in range(len(applicable))]
        offsets, slopes = np.array(maps).T
        mapped = offsets + slopes * held_logits
        mix = fit_convex_weights(mapped, targets, weights, prior_strength=self.prior_strength, use_guard=False)
        guard = self._guard(applicable, held_logits, held_rows, mapped, target, weights)
        if guard.get("is_guard_closed"):  # the target's own model as it is, not on a scale of noise
            mix = np.array([float(name == "target_only") for name in applicable])
            offsets, slopes, mapped = np.zeros(len(mix)), np.ones(len(mix)), held_logits
        else:
            has_skill = guard.get("p_no_source_skill", 0.0) <= self.skill_level
            singles = [name for name in applicable if name == "target_only" or (name == "source_only" and has_skill)]
            kept = self._kept_single(singles, applicable, mapped, mix, target, held_rows)
            guard |= kept
            if kept.get("kept_single"):
                mix = np.array([float(name == kept["kept_single"]) for name in applicable])
        selection = [
            _describe(name, mapped[:, k], held_logits[:, k], targets, weights, mix[k])
            for k, name in enumerate(applicable)
        ]
        blended = mapped @ mix
        selection.append(_describe("blend", blended, blended, targets, weights, 1.0) | guard)
        kept = np.flatnonzero(mix >= MIN_WEIGHT)
        learners = [transfers[applicable[k]].fit(task) for k in kept]
        return Blend.of_fitted(
            learners,
            mix[kept] / mix[kept].sum(),
            offsets=offsets[kept],
            slopes=slopes[kept],
            selection=[*selection, *skipped],
            seed=task.seed,
        )

    def _guard(
        self,
        applicable: list[str],
        held_logits: np.ndarray,
        held_rows: np.ndarray,
        mapped: np.ndarray,
        target: Samples,
        weights: np.ndarray,
    ) -> dict[str, Any]:
        """Whether the source is left out altogether, and the evidence; empty where there is no such choice."""
        if not {"source_only", "target_only"} <= set(applicable):
            return {}
        of_source, of_target = (applicable.index(name) for name in ("source_only", "target_only"))
        scores = np.full(len(target), np.nan)  # one a row: repeats hold the same rows out again
        scores[held_rows] = held_logits[:, of_source]
        p_value = skill_p_value(target.targets, scores)
        targets = target.targets[held_rows]
        losses = [mean_log_loss(mapped[:, k], targets, weights) for k in (of_source, of_target)]
        is_closed = p_value > self.skill_level and losses[0] > losses[1]
        return {"p_no_source_skill": p_value, "is_guard_closed": bool(is_closed)}

    def _kept_single(
        self,
        singles: list[str],
        applicable: list[str],
        mapped: np.ndarray,
        mix: np.ndarray,
        target: Samples,
        held_rows: np.ndarray,
    ) -> dict[str, Any]:
        """The better single model where the blend does not beat it by enough, and the evidence."""
        if not singles:
            return {}
        targets = target.targets[held_rows]
        losses = [row_log_loss(mapped[:, applicable.index(name)], targets) for name in singles]
        of_rows = [mean_by_row(loss, held_rows) for loss in losses]
        weights = target.weights[np.unique(held_rows)]
        best = int(np.argmin([np.average(loss, weights=weights) for loss in of_rows]))
        gains = of_rows[best] - mean_by_row(row_log_loss(mapped @ mix, targets), held_rows)
        evidence = standard_errors(gains, weights)
        kept = singles[best] if evidence <= self.min_evidence else None
        return {"better_single": singles[best], "evidence": evidence, "kept_single": kept}

    def _applicable(self, task: TransferTask, target: Samples) -> tuple[list[str], list[dict[str, Any]]]:
        """The candidates that can be fitted and held out, and the others with the reason."""
        counts = np.bincount(target.targets, minlength=2) if len(target) else np.zeros(2)
        source_rows = task.source.num_labelled
        has_source = source_rows > 0 and len(np.unique(task.source.labelled().targets)) == 2
        can_hold_out = counts.min() >= MIN_ROWS_OF_EACH_CLASS
        reasons = {}
        for name in self.candidates or CANDIDATES:
            transfer = TRANSFERS[name]
            if transfer.needs_source and not has_source:
                reasons[name] = "no source labels"
            elif has_source and not can_hold_out and name != "source_only":
                reasons[name] = f"only {int(counts.min())} target labels of the rarer class"
            elif name in REFITS_SOURCE and not self.candidates and source_rows > MAX_REFIT_ROWS:
                reasons[name] = f"{source_rows} source rows would be refitted for every fold"
            elif name == "continued_training" and not can_continue(task.make_learner()):
                reasons[name] = "this learner cannot be trained on"
        applicable = [name for name in self.candidates or CANDIDATES if name not in reasons]
        if not applicable:
            told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
            raise BadParamsError(
                f"No candidate of 'auto' can be used ({told}).",
                repair="Raise the label budget, name source domains, or add 'source_only' to the candidates.",
            )
        if not has_source or not can_hold_out:
            first = "source_only" if has_source and "source_only" in applicable else applicable[0]
            applicable = [first]
        return applicable, [
            {"candidate": name, "weight": 0.0, "log_loss": None, "auc": None, "skipped": reason}
            for name, reason in reasons.items()
        ]

    def _make_transfers(self, names: list[str], task: TransferTask) -> dict[str, Transfer]:
        """One transfer a candidate; those that fit the source alone share its learners."""
        shared = self.source_fits
        transfers: dict[str, Transfer] = {}
        for name in names:
            transfer = TRANSFERS[name](**self.transfer_options.get(name, {}))
            if hasattr(transfer, "source_fits"):
                transfer.source_fits = shared
            elif isinstance(transfer, Pooled) and len(names) > 1 and transfer.target_multiplier is None:
                # chosen once on all labels: one of three values, against three source fits a fold
                transfer.target_multiplier = transfer.choose_multiplier(task)
            transfers[name] = transfer
        return transfers

    def _held_out_logits(
        self, transfers: dict[str, Transfer], task: TransferTask, target: Samples
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """(R, K) log-odds of target rows whose label the candidate did not see, (R,) their rows, and the repeats."""
        positions = np.flatnonzero(task.target.is_labelled)
        num_repeats = self.num_repeats or (4 if len(target) < 200 else 2 if len(target) < 1000 else 1)
        logits, rows = [], []
        for repeat in range(num_repeats):
            for _, held_rows in inner_folds(target, self.num_folds, seed=task.seed + repeat):
                labels = task.target.labels.copy()
                labels[positions[held_rows]] = np.nan  # held-out rows stay, as unlabelled ones
                fold_task = replace(task, target=task.target.with_labels(labels), valid=None)
                held = target.take(held_rows)
                fitted = [transfer.fit(fold_task) for transfer in transfers.values()]
                logits.append(np.column_stack([logits_of(learner, held) for learner in fitted]))
                rows.append(held_rows)
        return np.concatenate(logits), np.concatenate(rows), num_repeats


def skill_p_value(targets: np.ndarray, scores: np.ndarray) -> float:
    """One-sided p-value of an AUC of 0.5 or less; (N,) targets 0 or 1 and scores, NaN where a row has none.

    Source: DeLong, DeLong & Clarke-Pearson 1988, equations 4 to 7; normal approximation.
    """
    is_known = ~np.isnan(scores)
    value, covariance = auc_covariance(targets[is_known], scores[is_known])
    error = float(np.sqrt(covariance[0, 0]))
    if error == 0:
        return float(value[0] <= 0.5)
    return float(norm.sf((value[0] - 0.5) / error))


def row_log_loss(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N,) log(1 + exp(z)) - y z."""
    return np.logaddexp(0.0, logits) - targets * logits


def mean_by_row(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Mean of each row's values over the repeats, in the order of the distinct rows."""
    _, position = np.unique(rows, return_inverse=True)
    return np.bincount(position, values) / np.bincount(position)


def standard_errors(gains: np.ndarray, weights: np.ndarray) -> float:
    """The weighted mean of paired gains in units of its standard error; infinite where they do not vary.

    Shape: (N,) each, N >= 2.
    """
    mean = np.average(gains, weights=weights)
    shares = weights / weights.sum()
    error = np.sqrt(np.sum(shares**2 * (gains - mean) ** 2) * len(gains) / (len(gains) - 1))
    return float(np.sign(mean) * np.inf if error == 0 else mean / error) if mean else 0.0


def _describe(
    name: str,
    mapped: np.ndarray,
    logits: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    weight: float,
) -> dict[str, Any]:
    """A candidate's held-out log loss (on the target's scale), AUC and weight."""
    return {
        "candidate": name,
        "weight": float(weight),
        "log_loss": mean_log_loss(mapped, targets, weights),
        "auc": float(roc_auc_score(targets, logits, sample_weight=weights)),
    }
