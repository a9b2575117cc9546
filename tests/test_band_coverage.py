"""Coverage of a band against its promise, the gain over one number, and numbers in words."""

import numpy as np
import pytest
from scipy.stats import beta, binom

from core.errors import BadInputError
from core.evaluation.intervals import wilson_interval
from core.regression.band_coverage import band_coverage
from core.regression.conformal_band import ConformalBand
from core.regression.naive_gain import naive_gain
from core.regression.predicted_rows import PredictedRows
from core.regression.quantity import in_unit, metric_text, number_text, with_unit


def measure(*, num_calibration=60, num_test=200, seed=0, widen=1.0, is_symmetric=True, group_size=1):
    """`band_coverage` of normal errors; rows of a group share half of theirs."""
    random = np.random.default_rng(seed)

    def errors(num_rows):
        shared = np.repeat(random.normal(size=-(-num_rows // group_size)), group_size)[:num_rows]
        return (shared + random.normal(size=num_rows)) / 2

    def groups(num_rows):
        return None if group_size == 1 else np.arange(num_rows) // group_size

    zeros = np.zeros(num_calibration)
    band = ConformalBand.fit(errors(num_calibration), zeros, groups=groups(num_calibration), is_symmetric=is_symmetric)
    value = np.zeros(num_test)
    low, high = band.transform(value)
    rows = PredictedRows.checked(widen * errors(num_test), value, low, high, error_rate=0.1)
    return band_coverage(rows, band, is_symmetric=is_symmetric, groups=groups(num_test)), rows, groups(num_test)


def test_band_coverage_p_value_equals_the_binomial_averaged_over_the_beta_law():
    found, _, _ = measure(num_calibration=99, num_test=50)
    rank = 90  # ceil(100 * 0.9)
    shares = beta(rank, 100 - rank).ppf((np.arange(20_000) + 0.5) / 20_000)
    expected = binom(50, shares).cdf(found["num_inside"]).mean()
    assert found["p_value"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("is_symmetric", "group_size"), [(True, 1), (False, 1), (True, 4), (False, 4)])
def test_band_coverage_finds_fault_with_honest_bands_as_seldom_as_it_says(is_symmetric, group_size):
    told = [
        measure(
            seed=seed, is_symmetric=is_symmetric, group_size=group_size, num_calibration=60 * group_size,
            num_test=200 * group_size,
        )[0]
        for seed in range(400)
    ]  # fmt: skip
    assert np.mean([found["p_value"] < 0.025 for found in told]) <= 0.045  # two standard errors and a half above
    assert np.mean([found["p_value"] < 0.5 for found in told]) > 0.25  # and it does see something
    if is_symmetric:  # an interval of the test units alone would be wrong far more often
        assert np.mean([found["high"] < 0.9 for found in told]) > 0.1


@pytest.mark.parametrize("is_symmetric", [True, False])
def test_band_coverage_finds_bands_that_are_too_narrow(is_symmetric):
    told = [measure(seed=seed, widen=1.6, is_symmetric=is_symmetric)[0] for seed in range(40)]
    assert np.mean([found["p_value"] < 0.025 for found in told]) > 0.6


def test_band_coverage_counts_rows_and_whole_groups():
    found, rows, groups = measure(group_size=4, num_calibration=120, num_test=120)
    is_inside = [low <= truth <= high for truth, low, high in zip(rows.truth, rows.low, rows.high, strict=True)]
    by_group = [all(is_inside[start : start + 4]) for start in range(0, 120, 4)]
    assert (found["units"], found["num_units"], found["num_calibration_units"]) == ("groups", 30, 30)
    assert found["num_inside"] == sum(by_group) and found["share"] == pytest.approx(sum(by_group) / 30)
    assert (found["low"], found["high"]) == pytest.approx(wilson_interval(sum(by_group), 30))
    assert groups is not None


def test_band_coverage_refuses_what_has_no_band_or_no_end():
    band = ConformalBand.fit(np.arange(3.0), np.zeros(3))
    rows = PredictedRows.checked(np.zeros(3), np.zeros(3), np.zeros(3), np.ones(3))
    with pytest.raises(BadInputError, match="no end"):
        band_coverage(rows, band, is_symmetric=True)
    with pytest.raises(BadInputError, match="have no band"):
        band_coverage(PredictedRows.checked(np.zeros(3), np.zeros(3)), band, is_symmetric=True)
    whole = ConformalBand.fit(np.arange(20.0), np.zeros(20))
    with pytest.raises(BadInputError, match="groups has 2 rows"):
        band_coverage(rows, whole, is_symmetric=True, groups=np.array(["a", "b"]))


def test_naive_gain_is_paired_and_resamples_whole_groups():
    random = np.random.default_rng(0)
    truth = random.normal(100.0, 10.0, 120)
    rows = PredictedRows.checked(truth, truth + random.normal(0.0, 1.0, 120))
    found = naive_gain(rows, 100.0, num_bootstrap=300)
    naive = np.abs(truth - 100.0).mean()
    assert found["mae"]["value"] == pytest.approx(naive)
    assert found["gain"]["value"] == pytest.approx(naive - np.abs(rows.error).mean())
    assert found["gain"]["p_value"] == pytest.approx(2 / 301)
    shifted = PredictedRows.checked(truth, np.where(truth > 100.0, 99.0, 101.0))
    gain = naive_gain(shifted, 100.0, num_bootstrap=300)["gain"]
    assert gain["value"] == pytest.approx(-1.0) and gain["high"] == pytest.approx(-1.0)  # paired: no spread at all
    by_group = naive_gain(rows, 100.0, num_bootstrap=300, groups=np.repeat(np.arange(6), 20))
    assert by_group["mae"]["low"] != found["mae"]["low"] and by_group["mae"]["value"] == found["mae"]["value"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (12345.6, "12,346 EUR"), (999.96, "1,000 EUR"), (877.0, "877.0 EUR"), (-580.04, "-580.0 EUR"),
        (0.0123456, "0.01235 EUR"), (0.0, "0.000 EUR"), (None, "– EUR"),
    ],
)  # fmt: skip
def test_number_has_four_digits_and_its_unit(value, expected):
    assert in_unit(value, "EUR") == expected


def test_numbers_in_words():
    assert number_text(5.0, sign=True) == "+5.000" and number_text(-1234.0, sign=True) == "-1,234"
    assert with_unit("cost", "EUR") == "cost (EUR)" and with_unit("cost", "") == "cost" and in_unit(2.0, "") == "2.000"
    assert metric_text("coverage", 0.9, "EUR") == "90.0%" and metric_text("r2", 0.5, "EUR") == "0.500"
    assert metric_text("mae", 12.0, "days") == "12.00 days"
