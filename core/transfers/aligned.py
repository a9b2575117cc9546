"""Descriptors of source and target aligned in several ways; the way is chosen without target labels, or with a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from core.alignments.feature_maps import FeatureMap
from core.alignments.selection import CRITERIA, Candidate, choose, density_ratio_of, temperature_of
from core.data.samples import Samples
from core.errors import BadParamsError, did_you_mean
from core.learners.aligned import (
    Aligned,
    choose_source_strength,
    describe_domains,
    require_descriptors,
)
from core.learners.aligned_head import AlignedHeadOptions
from core.learners.aligned_recipe import DomainRows, FittedRecipe, fit_recipe, parse_recipe
from core.learners.base import LEARNERS, Learner
from core.learners.binary_table import check_binary
from core.learners.inner_folds import inner_folds
from core.params import parse_section
from core.transfers.base import TRANSFERS, Transfer, TransferTask
from core.transfers.source_fits import SourceFits, require_source

CANDIDATES = (  # simple ones first: of equals, the first is taken
    "source_only",
    "standardise_map",
    "coral_map",
    "subspace_alignment",
    "drop_shifted",
    "coral",
    "mmd",
    "entropy",
    "pseudo_label",
    "mcc",
    "dann",
    "cdan",
)
MIN_TARGET_LABELS = 20
NUM_TARGET_FOLDS = 4
NUM_SOURCE_FOLDS = 4


@TRANSFERS.register("aligned")
class AlignedTransfer(Transfer):
    """Learners with `descriptors(samples) -> (N, P)` only; what describes the rows is fitted on the source.

    candidates: recipes (see AlignedOptions.recipe). criterion: what chooses where fewer than 20 target labels (or not
    two of each class) are seen: `information_maximisation`, `snd`, `entropy` or `dev`, on predictions whose temperature
    was fitted on held-out source rows. With more labels, the held-out log loss on them chooses, and of the candidates
    within one standard error of the least the first is taken. target_multiplier: what a labelled target row weighs
    against a source row; left out, the square root of the ratio of their numbers, 1 at least. head: options of heads
    with a loss. The result carries `selection_`, one row a candidate.

    Target labels are read through `Samples.labelled()` alone; `task.valid` is not read.
    """

    needs_target_labels = False
    learns_unlabelled = True

    def __init__(
        self,
        *,
        candidates: Sequence[str] = (),
        criterion: str = "information_maximisation",
        target_multiplier: float | None = None,
        head: Mapping[str, Any] | None = None,
        source_fits: SourceFits | None = None,
    ) -> None:
        for candidate in candidates:
            parse_recipe(candidate)
        if criterion not in CRITERIA:
            raise BadParamsError(f"Unknown criterion '{criterion}'.", repair=did_you_mean(criterion, CRITERIA))
        self.candidates = tuple(candidates) or CANDIDATES
        self.criterion = criterion
        self.target_multiplier = target_multiplier
        self.head = parse_section(AlignedHeadOptions, head or {}, where="head of transfer 'aligned'")
        self.source_fits = source_fits or SourceFits()

    def fit(self, task: TransferTask) -> Learner:
        """The best candidate, fitted on all rows.

        Raises:
            BadParamsError: no labelled source row of two classes, no target row, or a learner without descriptors.
        """
        source = check_binary(require_source(task, "aligned"))
        kind = task.make_learner()
        require_descriptors(kind)
        describer = self.source_fits.recall(task, "all", lambda: kind.fit(task.source.labelled()))
        rows = describe_domains(describer, source, task.target)
        strength = self.source_fits.recall(
            task, f"strength {task.seed}", lambda: choose_source_strength(rows, source, seed=task.seed)
        )
        head = replace(self.head, target_multiplier=self._multiplier(rows))
        trial = _Trial(self.candidates, head, strength, task.seed)
        target = task.target.labelled()
        can_hold_out = len(target) >= MIN_TARGET_LABELS and np.bincount(target.targets, minlength=2).min() >= 2
        if len(self.candidates) == 1:
            best, selection = 0, [{"candidate": self.candidates[0]}]
        elif can_hold_out:
            best, selection = trial.choose_by_labels(rows, target)
        else:
            best, selection = trial.choose_without_labels(rows, source, self.criterion)
        used = "held_out_log_loss" if can_hold_out else self.criterion
        learner = Aligned(
            {
                "learner": LEARNERS.name_of(type(describer)),
                "options": asdict(describer.options),
                "recipe": self.candidates[best],
                "target_domain": str(task.target.domains[0]),
                "strength": strength,
                "head": asdict(head),
            },
            seed=task.seed,
        ).fit_on_rows(describer, rows, strength)
        learner.selection_ = [
            row | {"chosen": k == best, "criterion": used if len(selection) > 1 else None}
            for k, row in enumerate(selection)
        ]
        return learner

    def _multiplier(self, rows: DomainRows) -> float:
        """What a labelled target row weighs against a source row."""
        if self.target_multiplier is not None:
            return float(self.target_multiplier)
        num_known = int((~np.isnan(rows.target_labels)).sum())
        return float(max(1.0, np.sqrt(rows.source_weights.sum() / num_known))) if num_known else 1.0


class _Trial:
    """Every candidate fitted on parts of the rows and judged on the others."""

    def __init__(self, candidates: tuple[str, ...], head: AlignedHeadOptions, strength: float, seed: int) -> None:
        self.candidates, self.head, self.strength, self.seed = candidates, head, strength, seed

    def _fit(
        self, candidate: str, rows: DomainRows, known_maps: dict[tuple[str, ...], tuple[FeatureMap, ...]]
    ) -> FittedRecipe:
        recipe = parse_recipe(candidate)
        return fit_recipe(recipe, rows, self.head, strength=self.strength, seed=self.seed, known_maps=known_maps)

    def choose_without_labels(
        self, rows: DomainRows, source: Samples, criterion: str
    ) -> tuple[int, list[dict[str, Any]]]:
        """One fold of the source is held out; the target rows whose label is not seen are predicted."""
        folds = inner_folds(source, NUM_SOURCE_FOLDS, seed=self.seed)
        if not folds:
            raise BadParamsError(
                "Too few source labels of one class to choose an alignment.",
                repair="Name a single candidate, or add source rows.",
            )
        fit_rows, held_rows = folds[0]
        part, held = rows.take_source(fit_rows), rows.source[held_rows]
        held_probability = rows.source_probability[held_rows]
        open_target = rows.target[np.isnan(rows.target_labels)]
        open_target = open_target if len(open_target) > 1 else rows.target
        known_maps: dict[tuple[str, ...], tuple[FeatureMap, ...]] = {}
        judged = []
        for name in self.candidates:
            fitted = self._fit(name, part, known_maps)
            held_logits = fitted.source_logits(held)
            temperature = temperature_of(held_logits, held_probability)
            positive = expit(fitted.target_logits(open_target) / temperature)
            losses = _log_losses(held_logits / temperature, held_probability)
            in_common = (fitted.map_source(part.source), fitted.map_target(part.target), fitted.map_source(held))
            judged.append(
                Candidate(name, np.column_stack([1 - positive, positive]), losses, density_ratio_of(*in_common))
            )
        rate = float(np.average(rows.source_probability, weights=rows.source_weights))
        best, table = choose(judged, criterion, np.array([1 - rate, rate]))
        losses = [float(candidate.source_losses.mean()) for candidate in judged]
        return best, [dict(row) | {"source_log_loss": loss} for row, loss in zip(table, losses, strict=True)]

    def choose_by_labels(self, rows: DomainRows, target: Samples) -> tuple[int, list[dict[str, Any]]]:
        """Folds of the labelled target rows are held out in turn; their features stay, as unlabelled ones."""
        positions = np.flatnonzero(~np.isnan(rows.target_labels))
        known_maps: dict[tuple[str, ...], tuple[FeatureMap, ...]] = {}
        logits = np.full((len(target), len(self.candidates)), np.nan)
        for _, held_rows in inner_folds(target, NUM_TARGET_FOLDS, seed=self.seed):
            labels = rows.target_labels.copy()
            labels[positions[held_rows]] = np.nan
            part = replace(rows, target_labels=labels)
            for k, name in enumerate(self.candidates):
                fitted = self._fit(name, part, known_maps)
                logits[held_rows, k] = fitted.target_logits(rows.target[positions[held_rows]])
        is_held = ~np.isnan(logits).any(axis=1)
        logits, labels = logits[is_held], rows.target_labels[positions[is_held]]
        targets = target.targets[is_held]
        losses = np.column_stack([_log_losses(column, labels) for column in logits.T])
        selection = [
            {
                "candidate": name,
                "log_loss": float(losses[:, k].mean()),
                "auc": float(roc_auc_score(targets, logits[:, k])),
            }
            for k, name in enumerate(self.candidates)
        ]
        return first_within_one_error(losses), selection


def first_within_one_error(losses: np.ndarray) -> int:
    """The first column whose mean is within one standard error (of the paired difference) of the least mean.

    Shape: losses (N, K), N >= 2.

    Source: Breiman, Friedman, Olshen & Stone 1984, Classification and Regression Trees, section 3.4.3.
    """
    best = int(losses.mean(axis=0).argmin())
    excess = losses - losses[:, [best]]
    errors = excess.std(axis=0, ddof=1) / np.sqrt(len(losses))
    return int(np.flatnonzero(excess.mean(axis=0) <= errors)[0])


def _log_losses(logits: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """(N,) log(1 + exp(z)) - y z."""
    return np.logaddexp(0.0, logits) - probability * logits
