"""How far domains are apart: can a line tell them from each other, and how much do their kernel means differ."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from core.evaluation.feature_map import MAX_COMPONENTS, PrincipalAxes
from core.evaluation.feature_rows import MAX_ROWS, FeatureRows, plain_counts
from core.evaluation.intervals import wilson_interval

NUM_FOLDS = 5
MIN_ROWS = 10  # of each side
STRENGTH = 1.0  # of the L2 penalty on components of deviation 1


def proxy_a_distance(
    first: np.ndarray, second: np.ndarray, first_groups: np.ndarray, second_groups: np.ndarray, *, seed: int
) -> dict[str, float | int] | None:
    """2 (1 - 2 error) of a logistic regression that tells two sides of rows (N, K) and (M, K) apart: 0 alike, 2 apart.

    The error is of rows held out in five folds of whole groups, on as many rows of one side as of the other, with its
    Wilson interval (rows count as independent). A distance below 0, which is chance, is told as 0. None where a side
    has fewer than ten rows or two groups.

    Source: Ben-David, Blitzer, Crammer & Pereira 2007, section 4; Ben-David et al. 2010, definition 1 and lemma 2.
    """
    num = min(len(first), len(second))
    if num < MIN_ROWS or min(len(np.unique(groups)) for groups in (first_groups, second_groups)) < 2:
        return None
    random = np.random.default_rng(seed)
    kept = [np.sort(random.permutation(len(side))[:num]) for side in (first, second)]
    rows = np.concatenate([first[kept[0]], second[kept[1]]])
    is_second = np.repeat([0, 1], num)
    names = [
        np.char.add(f"{side} ", np.asarray(groups[places]).astype(str))
        for side, groups, places in zip((0, 1), (first_groups, second_groups), kept, strict=True)
    ]
    groups = np.concatenate(names)
    num_folds = min(NUM_FOLDS, *(len(np.unique(of_side)) for of_side in names))
    if num_folds < 2:
        return None
    is_error = np.zeros(len(rows), dtype=bool)
    folds = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed).split(rows, is_second, groups)
    for fit, held in folds:
        if len(np.unique(is_second[fit])) < 2:
            is_error[held] = True  # one large group: nothing to tell apart from
            continue
        scales = np.maximum(rows[fit].std(axis=0), 1e-9)
        model = LogisticRegression(C=1 / STRENGTH, max_iter=500).fit(rows[fit] / scales, is_second[fit])
        is_error[held] = model.predict(rows[held] / scales) != is_second[held]
    error = float(is_error.mean())
    low, high = wilson_interval(int(is_error.sum()), len(rows))
    return {
        "rows_a_side": num,
        "error": error,
        "error_low": float(low),
        "error_high": float(high),
        "proxy_a_distance": _distance(error),
        "proxy_a_distance_low": _distance(float(high)),
        "proxy_a_distance_high": _distance(float(low)),
    }


def _distance(error: float) -> float:
    return max(2 * (1 - 2 * error), 0.0)


def kernel_mmd(first: np.ndarray, second: np.ndarray) -> float | None:
    """Squared maximum mean discrepancy of rows (N, K) and (M, K), unbiased, one Gaussian kernel of median width.

    None where a side has fewer than two rows. See `core.alignments.mmd`.
    """
    import torch  # of tables, nothing else here needs it

    from core.alignments.base import AlignmentViews
    from core.alignments.mmd import Mmd

    if min(len(first), len(second)) < 2:
        return None
    sides = [torch.from_numpy(np.ascontiguousarray(side, dtype=float)) for side in (first, second)]
    logits = [torch.zeros(len(side), 2) for side in sides]
    views = AlignmentViews(*sides, *logits, torch.zeros(len(first), dtype=torch.long))
    return float(Mmd({"bandwidth_multipliers": (1.0,), "is_unbiased": True})(views))


def domain_distances(rows: FeatureRows, axes: PrincipalAxes | None, target: str, *, seed: int) -> dict[str, Any]:
    """What domain_distances.json holds, JSON-ready.

    distances: for each source domain {domain, rows, target_rows, num_features, left_out, mmd_squared, and what
    `proxy_a_distance` gives} of its training rows against the target's. yardstick: the same of the target's test rows,
    which are of one domain with its training rows. Both distances are of the two sides' features that both have, on at
    most 50 principal components of their rows; left_out names the columns that one side lacks. rows: of
    each role, how many there are and how many were drawn. map_explained: shares of the variance along x and y.
    """
    of_train = rows.of("train", domain=target)
    sources = sorted(rows.table.loc[rows.of("source_train"), "domain"].unique())
    return {
        "target_domain": target,
        "features": rows.kind,
        "reason": rows.reason,
        "num_features": rows.features.shape[1],
        "rows": plain_counts(rows),
        "map_explained": axes.explained[:2].tolist() if axes is not None else [],
        "distances": [
            {"domain": name, **_between(rows, rows.of("source_train", domain=name), of_train, seed=seed)}
            for name in sources
        ],
        "yardstick": {
            "domain": target,
            "role": "test",
            **_between(rows, rows.of("test", domain=target), of_train, seed=seed),
        }
        if len(rows.table)
        else None,
    }


def _between(rows: FeatureRows, first: np.ndarray, second: np.ndarray, *, seed: int) -> dict[str, Any]:
    """Both distances of two sides, (N,) bool each; of more than 600 rows of a side as many are drawn."""
    random = np.random.default_rng(seed)
    first, second = (np.sort(random.permutation(np.flatnonzero(side))[:MAX_ROWS]) for side in (first, second))
    sides = [rows.features[side] for side in (first, second)]
    is_common = np.all([np.isfinite(side).all(axis=0) for side in sides], axis=0)
    columns = np.array(rows.columns, dtype=object)
    told: dict[str, Any] = {
        "rows": len(sides[0]),
        "target_rows": len(sides[1]),
        "num_features": int(is_common.sum()),
        "left_out": sorted({str(name) for name in columns[~is_common] if name}),
        "mmd_squared": None,
        "proxy_a_distance": None,
    }
    if not is_common.any() or not all(len(side) for side in sides):
        return told
    sides = [side[:, is_common] for side in sides]
    axes = PrincipalAxes.fit(np.concatenate(sides), MAX_COMPONENTS)
    places = [axes.place(side) for side in sides]
    groups = [rows.table["group"].to_numpy()[side] for side in (first, second)]
    told["mmd_squared"] = kernel_mmd(*places)
    return {**told, **(proxy_a_distance(*places, *groups, seed=seed) or {})}
