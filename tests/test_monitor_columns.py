"""Column tests of the monitor: scipy and plain loops as oracles, missing values, the level with groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, ks_2samp

from core.lifecycle.monitor.column_tests import (
    MAX_CATEGORIES,
    category_codes,
    chi_square_statistics,
    is_number_column,
    kolmogorov_smirnov_distances,
    number_codes,
    number_values,
)
from core.lifecycle.monitor.permuted_units import PermutedUnits, permutation_p_value


def deal(num_reference, num_batch, *, rows_a_group=1, num_permutations=199, seed=0):
    groups = [np.arange(num) // rows_a_group for num in (num_reference, num_batch)]
    return PermutedUnits.deal(*groups, num_permutations=num_permutations, seed=seed)


def test_ks_distance_equals_scipy_in_every_deal():
    values = np.round(np.random.default_rng(0).normal(size=90), 1)  # with ties
    units = deal(60, 30, rows_a_group=3, num_permutations=20)
    distances = kolmogorov_smirnov_distances(number_codes(values), units)
    for deal_of_rows, distance in zip(units.sides[units.unit].T, distances, strict=True):
        is_batch = deal_of_rows > 0
        assert distance == pytest.approx(ks_2samp(values[~is_batch], values[is_batch]).statistic)


def test_ks_distance_is_of_the_values_that_are_there():
    values = np.array([np.nan, 1, 2, 3, np.nan, np.nan, 3, 2.5])
    distance = kolmogorov_smirnov_distances(number_codes(values), deal(4, 4))[0]
    assert distance == pytest.approx(ks_2samp([1, 2, 3], [3, 2.5]).statistic)
    values[4:] = np.nan
    assert np.isnan(kolmogorov_smirnov_distances(number_codes(values), deal(4, 4))[0])


def test_chi_square_equals_scipy_in_every_deal():
    words = np.random.default_rng(1).choice(["a", "b", "c"], 80).astype(object)
    words[:5] = None
    units = deal(50, 30, num_permutations=20)
    codes = category_codes(pd.Series(words))
    statistics = chi_square_statistics(codes, units)
    for deal_of_rows, statistic in zip(units.sides[units.unit].T, statistics, strict=True):
        table = [[((codes == code) & (deal_of_rows == side)).sum() for code in range(4)] for side in (0, 1)]
        assert statistic == pytest.approx(chi2_contingency(table, correction=False).statistic)


def test_codes_of_many_categories_pool_the_rare_ones():
    words = pd.Series([f"w{k}" for k in range(60) for _ in range(60 - k)])
    codes = category_codes(words)
    assert codes.max() == MAX_CATEGORIES - 1
    of_pool = set(words[codes == MAX_CATEGORIES - 1])
    assert of_pool == {f"w{k}" for k in range(MAX_CATEGORIES - 1, 60)}


def test_constant_and_empty_columns_have_no_distance():
    units = deal(10, 10)
    assert (kolmogorov_smirnov_distances(number_codes(np.ones(20)), units) == 0).all()
    assert np.isnan(kolmogorov_smirnov_distances(number_codes(np.full(20, np.nan)), units)).all()
    assert (chi_square_statistics(category_codes(pd.Series([None] * 20)), units) == 0).all()


@pytest.mark.parametrize(
    ("values", "wanted"),
    [([1, 2], True), ([1.5, None], True), ([True, False], False), (["a", "b"], False)],
)
def test_kind_of_a_column(values, wanted):
    assert is_number_column(pd.Series(values)) is wanted


def test_number_values_read_nullable_and_infinite_ones_as_missing():
    assert np.isnan(number_values(pd.Series([1, None], dtype="Int64"))).tolist() == [False, True]
    assert np.isnan(number_values(pd.Series([1, np.inf]))).tolist() == [False, True]


@pytest.mark.parametrize("is_number", [True, False])
def test_level_holds_when_rows_of_a_group_are_alike(is_number):
    """Four rows a group that share most of their value: rows taken as independent would alarm far too often."""
    random, hits, naive = np.random.default_rng(2), 0, 0
    num_repeats = 400
    for repeat in range(num_repeats):
        units = deal(120, 80, rows_a_group=4, num_permutations=99, seed=repeat)
        values = np.repeat(random.normal(size=50), 4) + 0.3 * random.normal(size=200)
        if is_number:
            statistics = kolmogorov_smirnov_distances(number_codes(values), units)
            naive += ks_2samp(values[:120], values[120:]).pvalue <= 0.05
        else:
            codes = np.digitize(values, [-0.5, 0.5])
            statistics = chi_square_statistics(codes, units)
            table = [[(part == code).sum() for code in range(3)] for part in (codes[:120], codes[120:])]
            naive += chi2_contingency(table, correction=False).pvalue <= 0.05
        hits += permutation_p_value(statistics) <= 0.05
    assert hits / num_repeats < 0.05 + 3 * np.sqrt(0.05 * 0.95 / num_repeats)
    assert hits / num_repeats > 0.01
    assert naive / num_repeats > 0.15


def test_moved_column_is_found():
    random = np.random.default_rng(3)
    units = deal(200, 200, num_permutations=999)
    values = np.concatenate([random.normal(size=200), random.normal(0.6, 1, 200)])
    assert permutation_p_value(kolmogorov_smirnov_distances(number_codes(values), units)) == 0.001
