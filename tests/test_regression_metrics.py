"""Rows, metrics and intervals of predicted numbers against plain loops over repeated rows; refusals by table."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import BadInputError, BadParamsError
from core.evaluation.metrics import Metric
from core.evaluation.resampling import resample_counts
from core.regression.intervals import bootstrap_value_interval
from core.regression.metrics import MEAN_ERROR, REGRESSION_METRICS
from core.regression.predicted_rows import PredictedRows

ERROR_RATE = 0.2


def make_rows(num_rows: int = 60, *, seed: int = 0, has_ties: bool = False) -> PredictedRows:
    """Sums in the thousands whose band misses about a fifth of them."""
    rng = np.random.default_rng(seed)
    truth = 5000 + 800 * rng.standard_normal(num_rows)
    value = truth + 300 * rng.standard_normal(num_rows) + 40
    if has_ties:
        truth, value = np.round(truth, -3), np.round(value, -3)
    return PredictedRows.checked(truth, value, value - 350, value + 400, error_rate=ERROR_RATE)


def score_by_loop(rows, places):
    total = 0.0
    for i in places:
        total += rows.high[i] - rows.low[i]
        if rows.truth[i] < rows.low[i]:
            total += 2 / ERROR_RATE * (rows.low[i] - rows.truth[i])
        if rows.truth[i] > rows.high[i]:
            total += 2 / ERROR_RATE * (rows.truth[i] - rows.high[i])
    return total / len(places)


def r2_by_loop(rows, places):
    centre = sum(rows.truth[i] for i in places) / len(places)
    missed = sum((rows.truth[i] - rows.value[i]) ** 2 for i in places)
    return 1 - missed / sum((rows.truth[i] - centre) ** 2 for i in places)


# Each gets the rows and the places (M,) of the rows drawn, a row that was drawn twice being there twice.
ORACLES = {
    "mae": lambda rows, places: sum(abs(rows.value[i] - rows.truth[i]) for i in places) / len(places),
    "rmse": lambda rows, places: (sum((rows.value[i] - rows.truth[i]) ** 2 for i in places) / len(places)) ** 0.5,
    "r2": r2_by_loop,
    "median_absolute_error": lambda rows, places: np.median([abs(rows.value[i] - rows.truth[i]) for i in places]),
    "coverage": lambda rows, places: np.mean([rows.low[i] <= rows.truth[i] <= rows.high[i] for i in places]),
    "band_width": lambda rows, places: sum(rows.high[i] - rows.low[i] for i in places) / len(places),
    "interval_score": score_by_loop,
    "mean_error": lambda rows, places: sum(rows.value[i] - rows.truth[i] for i in places) / len(places),
}
BANDS = {"coverage", "band_width", "interval_score"}


def metric_named(name: str) -> Metric:
    return MEAN_ERROR if name == "mean_error" else REGRESSION_METRICS[name]


def test_oracles_cover_the_registry_and_say_which_need_a_band():
    assert set(ORACLES) == {*REGRESSION_METRICS, "mean_error"}
    assert {name for name in REGRESSION_METRICS if REGRESSION_METRICS[name].needs_band} == BANDS
    assert {n for n in REGRESSION_METRICS if REGRESSION_METRICS[n].is_higher_better} == {"r2", "coverage"}


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("has_ties", [False, True])
@pytest.mark.parametrize("num_rows", [60, 61])
def test_metric_with_row_counts_equals_loop_over_repeated_rows(name, has_ties, num_rows):
    rows = make_rows(num_rows, has_ties=has_ties)
    uneven = np.zeros((1, num_rows))
    uneven[0, :5] = 3, 1, 4, 2, 1  # 11 rows in all: an odd number
    counts = np.concatenate([*resample_counts(num_rows, 6, seed=1), uneven])
    wanted = [ORACLES[name](rows, np.repeat(np.arange(num_rows), count.astype(int))) for count in counts]
    np.testing.assert_allclose(metric_named(name).weighted(rows, counts), wanted, rtol=1e-10)
    assert metric_named(name).of_rows(rows) == pytest.approx(ORACLES[name](rows, range(num_rows)))


def test_metrics_of_rows_worked_by_hand():
    rows = PredictedRows.checked([0, 10, 20, 50], [1, 8, 20, 40], [0, 9, 18, 30], [2, 12, 22, 45], error_rate=0.5)
    by_hand = {
        "mae": 13 / 4,
        "rmse": (105 / 4) ** 0.5,
        "r2": 1 - 105 / 1400,
        "median_absolute_error": 1.5,
        "coverage": 3 / 4,
        "band_width": 24 / 4,
        "interval_score": (24 + 4 * 5) / 4,
        "mean_error": -11 / 4,
    }
    assert {name: metric_named(name).of_rows(rows) for name in by_hand} == pytest.approx(by_hand)


@pytest.mark.parametrize("name", ORACLES)
def test_metric_of_a_replicate_without_rows_is_missing_and_leaves_the_others(name):
    rows = make_rows()
    counts = np.stack([np.zeros(60), np.ones(60)])
    got = metric_named(name).weighted(rows, counts)
    assert np.isnan(got[0]) and got[1] == pytest.approx(metric_named(name).of_rows(rows))


@pytest.mark.parametrize("constant", [0.0, 0.1, 123_456.7])
def test_r2_of_a_replicate_without_spread_is_missing(constant):
    rows = PredictedRows.checked([constant, constant, constant + 1], [1.0, 2.0, 3.0])
    got = REGRESSION_METRICS["r2"].weighted(rows, np.array([[2.0, 1, 0], [0, 0, 3], [1, 1, 1]]))
    assert np.isnan(got[:2]).all() and np.isfinite(got[2])


def test_r2_of_large_values_with_little_spread_keeps_its_digits():
    rows = make_rows()
    moved = PredictedRows.checked(rows.truth + 1e9, rows.value + 1e9)
    assert REGRESSION_METRICS["r2"].of_rows(moved) == pytest.approx(REGRESSION_METRICS["r2"].of_rows(rows), rel=1e-6)


def test_interval_score_is_lowest_for_the_true_quantiles():
    truth = np.random.default_rng(3).standard_normal(20_000)
    scores = {
        half: REGRESSION_METRICS["interval_score"].of_rows(
            PredictedRows.checked(
                truth, 0 * truth, np.full(len(truth), -half), np.full(len(truth), half), error_rate=0.2
            )
        )
        for half in (0.9, 1.2816, 1.8)
    }
    assert min(scores, key=scores.get) == 1.2816


@pytest.mark.parametrize("name", sorted(BANDS))
def test_metric_of_bands_without_a_band_is_refused(name):
    with pytest.raises(BadInputError, match="60 rows have no band"):
        REGRESSION_METRICS[name].of_rows(PredictedRows.checked(make_rows().truth, make_rows().value))


def test_interval_score_without_an_error_rate_is_refused():
    rows = PredictedRows.checked([1.0], [1.0], [0.0], [2.0])
    assert REGRESSION_METRICS["coverage"].of_rows(rows) == 1
    with pytest.raises(BadInputError, match="no error_rate"):
        REGRESSION_METRICS["interval_score"].of_rows(rows)


def test_unknown_regression_metric_names_the_nearest():
    with pytest.raises(BadParamsError, match="rmse"):
        REGRESSION_METRICS["rmsee"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "no rows"),
        (([1, 2], [1]), "value has 1 rows, expected 2"),
        (([[1, 2]], [1, 2]), "truth has shape (1, 2)"),
        (([1, np.nan], [1, 2]), "1 of 2 truth numbers are missing"),
        (([1, 2], [np.inf, np.inf]), "2 of 2 value numbers are missing"),
        (([1, "many"], [1, 2]), "truth holds something that is no number"),
        (([1, 2], [1, 2], [0, 1]), "low is given without high"),
        (([1, 2], [1, 2], None, [0, 1]), "high is given without low"),
        (([1, 2], [1, 2], [0, 3], [2, 2]), "In 1 of 2 rows low is above high"),
        (([1, 2], [1, 2], [0, -np.inf], [2, 2]), "fitted on too few rows"),
        (([1, 2], [1, 2], [0], [2, 2]), "low has 1 rows"),
        (([1, 2], [1, 2], [0, 1], [2, 2], 90), "error_rate is 90"),
        (([1, 2], [1, 2], None, None, 0.1), "there is no band"),
    ],
)
def test_predicted_rows_that_cannot_be_evaluated_are_refused(arguments, message):
    *arrays, error_rate = [*arguments, None] if len(arguments) < 5 else arguments
    with pytest.raises(BadInputError) as caught:
        PredictedRows.checked(*arrays, error_rate=error_rate)
    assert message in str(caught.value)


def test_band_without_width_is_a_band():
    rows = PredictedRows.checked([1, 2], [1, 3], [1, 3], [1, 3], error_rate=0.5)
    assert [REGRESSION_METRICS[name].of_rows(rows) for name in ("coverage", "band_width")] == [0.5, 0]
    assert REGRESSION_METRICS["interval_score"].of_rows(rows) == 2


def test_part_of_rows_has_the_same_rows_of_everything():
    rows = make_rows()
    mask = rows.truth > 5000
    part = rows.part(mask)
    assert len(part) == mask.sum() and part.error_rate == ERROR_RATE
    for name in ("truth", "value", "low", "high", "error"):
        np.testing.assert_array_equal(getattr(part, name), getattr(rows, name)[mask])
    assert rows.has_band and not PredictedRows.checked([1], [1]).part(np.array([True])).has_band


@pytest.mark.parametrize("name", ["mae", "r2", "interval_score", "mean_error"])
def test_bootstrap_value_interval_equals_loop_over_repeated_rows(name):
    rows = make_rows()
    got = bootstrap_value_interval(metric_named(name), rows, num_bootstrap=200, confidence=0.9, seed=5)
    values = [
        ORACLES[name](rows, np.repeat(np.arange(60), count.astype(int)))
        for count in np.concatenate(list(resample_counts(60, 200, seed=5)))
    ]
    assert (got.low, got.high) == pytest.approx(tuple(np.quantile(values, [0.05, 0.95])))
    assert got.value == pytest.approx(ORACLES[name](rows, range(60))) and got.confidence == 0.9


@pytest.mark.parametrize(("name", "least"), [("mae", 0.9), ("rmse", 0.88), ("r2", 0.88), ("mean_error", 0.9)])
def test_bootstrap_value_interval_covers_the_truth(name, least):
    """Nominal 95 % on 150 rows, 200 draws: two standard errors of the share are 0.03."""
    truth = metric_named(name).of_rows(make_rows(200_000, seed=0))
    found = [
        bootstrap_value_interval(metric_named(name), make_rows(150, seed=seed), num_bootstrap=200, seed=seed)
        for seed in range(1, 201)
    ]
    assert least <= np.mean([interval.low <= truth <= interval.high for interval in found]) <= 0.99


def test_bootstrap_by_groups_is_wider_for_copied_rows():
    rows, copied = make_rows(100), np.repeat(np.arange(100), 9)
    copies = rows.part(copied)
    alone, naive, grouped = (
        bootstrap_value_interval(REGRESSION_METRICS["mae"], part, groups=groups)
        for part, groups in ((rows, None), (copies, None), (copies, copied))
    )
    assert naive.high - naive.low < 0.5 * (alone.high - alone.low)
    assert grouped.high - grouped.low == pytest.approx(alone.high - alone.low, rel=0.15)


def test_r2_of_equal_true_values_is_refused_with_its_reason():
    with pytest.raises(BadInputError, match="all true values are 3"):
        bootstrap_value_interval(REGRESSION_METRICS["r2"], PredictedRows.checked([3, 3, 3], [1, 2, 3]))
    rows = PredictedRows.checked([3.0] * 9 + [4.0], np.arange(10.0))
    groups = np.r_[np.zeros(9), 1.0]  # of two groups half of the replicates hold only one; a seed with more of them
    with pytest.raises(BadInputError, match=r"undefined in \d+ of 9 bootstrap replicates"):
        bootstrap_value_interval(REGRESSION_METRICS["r2"], rows, groups=groups, num_bootstrap=9, seed=1)
