"""Stability index and shift tests against plain loops and scipy."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, ks_2samp

from core.errors import BadInputError, BadParamsError
from core.evaluation.multiple_testing import benjamini_hochberg, holm
from core.evaluation.shift import population_stability_index, shift_table, stability_light


def index_by_loop(before_counts, after_counts):
    bins = len(before_counts)
    total = 0.0
    for before, after in zip(before_counts, after_counts, strict=True):
        e = (before + 0.5) / (sum(before_counts) + 0.5 * bins)
        a = (after + 0.5) / (sum(after_counts) + 0.5 * bins)
        total += (a - e) * math.log(a / e)
    return total


def test_stability_of_numbers_equals_loop_over_quantile_bins():
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=500), rng.normal(0.5, 1, size=300)
    after[:30] = np.nan
    edges = [-np.inf, *sorted(before)[99:499:100], np.inf]
    counts = [[int(((side > low) & (side <= high)).sum()) for low, high in pairwise(edges)] for side in (before, after)]
    wanted = index_by_loop([0, *counts[0]], [30, *counts[1]])
    assert population_stability_index(before, after, num_bins=5) == pytest.approx(wanted)


def test_stability_of_categories_equals_loop_with_new_and_missing_ones():
    before = np.array(["a"] * 6 + ["b"] * 4, dtype=object)
    after = np.array(["a"] * 2 + ["c"] * 3 + [None] * 1, dtype=object)
    wanted = index_by_loop([6, 4, 0, 0], [2, 0, 3, 1])
    assert population_stability_index(before, after, is_category=True) == pytest.approx(wanted)


def test_stability_of_equal_or_constant_columns_is_zero():
    values = np.random.default_rng(1).random(300)
    assert population_stability_index(values, values) == pytest.approx(0)
    assert population_stability_index(np.ones(10), np.ones(50)) == pytest.approx(0)
    assert population_stability_index(np.full(10, np.nan), np.full(10, np.nan)) == pytest.approx(0)


def test_stability_sees_a_move_below_a_constant():
    assert (
        population_stability_index(np.ones(100), np.zeros(100))
        + population_stability_index(np.ones(100), np.full(100, 2.0))
        > 1
    )


def test_stability_of_no_rows_is_refused():
    with pytest.raises(BadInputError, match="both sides"):
        population_stability_index(np.array([]), np.array([1.0]))


@pytest.mark.parametrize(("index", "light"), [(0.0999, "green"), (0.1, "amber"), (0.25, "amber"), (0.2501, "red")])
def test_stability_light_at_the_conventional_limits(index, light):
    assert stability_light(index) == light


@pytest.mark.parametrize(("correction", "adjust"), [("holm", holm), ("benjamini_hochberg", benjamini_hochberg)])
def test_shift_table_equals_scipy_and_its_correction(correction, adjust):
    rng = np.random.default_rng(2)
    before = pd.DataFrame(
        {"moved": rng.normal(size=400), "same": rng.normal(size=400), "kind": rng.choice(["a", "b"], 400)}
    )
    after = pd.DataFrame(
        {"moved": rng.normal(1, 1, 300), "same": rng.normal(size=300), "kind": rng.choice(["a", "b"], 300)}
    )
    before["empty"], after["empty"] = np.nan, np.nan
    table = shift_table(before, after, correction=correction).set_index("column")
    assert table.index[0] == "moved" and table.loc["moved", "light"] == "red"
    wanted = ks_2samp(before["moved"], after["moved"], method="asymp")
    assert table.loc["moved", ["statistic", "p_value"]].tolist() == pytest.approx([wanted.statistic, wanted.pvalue])
    counts = [frame["kind"].value_counts().sort_index() for frame in (before, after)]
    assert table.loc["kind", "p_value"] == pytest.approx(chi2_contingency(counts, correction=False).pvalue)
    np.testing.assert_allclose(table["p_adjusted"], adjust(table["p_value"].to_numpy()))
    assert table["is_shifted"].to_dict() == {"moved": True, "same": False, "kind": False, "empty": False}
    assert table.loc["empty", "missing_actual"] == 1


def test_shift_of_a_category_with_very_many_values_stays_finite():
    rng = np.random.default_rng(3)
    before = pd.DataFrame({"town": rng.integers(0, 400, 900).astype(str)})
    after = pd.DataFrame({"town": rng.integers(0, 400, 900).astype(str)})
    row = shift_table(before, after).iloc[0]
    assert row["psi"] < 0.25 and not row["is_shifted"]


def test_shift_of_unknown_columns_or_corrections_is_refused():
    frame = pd.DataFrame({"a": [1.0, 2]})
    with pytest.raises(BadInputError, match="'b' is not on both sides"):
        shift_table(frame, frame, columns=["b"])
    with pytest.raises(BadParamsError, match="holm"):
        shift_table(frame, frame, correction="hollm")
