"""The source regressor on the target's scale: planted lines and offsets are found, and what is not there is not."""

from dataclasses import replace

import numpy as np
import pytest
from regressor_tables import make_value_task, make_values, rmse

import core.regression.transfers  # noqa: F401 - registers all
from core.data.samples import concatenate
from core.errors import BadParamsError
from core.regression.regressors.boosted_trees import BoostedTrees
from core.regression.regressors.ridge import Ridge
from core.regression.regressors.source_offset import SourceOffset, fit_line
from core.regression.transfer import REGRESSION_TRANSFERS
from core.regression.value_folds import value_folds


def planted(source, *, offset, slope, noise=0.1, seed=3, num_rows=60):
    """Target rows whose label is a line of the source regressor's predictions."""
    table = make_values(num_rows, seed=seed)
    drawn = np.random.default_rng(seed + 50).normal(0.0, noise * abs(slope), num_rows)
    return replace(table, labels=offset + slope * source.predict(table) + drawn)


@pytest.fixture(scope="module")
def source():
    return Ridge().fit(make_values(300, seed=1, domain="lender"))


def test_fit_line_equals_the_shrunk_weighted_regression():
    random = np.random.default_rng(0)
    told, labels, weights = random.normal(50, 4, 30), random.normal(7, 2, 30), random.uniform(0.2, 2, 30)
    offset, slope = fit_line(told, labels, weights, 5.0)
    total = weights.sum()
    mean_told, mean_label = weights @ told / total, weights @ labels / total
    covariance = sum(w * (t - mean_told) * (y - mean_label) for w, t, y in zip(weights, told, labels, strict=True))
    variance = sum(w * (t - mean_told) ** 2 for w, t in zip(weights, told, strict=True))
    assert slope == pytest.approx(covariance / variance * total / (total + 5.0))
    assert offset == pytest.approx(mean_label - slope * mean_told)


def test_fit_line_of_a_source_that_tells_all_rows_the_same_is_the_mean():
    labels, weights = np.array([1.0, 2.0, 6.0]), np.array([1.0, 1.0, 2.0])
    assert fit_line(np.full(3, 0.1 + 0.2), labels, weights, 1.0) == (3.75, 0.0)


@pytest.mark.parametrize(("offset", "slope"), [(0.0, 1.0), (250.0, 40.0), (-3.0, -0.01)])
def test_source_offset_recovers_a_planted_line_in_other_units(source, offset, slope):
    fitted = SourceOffset().fit_on_target(source, planted(source, offset=offset, slope=slope))
    assert fitted.slope_ == pytest.approx(slope, rel=0.05)
    assert fitted.offset_ == pytest.approx(offset, abs=0.2 * abs(slope))
    fresh = planted(source, offset=offset, slope=slope, noise=0.0, seed=9, num_rows=300)
    assert rmse(fresh, fitted.predict(fresh)) < 0.05 * fresh.labels.std()


def test_source_offset_learns_the_residual_that_was_planted(source):
    target = planted(source, offset=10.0, slope=2.0, num_rows=120)
    is_car = (target.inputs["purpose"] == "car").to_numpy()
    shifted = replace(target, labels=target.labels + 15.0 * is_car)
    fitted = SourceOffset().fit_on_target(source, shifted)
    line, both = fitted.squared_errors_
    assert fitted.residual_ is not None and both < 0.2 * line
    alone = SourceOffset({"options": {"strength": 1e9}}).fit_on_target(source, shifted)
    assert rmse(shifted, fitted.predict(shifted)) < 0.3 * rmse(shifted, alone.predict(shifted))


def test_source_offset_leaves_out_a_residual_that_does_not_help(source):
    target = planted(source, offset=10.0, slope=2.0, noise=1.0)
    fitted = SourceOffset({"regressor": "boosted_trees", "options": {"num_rounds": 50}}).fit_on_target(source, target)
    assert fitted.residual_ is None and fitted.squared_errors_[1] >= fitted.squared_errors_[0]
    np.testing.assert_array_equal(fitted.predict(target), fitted.offset_ + fitted.slope_ * source.predict(target))
    assert (fitted.contributions(target) - fitted.slope_ * source.contributions(target)).abs().to_numpy().max() == 0.0


