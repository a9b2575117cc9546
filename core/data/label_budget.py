"""The label budget: which target labels a method may see. The others are masked, not merely unused."""

from __future__ import annotations

from collections import deque

import numpy as np
import pandas as pd

from core.data.label_strata import label_strata
from core.data.manifest import LEARNED_SPLITS, finding_columns
from core.data.samples import Samples
from core.errors import BadParamsError

# Whoever labels one exposure of a part labels all of them; nobody must label a module of sixty cells to label one.
MAX_WHOLE_ROWS = 12


def mask_labels(manifest: pd.DataFrame, budget: int | None, seed: int, *, is_number: bool = False) -> pd.DataFrame:
    """One domain's manifest with at most `budget` labels over train and valid together; test rows keep theirs.

    Stratified by label (by fifths where it `is_number`), groups of up to twelve rows whole, deterministic; for one seed
    the labels of a smaller budget are a subset of those of a larger one. Masked rows have label NaN and `is_masked`
    True. Findings stay only where the label is kept: a row without a label would tell them beyond the budget. None
    masks nothing.

    Raises:
        BadParamsError: a negative budget.
    """
    masked = manifest.copy()
    masked["is_masked"] = False
    if budget is None:
        return masked
    is_open = masked["split"].isin(LEARNED_SPLITS).to_numpy()
    labels = np.where(is_open, masked["label"].to_numpy(dtype=float), np.nan)
    strata = label_strata(labels, is_number=is_number)
    kept = keep_labels(strata, _units(masked["group"], masked["sample_id"]), budget, seed)
    hidden = ~np.isnan(labels) & ~kept
    masked["is_masked"] = hidden
    masked["label"] = masked["label"].astype(float).mask(hidden)
    if "label_probability" in masked:
        masked["label_probability"] = masked["label_probability"].astype(float).mask(hidden)
    if "kind" in masked:
        masked["kind"] = masked["kind"].mask(hidden, "")
    for name in finding_columns(masked):
        masked[name] = masked[name].astype(float).mask(is_open & ~kept)
    return masked


def draw_budget(samples: Samples, budget: int, seed: int, *, is_number: bool = False) -> Samples:
    """The same rows with at most `budget` labels, as `mask_labels` draws them, the rest NaN: one draw of the ledger.

    Raises:
        BadParamsError: a negative budget.
    """
    strata = label_strata(samples.labels, is_number=is_number)
    kept = keep_labels(strata, _units(samples.groups, samples.sample_ids), budget, seed)
    return samples.with_labels(np.where(kept, samples.labels, np.nan))


def _units(groups: np.ndarray | pd.Series, sample_ids: np.ndarray | pd.Series) -> np.ndarray:
    """(N,) what is labelled at once: a group, or each row of a group too large for that (a module, a lot)."""
    groups = pd.Series(np.asarray(groups, dtype=object)).astype(str)
    is_small = groups.map(groups.value_counts()) <= MAX_WHOLE_ROWS
    return groups.where(is_small, np.asarray(sample_ids).astype(str)).to_numpy(dtype=object)


def keep_labels(labels: np.ndarray, groups: np.ndarray, budget: int, seed: int) -> np.ndarray:
    """(N,) bool: the labels kept. The first groups of a fixed order are taken until the next would exceed the budget.

    Shape: labels (N,) float, classes or strata, with NaN = none; groups (N,).

    Raises:
        BadParamsError: a negative budget.
    """
    if budget < 0:
        raise BadParamsError(f"A label budget of {budget} is below zero.", repair="Use 0 or more.")
    kept = np.zeros(len(labels), dtype=bool)
    spent = 0
    for rows in _order_groups(np.asarray(labels, dtype=float), np.asarray(groups), seed):
        spent += len(rows)
        if spent > budget:
            break
        kept[rows] = True
    return kept


def _order_groups(labels: np.ndarray, groups: np.ndarray, seed: int) -> list[np.ndarray]:
    """Row positions group by group, so that every beginning of the list has nearly the classes' shares.

    One group of each class comes first (a learner needs both), then always the class that is furthest behind its share.
    The order does not depend on the budget nor on the order of rows: budgets nest.
    """
    labelled = np.flatnonzero(~np.isnan(labels))
    if len(labelled) == 0:
        return []
    classes, class_of_row = np.unique(labels[labelled], return_inverse=True)
    # Sorted by name: the draw does not change when rows are read in another order.
    group_of_row, names = pd.factorize(groups[labelled].astype(str), sort=True)
    counts = np.zeros((len(names), len(classes)), dtype=int)
    np.add.at(counts, (group_of_row, class_of_row), 1)
    by_group = np.argsort(group_of_row, kind="stable")
    rows_of_group = np.split(labelled[by_group], np.cumsum(counts.sum(axis=1))[:-1])

    shuffled = np.random.default_rng(seed).permutation(len(names))
    stratum = counts.argmax(axis=1)
    queues = [deque(shuffled[stratum[shuffled] == index]) for index in range(len(classes))]
    share = counts.sum(axis=0) / counts.sum()
    taken = np.zeros(len(classes), dtype=int)
    order = []

    def take(index: int) -> None:
        group = queues[index].popleft()
        taken[:] += counts[group]
        order.append(rows_of_group[group])

    for index, queue in enumerate(queues):
        if queue:
            take(index)
    while any(queues):
        behind = share * (taken.sum() + 1) - taken
        take(max((i for i, queue in enumerate(queues) if queue), key=lambda i: behind[i]))
    return order
