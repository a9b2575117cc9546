"""Classifier and kernel two-sample test: plain loops, the project's own kernel, level with groups, power."""

from __future__ import annotations

import time

import numpy as np
import pytest

from core.errors import BadInputError
from core.evaluation.domain_distances import kernel_mmd
from core.lifecycle.monitor import two_sample
from core.lifecycle.monitor.permuted_units import PermutedUnits
from core.lifecycle.monitor.table_design import principal_places, table_design
from core.lifecycle.monitor.two_sample import (
    classifier_two_sample,
    fold_of_groups,
    gaussian_kernel,
    held_out_accuracies,
    kernel_discrepancies,
    kernel_two_sample,
)


def deal(num_reference, num_batch, *, rows_a_group=1, num_permutations=99, seed=0):
    groups = [
        np.char.add(side, (np.arange(num) // rows_a_group).astype(str))
        for side, num in (("r", num_reference), ("b", num_batch))
    ]
    return PermutedUnits.deal(*groups, num_permutations=num_permutations, seed=seed)


def test_kernel_statistic_equals_the_one_of_the_distances():
    rows = np.random.default_rng(0).normal(size=(25, 3))
    rows[15:] += 0.5
    found = kernel_two_sample(rows, deal(15, 10))
    assert found.statistic == pytest.approx(kernel_mmd(rows[:15], rows[15:]))


def test_kernel_statistic_equals_loops_over_pairs_of_different_groups_in_every_deal():
    rows = np.random.default_rng(1).normal(size=(18, 2))
    units = deal(12, 6, rows_a_group=3, num_permutations=10)
    kernel = gaussian_kernel(rows)
    statistics, spread = kernel_discrepancies(kernel, units)

    def mean_kernel(first, second):
        pairs = [(i, j) for i in first for j in second if units.unit[i] != units.unit[j]]
        return np.mean([kernel[i, j] for i, j in pairs])

    for place, deal_of_rows in enumerate(units.sides[units.unit].T):
        batch, reference = np.flatnonzero(deal_of_rows > 0), np.flatnonzero(deal_of_rows == 0)
        within = mean_kernel(batch, batch), mean_kernel(reference, reference)
        assert statistics[place] == pytest.approx(sum(within) - 2 * mean_kernel(batch, reference))
        if place == 0:
            assert spread == pytest.approx(1 - sum(within) / 2)


def test_gaussian_kernel_has_the_median_of_all_pairs_as_width():
    rows = np.random.default_rng(2).normal(size=(9, 2))
    squared = sorted(((rows[i] - rows[j]) ** 2).sum() for i in range(9) for j in range(i))
    median = squared[(len(squared) - 1) // 2]
    wanted = [[np.exp(-((x - y) ** 2).sum() / median) for y in rows] for x in rows]
    np.testing.assert_allclose(gaussian_kernel(rows), wanted, rtol=1e-9)


def test_held_out_accuracy_equals_a_fit_in_each_fold_by_loops():
    random = np.random.default_rng(3)
    rows = random.normal(size=(40, 3))
    rows[25:, 0] += 1.0
    units = deal(25, 15, num_permutations=6)
    folds = fold_of_groups(units.names, seed=1)
    found = held_out_accuracies(rows, folds, units)
    for place, is_batch in enumerate(units.sides[units.unit].T > 0):
        hits = {True: 0, False: 0}
        for fold in range(5):
            fit = [i for i in range(40) if folds[i] != fold]
            centre = rows[fit].mean(axis=0)
            gram = (rows[fit] - centre).T @ (rows[fit] - centre)
            penalty = two_sample.PENALTY_PER_ROW * len(fit) * np.eye(3)
            side = np.where(is_batch[fit], 1.0, -1.0)  # any two numbers give the same cut
            weights = np.linalg.solve(gram + penalty, (rows[fit] - centre).T @ (side - side.mean()))
            means = [rows[[i for i in fit if is_batch[i] == which]].mean(axis=0) @ weights for which in (False, True)]
            for i in range(40):
                if folds[i] == fold:
                    hits[bool(is_batch[i])] += (rows[i] @ weights > sum(means) / 2) == is_batch[i]
        assert found[place] == pytest.approx((hits[True] / is_batch.sum() + hits[False] / (~is_batch).sum()) / 2)


def test_folds_hold_whole_groups_of_either_side():
    names = np.array(["a", "b", "a", "c", "d", "e", "f", "b", "a"])
    folds = fold_of_groups(names, seed=0)
    assert len(set(folds)) == 5
    for name in set(names):
        assert len(set(folds[names == name])) == 1


@pytest.mark.parametrize("rows_a_group", [1, 4])
def test_level_of_both_holds_with_and_without_groups(rows_a_group):
    random, num_repeats = np.random.default_rng(4), 300
    hits = np.zeros(2)
    for repeat in range(num_repeats):
        units = deal(64, 36, rows_a_group=rows_a_group, num_permutations=99, seed=repeat)
        centres = np.repeat(random.normal(size=(100 // rows_a_group, 4)), rows_a_group, axis=0)
        rows = centres + 0.3 * random.normal(size=(100, 4))
        found = classifier_two_sample(rows, units, seed=repeat), kernel_two_sample(rows, units)
        hits += [result.p_value <= 0.05 for result in found]
    limit = 0.05 + 3 * np.sqrt(0.05 * 0.95 / num_repeats)
    assert (hits / num_repeats < limit).all(), hits / num_repeats


def test_normal_null_of_the_paper_would_not_hold_its_level_with_groups():
    """Equation 2's N(1/2, 1 / (4 n)) on the same rows: why the deals are needed."""
    random, num_repeats, hits = np.random.default_rng(5), 200, 0
    for repeat in range(num_repeats):
        units = deal(48, 48, rows_a_group=8, num_permutations=9, seed=repeat)
        rows = np.repeat(random.normal(size=(12, 3)), 8, axis=0) + 0.1 * random.normal(size=(96, 3))
        accuracy = classifier_two_sample(rows, units, seed=repeat).statistic
        hits += (accuracy - 0.5) / np.sqrt(1 / (4 * 96)) > 1.645
    assert hits / num_repeats > 0.1


@pytest.mark.parametrize("shift", [0.35, 0.7])
def test_moved_rows_are_found_with_an_effect_that_grows(shift):
    random = np.random.default_rng(6)
    rows = random.normal(size=(400, 5))
    rows[200:] += shift
    units = deal(200, 200, num_permutations=499)
    told, kernel = classifier_two_sample(rows, units, seed=0), kernel_two_sample(rows, units)
    assert told.p_value == kernel.p_value == 0.002
    assert told.effect == pytest.approx(told.statistic - 0.5) and told.effect > 0.3 * shift
    assert kernel.effect == pytest.approx(shift**2, rel=0.5)  # |difference|^2 / total variance of a linear kernel


def test_spread_alone_is_found_by_the_kernel():
    rows = np.random.default_rng(7).normal(size=(400, 5))
    rows[200:] *= 1.5
    assert kernel_two_sample(rows, deal(200, 200)).p_value == 0.01


def test_five_hundred_permutations_of_two_times_five_hundred_rows_take_well_under_a_second():
    rows = np.random.default_rng(8).normal(size=(1000, 30))
    units = deal(500, 500, num_permutations=500)
    kernel_two_sample(rows[:20], deal(10, 10))  # imports
    started = time.perf_counter()
    kernel_two_sample(rows, units)
    assert time.perf_counter() - started < 1.0


def test_rows_that_are_all_alike_tell_nothing():
    units = deal(20, 20)
    for found in (classifier_two_sample(np.ones((40, 2)), units, seed=0), kernel_two_sample(np.ones((40, 2)), units)):
        assert found.p_value == 1 and found.effect == 0


@pytest.mark.parametrize("rows", [np.zeros((39, 2)), np.zeros(40), np.full((40, 2), np.nan)])
def test_rows_that_do_not_fit_are_refused(rows):
    with pytest.raises(BadInputError):
        kernel_two_sample(rows, deal(20, 20))


def test_table_design_has_scores_flags_and_categories():
    import pandas as pd

    frame = pd.DataFrame(
        {
            "amount": [1.0, 2.0, np.nan, 1000.0] * 10,
            "kind": pd.Series(["a", "b", None, "b"] * 10, dtype=object),
            "is_new": [True, False] * 20,
            3: [7.0] * 40,
        }
    )
    design = table_design(frame)
    assert design.shape == (40, 1 + 1 + 3 + 2)  # score and flag, a / b / missing, both Booleans; the constant is gone
    assert np.isfinite(design).all() and np.abs(design[:, 0]).max() < 3
    places = principal_places(design)
    assert places.shape[0] == 40 and 1 <= places.shape[1] <= 7
    assert principal_places(np.ones((5, 3))).tolist() == [[0.0]] * 5
