"""Conformal bands: ranks by hand, the promise of rows, tails and groups by simulation, refusals, what is saved."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.errors import BadInputError
from core.regression.conformal_band import ConformalBand
from core.regression.metrics import REGRESSION_METRICS
from core.regression.predicted_rows import PredictedRows

# 400 calibration sets with 200 new rows each: three standard errors of the share of misses are below 0.006.
NUM_SETS, NUM_NEW, TOLERANCE = 400, 200, 0.006


def skewed(num_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, value and scale; errors are skewed (long upwards) and grow with the scale."""
    rng = np.random.default_rng(seed)
    value, scale = rng.uniform(0, 10, num_rows), rng.uniform(0.2, 3, num_rows)
    return value + scale * (rng.gamma(1.5, 1.0, num_rows) - 1), value, scale


def missed(seed: int, *, num_rows: int = 60, has_scale: bool = False, **options):
    """(below, above): masks (M,) of new rows that are outside on either side, and their scale."""
    truth, value, scale = skewed(num_rows, seed)
    band = ConformalBand.fit(truth, value, scale=scale if has_scale else None, **options)
    truth, value, scale = skewed(NUM_NEW, 100_000 + seed)
    low, high = band.transform(value, scale if has_scale else None)
    return truth < low, truth > high, scale


