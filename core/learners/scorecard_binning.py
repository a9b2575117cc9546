"""Optimal bins of one column, found by optbinning and kept as plain values."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from core.data.samples import Samples
from core.data.table_schema import Feature
from core.learners.scorecard_bins import Bin, ColumnBins
from core.learners.table_encoding import read_ordinals

# SQLite reads decimals of up to 15 digits exactly; six are also what a person can read.
NUM_BOUND_DIGITS = 6
TRENDS = {1: "ascending", -1: "descending"}


@dataclass(frozen=True)
class BinningRules:
    """max_num_bins, min_bin_fraction: limits of the search. trend: event rate along a number without a demand.

    rare_fraction: categories rarer than this share a group.
    """

    max_num_bins: int
    min_bin_fraction: float
    trend: str
    rare_fraction: float


def find_bins(
    samples: Samples, feature: Feature, rules: BinningRules, special_values: Sequence[float] = ()
) -> ColumnBins:
    """The bins of one feature, still without measures; `missing` (and `unseen`) always have one.

    Source: Navas-Palencia 2020, "Optimal binning: mathematical programming formulation", arXiv:2001.08025.
    """
    special = tuple(Bin(kind="special", values=(float(value),)) for value in special_values)
    tail = (*special, Bin(kind="missing"))
    if feature.kind == "number":
        bounds = _number_bounds(samples, feature, rules, special_values)
        edges = [None, *bounds, None]
        ranges = [Bin(kind="range", low=low, high=high) for low, high in pairwise(edges)]
        return ColumnBins(feature.name, True, (*ranges, *tail))
    if feature.is_ordered:
        groups = _ordered_groups(samples, feature, rules)
    else:
        groups = _category_groups(samples, feature, rules)
    parts = tuple(Bin(kind="categories", values=group) for group in groups)
    return ColumnBins(feature.name, False, (*parts, *tail, Bin(kind="unseen")))


def _number_bounds(
    samples: Samples, feature: Feature, rules: BinningRules, special_values: Sequence[float]
) -> list[float]:
    """Increasing bounds between ranges, rounded to six digits."""
    values = read_ordinals(samples.inputs, feature)
    values = np.where(np.isin(values, np.array(special_values, dtype=float)), np.nan, values)
    if len(np.unique(values[~np.isnan(values)])) < 2:
        return []
    trend = TRENDS.get(feature.monotone, rules.trend)
    bounds = _solve("numerical", values, samples, rules, monotonic_trend=trend)
    return sorted({float(f"{float(bound):.{NUM_BOUND_DIGITS}g}") for bound in bounds})


def _ordered_groups(samples: Samples, feature: Feature, rules: BinningRules) -> list[tuple[str, ...]]:
    """Neighbouring categories joined; every category of the order belongs to a group."""
    bounds = _number_bounds(samples, feature, rules, ())
    group_of_rank = np.searchsorted(bounds, np.arange(len(feature.categories)), side="right")
    groups = [
        tuple(c for c, at in zip(feature.categories, group_of_rank, strict=True) if at == group)
        for group in range(len(bounds) + 1)
    ]
    return [group for group in groups if group]


def _category_groups(samples: Samples, feature: Feature, rules: BinningRules) -> list[tuple[str, ...]]:
    """Categories of like event rate joined; rare ones share a group."""
    values = samples.inputs[feature.name].to_numpy(dtype=object)
    is_known = np.isin(values.astype(str), np.array(feature.categories, dtype=str))
    values = np.where(is_known, values, None)
    seen = set(values[is_known].tolist())
    if not seen:
        return []
    if len(seen) == 1:
        return [tuple(seen)]
    cutoff = rules.rare_fraction or None
    groups = _solve("categorical", values, samples, rules, cat_cutoff=cutoff)
    found = [tuple(sorted(str(value) for value in group if value in seen)) for group in groups]
    left_over = seen - {value for group in found for value in group}
    found.append(tuple(sorted(left_over)))
    return [group for group in found if group]


def _solve(dtype: str, values: np.ndarray, samples: Samples, rules: BinningRules, **search: Any) -> list:
    """The splits that optbinning finds; none when there is nothing to split."""
    from optbinning import OptimalBinning  # heavy, and needed for fitting only

    binning = OptimalBinning(
        dtype=dtype,
        max_n_bins=rules.max_num_bins,
        min_bin_size=rules.min_bin_fraction,
        **search,
    )
    weights = None if np.all(samples.weights == samples.weights[0]) else samples.weights
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        binning.fit(values, samples.targets, sample_weight=weights)
    return list(binning.splits)