def test_source_offset_squared_errors_equal_a_loop_over_the_folds(source):
    target = planted(source, offset=1.0, slope=2.0, noise=2.0).with_weights(
        np.random.default_rng(4).uniform(0.5, 2, 60)
    )
    options = {"options": {"strength": 3.0}, "num_folds": 4}
    fitted = SourceOffset(options, seed=2).fit_on_target(source, target)
    totals = np.zeros(2)
    for fit_rows, held_rows in value_folds(target, 4, seed=2):
        fit, held = target.take(fit_rows), target.take(held_rows)
        offset, slope = fit_line(source.predict(fit), fit.labels, fit.weights, 1.0)
        residual = Ridge({"strength": 3.0}).fit(replace(fit, labels=fit.labels - offset - slope * source.predict(fit)))
        line = offset + slope * source.predict(held)
        for position, value in enumerate((line, line + residual.predict(held))):
            totals[position] += sum(held.weights * (held.labels - value) ** 2)
    np.testing.assert_allclose(fitted.squared_errors_, totals / target.weights.sum())


def test_source_offset_contributions_add_up_for_both_parts(source):
    target = planted(source, offset=10.0, slope=2.0, noise=0.5, num_rows=120)
    is_car = (target.inputs["purpose"] == "car").to_numpy()
    fitted = SourceOffset().fit_on_target(source, replace(target, labels=target.labels + 15.0 * is_car))
    assert fitted.residual_ is not None
    gaps = fitted.predict(target) - fitted.contributions(target).sum(axis=1).to_numpy()
    assert np.ptp(gaps) < 1e-9


def test_source_offset_of_a_source_without_contributions_has_none(source, monkeypatch):
    fitted = SourceOffset().fit_on_target(source, planted(source, offset=0.0, slope=1.0))
    monkeypatch.setattr(Ridge, "contributions", lambda self, samples: super(Ridge, self).contributions(samples))
    with pytest.raises(NotImplementedError, match="Ridge gives no contributions"):
        fitted.contributions(make_values(5))


def test_source_offset_of_sums_learns_residuals_of_either_sign():
    sums = make_values(200, seed=1, domain="lender")
    sums = replace(sums, labels=np.exp(3.0 + 0.2 * sums.labels))
    target = make_values(100, seed=2)
    is_car = (target.inputs["purpose"] == "car").to_numpy()
    options = {"target_form": "log"}
    source = Ridge(options).fit(sums)
    target = replace(target, labels=3.0 * source.predict(target) + 60.0 * is_car)
    fitted = SourceOffset({"options": options}).fit_on_target(source, target)
    assert fitted.residual_.options.target_form == "plain"
    assert fitted.source_.options.target_form == "log"


def test_source_offset_by_domain_equals_its_parts():
    task = make_value_task(60)
    rows = task.target.labelled()
    options = {"target_domain": "target", "options": {"strength": 2.0}}
    fitted = SourceOffset(options).fit(concatenate([task.source, rows]))
    by_parts = SourceOffset(options).fit_on_target(Ridge({"strength": 2.0}).fit(task.source), rows)
    assert np.array_equal(fitted.predict(task.target), by_parts.predict(task.target))


@pytest.mark.parametrize("target_domain", ["", "lender_9"])
def test_source_offset_without_one_of_the_sides_is_refused(target_domain):
    task = make_value_task()
    rows = task.source if target_domain else task.target
    with pytest.raises(BadParamsError, match=r"another domain|no labelled"):
        SourceOffset({"target_domain": target_domain}).fit(rows)


def test_source_offset_passes_valid_to_the_residuals_less_the_line(source):
    target = planted(source, offset=10.0, slope=2.0, num_rows=200)
    is_car = (target.inputs["purpose"] == "car").to_numpy()
    target = replace(target, labels=target.labels + 15.0 * is_car)
    valid = planted(source, offset=10.0, slope=2.0, num_rows=200, seed=31)
    valid = replace(valid, labels=valid.labels + 15.0 * (valid.inputs["purpose"] == "car").to_numpy())
    options = {"num_rounds": 60, "early_stopping_rounds": 10, "learning_rate": 0.2, "num_folds": 2}
    fitted = SourceOffset({"regressor": "boosted_trees", "options": options}).fit_on_target(source, target, valid)
    assert isinstance(fitted.residual_, BoostedTrees)
    told = fitted.history_[-1]
    assert told["part"] == "residual" and told["valid_loss"] == pytest.approx(
        rmse(valid, fitted.predict(valid)), rel=1e-3
    )


def test_source_offset_transfer_beats_both_sides_where_the_unit_is_another():
    task = make_value_task(25, source_slope=1000.0)
    fresh = make_values(500, seed=60)
    error = {name: rmse(fresh, REGRESSION_TRANSFERS[name]().fit(task).predict(fresh)) for name in REGRESSION_TRANSFERS}
    assert error["source_offset"] < 0.9 * error["target_only"]
    assert error["source_offset"] < 0.01 * error["source_only"]
