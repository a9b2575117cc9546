"""Two sides of rows in many dimensions: can a line tell them apart, and how far apart are their kernel means?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.errors import BadInputError
from core.lifecycle.monitor.permuted_units import PermutedUnits, permutation_p_value

NUM_FOLDS = 5
PENALTY_PER_ROW = 0.1  # of the squared weights, on components of deviation 1


@dataclass(frozen=True)
class TwoSampleResult:
    """statistic and p_value of "both sides are drawn alike"; effect: see the test. null: (B,) dealt statistics."""

    statistic: float
    effect: float
    p_value: float
    null: np.ndarray


def classifier_two_sample(rows: np.ndarray, units: PermutedUnits, *, seed: int) -> TwoSampleResult:
    """Held-out accuracy of a linear classifier that tells the sides of pooled rows (N, K) apart, against 1/2.

    Five folds of whole groups, drawn without a look at the sides. In each a ridge regression of the side on the
    components (Fisher's discriminant with a penalty) is fitted to the other folds and cut half-way between the two
    sides' mean scores. statistic: the mean of the share of each side's held-out rows that are told rightly, which is
    equation 2 where both sides have as many rows. effect: statistic - 1/2.

    The paper's null N(1/2, 1 / (4 n)) takes rows as independent and one training set; rows of a group and folds that
    share training rows are neither, so the p-value is of fits to whole groups dealt anew. Folds do not depend on the
    sides and each fit is linear in them, so all deals cost a few matrix products.

    Source: Lopez-Paz & Oquab 2017, "Revisiting classifier two-sample tests", equation 2; permutation instead of the
    normal null: Kim, Ramdas, Singh & Wasserman 2021, "Classification accuracy as a proxy for two-sample testing",
    section 4.

    Raises:
        BadInputError: rows do not fit the units, or a value is not finite.
    """
    rows = _checked(rows, units)
    scales = rows.std(axis=0)
    rows = rows / np.where(scales > 1e-9, scales, np.inf)
    accuracies = held_out_accuracies(rows, fold_of_groups(units.names, seed=seed), units)
    return TwoSampleResult(
        float(accuracies[0]), float(accuracies[0] - 0.5), permutation_p_value(accuracies), accuracies[1:]
    )


def fold_of_groups(names: np.ndarray, *, seed: int) -> np.ndarray:
    """(N,) fold of each row: groups (N,) in random order, one fold after the other."""
    distinct, member = np.unique(names, return_inverse=True)
    turn = np.random.default_rng(seed).permutation(len(distinct))
    return (turn % min(NUM_FOLDS, len(distinct)))[member]


def held_out_accuracies(rows: np.ndarray, folds: np.ndarray, units: PermutedUnits) -> np.ndarray:
    """(1 + B,) balanced held-out accuracy for each deal, of rows (N, K) in folds (N,)."""
    is_batch = units.sides[units.unit]  # (N, 1 + B)
    hits = np.zeros((2, is_batch.shape[1]))
    for fold in np.unique(folds):
        held = folds == fold
        fit_rows, fit_batch = rows[~held], is_batch[~held]
        num_batch = fit_batch.sum(axis=0)
        centre = fit_rows.mean(axis=0)
        centred = fit_rows - centre
        of_batch = centred.T @ fit_batch  # (K, 1 + B), both the right-hand side and the batch's sums
        penalty = PENALTY_PER_ROW * len(fit_rows) * np.eye(rows.shape[1])
        weights = np.linalg.solve(centred.T @ centred + penalty, of_batch)
        # The sums of both sides add up to 0, so half-way between the means is this:
        half_way = of_batch * 0.5 * (1 / np.maximum(num_batch, 1) - 1 / np.maximum(len(fit_rows) - num_batch, 1))
        is_called = (rows[held] - centre) @ weights > (half_way * weights).sum(axis=0)
        held_batch = is_batch[held]
        hits[1] += (is_called * held_batch).sum(axis=0)
        hits[0] += (~is_called * (1 - held_batch)).sum(axis=0)
    return (hits[1] / units.batch_rows + hits[0] / (len(rows) - units.batch_rows)) / 2


def kernel_two_sample(rows: np.ndarray, units: PermutedUnits) -> TwoSampleResult:
    """Squared maximum mean discrepancy of the two sides of pooled rows (N, K), with a permutation p-value.

    One Gaussian kernel, its width the median squared distance of all pairs, as `kernel_mmd` of
    `core.evaluation.domain_distances`; with one row a group the statistic is equal to that. Pairs of rows of one unit
    are left out: rows of a group are alike on either side and would tell of the group, not of the sides.
    effect: the statistic as a share of the rows' spread in the kernel's space, 1 - mean k within the sides; of a
    linear kernel that is |difference of means|^2 / total variance.

    Source: Gretton et al. 2012, "A kernel two-sample test", lemma 6 and equation 3 (unbiased), section 5 (null by
    resampling) and section 8 (median).

    Raises:
        BadInputError: rows do not fit the units, or a value is not finite.
    """
    kernel = gaussian_kernel(_checked(rows, units))
    statistics, spread = kernel_discrepancies(kernel, units)
    observed = float(statistics[0])
    effect = max(observed, 0.0) / spread if spread > 0 else 0.0
    return TwoSampleResult(observed, effect, permutation_p_value(statistics), statistics[1:])


def gaussian_kernel(rows: np.ndarray) -> np.ndarray:
    """(N, N) exp(-|x - y|^2 / median) of rows (N, K), the median over all pairs of distinct rows."""
    import torch  # nothing else here needs it

    from core.alignments.mmd import squared_distances

    distances = squared_distances(torch.from_numpy(np.ascontiguousarray(rows, dtype=float))).numpy()
    above = distances[np.triu_indices(len(rows), k=1)]
    middle = (len(above) - 1) // 2  # of an even number the lower one, as in `core.alignments.mmd`
    median = max(float(np.partition(above, middle)[middle]), float(np.finfo(float).tiny))
    return np.exp(-distances / median)


def kernel_discrepancies(kernel: np.ndarray, units: PermutedUnits) -> tuple[np.ndarray, float]:
    """((1 + B,) statistics of kernel (N, N) for each deal, the spread within the sides as they were)."""
    between_units = units.sums(units.sums(kernel).T)
    np.fill_diagonal(between_units, 0.0)
    sides, sizes = units.sides, units.sizes
    of_unit = between_units.sum(axis=0)
    within_batch = (sides * (between_units @ sides)).sum(axis=0)
    across = of_unit @ sides - within_batch
    within_reference = of_unit.sum() - within_batch - 2 * across
    batch_rows, num_rows = units.batch_rows, sizes.sum()
    squares = sizes**2 @ sides
    batch_pairs = batch_rows**2 - squares
    reference_pairs = (num_rows - batch_rows) ** 2 - (sizes @ sizes - squares)
    means = within_batch / batch_pairs, within_reference / reference_pairs
    statistics = means[0] + means[1] - 2 * across / (batch_rows * (num_rows - batch_rows))
    return statistics, float(1 - (means[0][0] + means[1][0]) / 2)


def _checked(rows: np.ndarray, units: PermutedUnits) -> np.ndarray:
    """The rows (N, K) as float64."""
    rows = np.asarray(rows, dtype=float)
    if rows.ndim != 2 or len(rows) != len(units.unit):
        raise BadInputError(f"Rows have shape {rows.shape}, expected ({len(units.unit)}, K) as the groups have.")
    if not np.isfinite(rows).all():
        raise BadInputError("Some rows hold missing values.", repair="Place them on principal axes first.")
    return rows
