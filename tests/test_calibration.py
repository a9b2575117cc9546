"""Calibrators against their likelihoods, the contract over their registry, the band and the table."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.isotonic import isotonic_regression

from core.errors import BadInputError
from core.evaluation.calibration import CALIBRATORS, calibration_table
from core.evaluation.calibration_band import CalibrationBand
from core.evaluation.metrics import METRICS


def overconfident(num_rows: int, num_classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities whose logits are twice as large as they should be."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(num_rows, num_classes)) * 1.3
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random((num_rows, 1)) > np.cumsum(true, axis=1)).sum(axis=1).clip(max=num_classes - 1)
    told = np.exp(2 * logits) / np.exp(2 * logits).sum(axis=1, keepdims=True)
    return told, labels


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("name", CALIBRATORS)
def test_calibrator_after_json_round_trip_is_equal_to_the_bit(name, num_classes):
    probability, labels = overconfident(300, num_classes)
    fitted = CALIBRATORS[name]().fit(probability, labels)
    loaded = CALIBRATORS[name].from_dict(json.loads(json.dumps(fitted.to_dict())))
    edge = np.eye(num_classes)
    for rows in (probability, edge):
        told = fitted.transform(rows)
        np.testing.assert_array_equal(told, loaded.transform(rows))
        np.testing.assert_allclose(told.sum(axis=1), 1)
        assert ((told >= 0) & (told <= 1)).all()


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("name", sorted(set(CALIBRATORS) - {"none"}))
def test_calibrator_on_fresh_overconfident_rows_lowers_log_loss(name, num_classes):
    calibrator = CALIBRATORS[name]().fit(*overconfident(2000, num_classes, seed=1))
    fresh, labels = overconfident(4000, num_classes, seed=2)
    before = METRICS["log_loss"].function(labels, fresh, 1)
    assert METRICS["log_loss"].function(labels, calibrator.transform(fresh), 1) < 0.95 * before


def test_none_leaves_probabilities_as_they_are_even_of_one_class():
    probability, _ = overconfident(20)
    np.testing.assert_array_equal(
        CALIBRATORS["none"]().fit(probability, np.zeros(20)).transform(probability), probability
    )


@pytest.mark.parametrize("num_classes", [2, 4])
def test_temperature_minimises_the_likelihood_on_a_grid(num_classes):
    probability, labels = overconfident(800, num_classes)

    def loss(temperature):
        powered = np.clip(probability, 1e-6, 1) ** (1 / temperature)
        return -np.log((powered / powered.sum(axis=1, keepdims=True))[np.arange(len(labels)), labels]).mean()

    fitted = CALIBRATORS["temperature"]().fit(probability, labels).temperature_
    grid = np.linspace(0.5, 5, 4501)
    assert fitted == pytest.approx(grid[np.argmin([loss(value) for value in grid])], abs=2e-3)
    assert fitted == pytest.approx(2, abs=0.4)


def test_temperature_keeps_the_order_of_rows():
    probability, labels = overconfident(200)
    told = CALIBRATORS["temperature"]().fit(probability, labels).transform(probability)
    np.testing.assert_array_equal(np.argsort(told[:, 1]), np.argsort(probability[:, 1]))


def test_platt_minimises_cross_entropy_to_smoothed_targets():
    probability, labels = overconfident(300)
    num_positive, num_negative = labels.sum(), (labels == 0).sum()
    targets = np.where(labels == 1, (num_positive + 1) / (num_positive + 2), 1 / (num_negative + 2))
    log_odds = np.log(probability[:, 1] / probability[:, 0])

    def loss(curve):
        told = 1 / (1 + np.exp(-(curve[0] * log_odds + curve[1])))
        return -(targets * np.log(told) + (1 - targets) * np.log(1 - told)).sum()

    wanted = minimize(loss, [1.0, 0.0], tol=1e-10).x
    ((slope, intercept),) = CALIBRATORS["platt"]().fit(probability, labels).curves_
    assert (slope, intercept) == pytest.approx(tuple(wanted), abs=1e-4)


def test_platt_of_separable_rows_stays_finite_and_short_of_certain():
    score = np.r_[np.full(10, 0.01), np.full(10, 0.99)]
    told = CALIBRATORS["platt"]().fit(np.column_stack([1 - score, score]), np.repeat([0, 1], 10))
    assert told.transform(np.array([[0.01, 0.99]]))[0, 1] == pytest.approx(11 / 12, abs=1e-4)


def test_isotonic_equals_pool_adjacent_violators_held_short_of_certain():
    probability, labels = overconfident(150)
    order = np.argsort(probability[:, 1])
    wanted = np.clip(isotonic_regression(labels[order].astype(float)), 1 / 152, 151 / 152)
    told = CALIBRATORS["isotonic"]().fit(probability, labels).transform(probability[order])[:, 1]
    np.testing.assert_allclose(told, wanted, atol=1e-12)


@pytest.mark.parametrize("name", sorted(set(CALIBRATORS) - {"none"}))
def test_calibrator_without_a_class_is_refused(name):
    probability, _ = overconfident(20)
    with pytest.raises(BadInputError, match=r"no row of class \[1\]"):
        CALIBRATORS[name]().fit(probability, np.zeros(20))
    fitted = CALIBRATORS[name]().fit(*overconfident(50))
    with pytest.raises(BadInputError, match="as fitted"):
        fitted.transform(np.full((2, 3), 1 / 3))


@pytest.mark.parametrize("name", CALIBRATORS)
@pytest.mark.parametrize("positive_index", [0, 1])
def test_band_holds_the_calibrated_probability_and_survives_json(name, positive_index):
    probability, labels = overconfident(120)
    band = CalibrationBand.fit(CALIBRATORS[name], probability, labels, positive_index=positive_index, num_refits=40)
    raw = probability[:, positive_index]
    calibrated = CALIBRATORS[name]().fit(probability, labels).transform(probability)[:, positive_index]
    low, high = band.transform(raw, calibrated).T
    assert (low <= calibrated).all() and (calibrated <= high).all()
    loaded = CalibrationBand.from_dict(json.loads(json.dumps(band.to_dict())))
    np.testing.assert_array_equal(loaded.transform(raw), band.transform(raw))
    smooth = band.transform(raw)
    if name in {"platt", "temperature"}:
        assert (smooth[:, 0] <= calibrated + 1e-3).all() and (calibrated <= smooth[:, 1] + 1e-3).all()


def test_band_at_grid_points_equals_quantiles_of_plain_refits():
    probability, labels = overconfident(100)
    band = CalibrationBand.fit(CALIBRATORS["platt"], probability, labels, positive_index=1, num_refits=60, seed=3)
    drawn = np.random.default_rng(3).integers(100, size=(20 * 60, 100))[:60]
    curves = []
    for rows in drawn:
        told = CALIBRATORS["platt"]().fit(probability[rows], labels[rows])
        curves.append(told.transform(np.column_stack([1 - band.grid, band.grid]))[:, 1])
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)
    inside = slice(60, 120)
    np.testing.assert_allclose(band.low[inside], low[inside], atol=1e-9)
    np.testing.assert_allclose(band.high[inside], high[inside], atol=1e-9)


def test_band_narrows_with_rows_and_is_nothing_without_a_map():
    few = CalibrationBand.fit(CALIBRATORS["platt"], *overconfident(100), positive_index=1, num_refits=50)
    many = CalibrationBand.fit(CALIBRATORS["platt"], *overconfident(2500), positive_index=1, num_refits=50)
    assert np.mean(many.high - many.low) < 0.4 * np.mean(few.high - few.low)
    none = CalibrationBand.fit(CALIBRATORS["none"], *overconfident(100), positive_index=1)
    np.testing.assert_allclose(none.high, none.low)


def test_calibration_table_equals_loop():
    probability, labels = overconfident(95)
    score = np.round(probability[:, 1], 2)
    table = calibration_table(labels == 1, score, num_bins=5)
    assert table["rows"].sum() == 95 and table["positives"].sum() == labels.sum()
    start = 0
    order = np.argsort(score, kind="stable")
    for row in table.itertuples():
        here = order[start : start + row.rows]
        start += row.rows
        assert row.mean_probability == pytest.approx(score[here].mean())
        assert row.observed_rate == pytest.approx(labels[here].mean())
        assert row.observed_low <= row.observed_rate <= row.observed_high