@pytest.mark.parametrize("error_rate", [0.05, 0.1, 0.29, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("num_rows", [39, 57, 99])
def test_symmetric_band_goes_as_far_as_the_ranked_residual(error_rate, num_rows):
    truth, value, scale = skewed(num_rows, 0)
    residuals = sorted(abs(t - v) / s for t, v, s in zip(truth, value, scale, strict=True))
    rank = next(k for k in range(1, num_rows + 1) if k / (num_rows + 1) >= 1 - error_rate - 1e-12)
    band = ConformalBand.fit(truth, value, error_rate=error_rate, scale=scale)
    assert band.below == band.above == residuals[rank - 1] and band.num_units == num_rows
    low, high = band.transform(np.array([5.0, 7.0]), np.array([1.0, 2.0]))
    assert low == pytest.approx([5 - band.below, 7 - 2 * band.below])
    assert high == pytest.approx([5 + band.above, 7 + 2 * band.above])


def test_asymmetric_band_ranks_both_tails_apart():
    truth, value, _ = skewed(99, 1)
    band = ConformalBand.fit(truth, value, error_rate=0.1, is_symmetric=False)
    residuals = sorted(truth - value)
    assert band.above == residuals[95 - 1] and band.below == -residuals[100 - 95 - 1]
    assert band.below < band.above


def test_asymmetric_band_of_predictions_that_are_always_too_low_lies_above_them():
    truth, value, _ = skewed(99, 2)
    band = ConformalBand.fit(truth, value - 50, error_rate=0.2, is_symmetric=False)
    low, high = band.transform(value - 50)
    assert band.below < 0 and (low > value - 50).all() and (low <= high).all()


@pytest.mark.parametrize("has_scale", [False, True])
def test_band_misses_new_rows_as_often_as_promised(has_scale):
    """Of 60 rows rank 55 is taken: exactly 55 / 61 of new rows are inside, on average."""
    found = [missed(seed, error_rate=0.1, has_scale=has_scale)[:2] for seed in range(NUM_SETS)]
    share = np.mean([below | above for below, above in found])
    assert share == pytest.approx(1 - 55 / 61, abs=TOLERANCE) and share <= 0.1 + TOLERANCE


def test_asymmetric_band_misses_each_tail_as_often_as_promised():
    """Of 60 rows rank 58 of both tails; the symmetric band leaves nearly all misses to the long tail."""
    found = [missed(seed, error_rate=0.1, is_symmetric=False)[:2] for seed in range(NUM_SETS)]
    below, above = np.mean(found, axis=(0, 2))
    assert (below, above) == pytest.approx((1 - 58 / 61, 1 - 58 / 61), abs=TOLERANCE)
    symmetric = np.mean([missed(seed, error_rate=0.1)[:2] for seed in range(NUM_SETS)], axis=(0, 2))
    assert symmetric[0] < 0.1 * symmetric[1]


def test_band_with_scale_is_as_good_for_rows_with_large_errors():
    def miss_rate_of_the_wild(*, has_scale):
        found = [missed(seed, error_rate=0.1, has_scale=has_scale) for seed in range(NUM_SETS)]
        return np.concatenate([(below | above)[scale > 2] for below, above, scale in found]).mean()

    assert miss_rate_of_the_wild(has_scale=False) > 0.16
    assert miss_rate_of_the_wild(has_scale=True) == pytest.approx(1 - 55 / 61, abs=0.01)


def borrowers(num_groups: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, value and group of 5 rows a group, which share most of their error."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(num_groups), 5)
    error = rng.standard_normal(num_groups)[groups] + 0.5 * rng.standard_normal(len(groups))
    return error, np.zeros(len(groups)), groups


def share_of_groups_inside(*, is_grouped: bool) -> float:
    found = []
    for seed in range(NUM_SETS):
        truth, value, groups = borrowers(39, seed)
        band = ConformalBand.fit(truth, value, error_rate=0.1, groups=groups if is_grouped else None)
        truth, value, groups = borrowers(NUM_NEW, 100_000 + seed)
        low, high = band.transform(value)
        found.append(((low <= truth) & (truth <= high)).reshape(NUM_NEW, 5).all(axis=1).mean())
    return float(np.mean(found))


def test_band_by_groups_holds_all_rows_of_new_groups_as_promised():
    """Of 39 groups rank 36 is taken; a band by rows holds far fewer groups whole."""
    assert share_of_groups_inside(is_grouped=True) == pytest.approx(36 / 40, abs=0.01)
    assert share_of_groups_inside(is_grouped=False) < 0.85


def test_band_by_groups_equals_loop_over_the_largest_residuals():
    truth, value, groups = borrowers(39, 3)
    names = np.array([f"b{number}" for number in groups])
    largest = sorted(max(abs(truth[i]) for i in range(len(truth)) if groups[i] == g) for g in range(39))
    band = ConformalBand.fit(truth, value, error_rate=0.1, groups=names)
    assert band.above == largest[36 - 1] and band.num_units == 39
    low_high = ConformalBand.fit(truth, value, error_rate=0.2, groups=names, is_symmetric=False)
    tops = sorted(max(truth[i] for i in range(len(truth)) if groups[i] == g) for g in range(39))
    assert low_high.above == tops[36 - 1]


@pytest.mark.parametrize(
    ("num_rows", "is_symmetric", "is_finite"),
    [(8, True, False), (9, True, True), (18, False, False), (19, False, True)],
)
def test_band_of_too_few_rows_is_infinite(num_rows, is_symmetric, is_finite):
    truth, value, _ = skewed(num_rows, 4)
    band = ConformalBand.fit(truth, value, error_rate=0.1, is_symmetric=is_symmetric)
    low, high = band.transform(value)
    assert np.isfinite(low).all() == np.isfinite(high).all() == is_finite
    if not is_finite:
        with pytest.raises(BadInputError, match="too few rows"):
            PredictedRows.checked(truth, value, low, high)


@pytest.mark.parametrize("num_rows", [5, 60])
def test_band_saved_and_loaded_is_equal(num_rows):
    truth, value, scale = skewed(num_rows, 5)
    band = ConformalBand.fit(truth, value, error_rate=0.1, scale=scale, is_symmetric=False)
    again = ConformalBand.from_dict(json.loads(json.dumps(band.to_dict(), allow_nan=False)))
    assert again == band
    np.testing.assert_array_equal(again.transform(value, scale), band.transform(value, scale))


def test_band_with_scale_has_a_better_interval_score():
    truth, value, scale = skewed(500, 6)
    new_truth, new_value, new_scale = skewed(2000, 7)
    scores = []
    for fitted, used in ((None, None), (scale, new_scale)):
        ends = ConformalBand.fit(truth, value, error_rate=0.1, scale=fitted).transform(new_value, used)
        rows = PredictedRows.checked(new_truth, new_value, *ends, error_rate=0.1)
        scores.append(REGRESSION_METRICS["interval_score"].of_rows(rows))
    assert scores[1] < 0.9 * scores[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"error_rate": 1.0}, "error_rate is 1.0"),
        ({"error_rate": 0}, "error_rate is 0"),
        ({"value": np.zeros(9)}, "value has 9 rows, expected 10"),
        ({"truth": np.full(10, np.nan)}, "10 of 10 truth numbers are missing"),
        ({"scale": np.zeros(10)}, "smallest scale is 0, expected above 0"),
        ({"scale": np.ones(9)}, "scale has 9 rows"),
        ({"groups": np.arange(9)}, "groups has 9 rows"),
        ({"groups": np.array([None] + ["a"] * 9, dtype=object)}, "1 of 10 groups are missing"),
    ],
)
def test_band_of_rows_that_do_not_fit_is_refused(changes, message):
    options = {"truth": np.arange(10.0), "value": np.zeros(10), "error_rate": 0.2} | changes
    with pytest.raises(BadInputError) as caught:
        ConformalBand.fit(options.pop("truth"), options.pop("value"), **options)
    assert message in str(caught.value)


def test_band_with_a_scale_on_one_side_only_is_refused():
    truth, value, scale = skewed(30, 8)
    with pytest.raises(BadInputError, match="fitted with a scale and is used without one"):
        ConformalBand.fit(truth, value, scale=scale).transform(value)
    with pytest.raises(BadInputError, match="fitted without a scale and is used with one"):
        ConformalBand.fit(truth, value).transform(value, scale)
