"""Deals of whole groups: counts, sums, p-values by plain loops; drawing whole groups."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from math import comb

import numpy as np
import pytest

from core.errors import BadInputError
from core.lifecycle.monitor.drawn_rows import draw_sides
from core.lifecycle.monitor.permuted_units import PermutedUnits, permutation_p_value

REFERENCE = np.array(["b", "a", "b", "c", "a"])
BATCH = np.array(["x", "b", "x"])


def test_deals_keep_groups_whole_and_their_number():
    units = PermutedUnits.deal(REFERENCE, BATCH, num_permutations=200, seed=0)
    assert units.names.tolist() == [*REFERENCE, *BATCH] and units.num_reference == 5
    assert len(set(units.unit)) == 5 and len(units.sizes) == 5  # b of the batch is not b of the reference
    assert units.sizes[units.unit].tolist() == [2, 2, 2, 1, 2, 2, 1, 2]
    assert units.sides[units.unit][:, 0].tolist() == [0] * 5 + [1] * 3
    assert (units.sides.sum(axis=0) == 2).all()
    for deal in units.sides.T[:20]:
        assert units.sizes @ deal == sum(deal[unit] for unit in units.unit)
    assert units.batch_rows[0] == 3


def test_deals_are_all_as_likely_as_each_other():
    units = PermutedUnits.deal(REFERENCE, BATCH, num_permutations=20_000, seed=1)
    seen = Counter(tuple(np.flatnonzero(deal)) for deal in units.sides.T[1:])
    assert set(seen) == set(combinations(range(5), 2))
    assert max(abs(count / 20_000 - 0.1) for count in seen.values()) < 0.01
    assert units.smallest_p_value == 1 / comb(5, 2)


def test_sums_equal_a_loop():
    units = PermutedUnits.deal(REFERENCE, BATCH, num_permutations=2, seed=0)
    values = np.random.default_rng(0).normal(size=(8, 3))
    wanted = np.zeros((5, 3))
    for row, unit in enumerate(units.unit):
        wanted[unit] += values[row]
    np.testing.assert_allclose(units.sums(values), wanted)
    np.testing.assert_allclose(units.sums(values[:, 0]), wanted[:, 0])
    alone = PermutedUnits.deal(np.array(["3", "1", "2"]), np.array(["1", "2"]), num_permutations=2, seed=0)
    assert alone.sums(np.arange(5.0))[alone.unit].tolist() == [0, 1, 2, 3, 4]


def test_one_group_on_a_side_is_refused():
    with pytest.raises(BadInputError, match="3 and 1 groups"):
        PermutedUnits.deal(REFERENCE, np.array(["x", "x"]), num_permutations=10, seed=0)


@pytest.mark.parametrize(
    ("statistics", "wanted"),
    [
        ([3, 1, 2, 4], 2 / 4),
        ([3, 3, 3 + 1e-14, 0], 3 / 4),
        ([9, 0, 0, 0], 1 / 4),
        ([1, np.nan, 0, 0], 2 / 4),
        ([np.inf, 0, np.inf, 1], 2 / 4),
    ],
)
def test_permutation_p_value_counts_the_seen_and_ties(statistics, wanted):
    assert permutation_p_value(np.array(statistics, dtype=float)) == wanted


def test_permutation_p_value_without_a_statistic_is_missing():
    assert np.isnan(permutation_p_value(np.array([np.nan, 1.0])))


def test_sides_that_fit_are_drawn_whole():
    first, second = draw_sides(np.repeat(["a", "b"], 50), np.arange(100), 100, seed=0)
    assert first.tolist() == second.tolist() == list(range(100))


def test_drawn_rows_are_whole_groups_and_large_ones_are_cut_on_both_sides():
    groups = np.repeat(np.arange(300), 3).astype(str)
    large = np.concatenate([np.repeat("large", 30), np.arange(20).astype(str)])
    first, second = draw_sides(groups, large, 100, seed=0)
    assert len(first) == 99 and set(Counter(groups[first]).values()) == {3}
    assert Counter(large[second])["large"] == 5 and len(second) == 25
    again, _ = draw_sides(groups, large, 100, seed=0)
    other, _ = draw_sides(groups, large, 100, seed=1)
    assert first.tolist() == again.tolist() != other.tolist()
