"""Ridge: oracles of the closed form, of weights, of the choice of strength and of the way back from logarithms."""

from dataclasses import replace

import numpy as np
import pytest
from regressor_tables import make_values, rmse

from core.data.samples import concatenate
from core.errors import BadParamsError
from core.regression.regressors import ridge as module
from core.regression.regressors.ridge import Ridge, smearing_factor
from core.regression.ridge_path import ridge_path
from core.regression.value_folds import value_folds


def make_sums(num_rows=300, seed=0, noise=0.8):
    """Sums >= 0 with a long tail."""
    table = make_values(num_rows, seed=seed, noise=noise)
    return replace(table, labels=np.expm1(np.maximum(5.0 + 0.3 * table.labels, 0.0)))


@pytest.mark.parametrize("strength", [0.1, 7.0, 1000.0])
def test_ridge_path_solves_the_weighted_normal_equations(strength):
    random = np.random.default_rng(0)
    design = np.column_stack([random.normal(3, 2, (50, 4)), np.ones(50)])  # a constant column is no obstacle
    labels, weights = random.normal(100, 5, 50), random.uniform(0.1, 3, 50)
    found = ridge_path(design, labels, weights, [3.0, strength])[1]
    with_intercept = np.column_stack([np.ones(50), design])
    penalty = np.diag([0.0, *[strength] * 5])
    gram = with_intercept.T @ (weights[:, None] * with_intercept) + penalty
    np.testing.assert_allclose(
        found, np.linalg.solve(gram, with_intercept.T @ (weights * labels)), rtol=1e-8, atol=1e-12
    )


def test_ridge_path_without_columns_is_the_weighted_mean():
    found = ridge_path(np.zeros((3, 0)), np.array([1.0, 2.0, 6.0]), np.array([1.0, 1.0, 2.0]), [1.0])
    np.testing.assert_allclose(found, [[3.75]])


@pytest.mark.parametrize("target_form", ["plain", "log"])
def test_ridge_of_a_weight_of_two_equals_the_row_given_twice(target_form):
    table = make_sums(80)
    weights = np.where(np.arange(80) < 30, 2.0, 1.0)
    twice = concatenate([table, table.take(np.arange(30))])
    options = {"strength": 2.0, "target_form": target_form}
    weighed, repeated = Ridge(options).fit(table.with_weights(weights)), Ridge(options).fit(twice)
    np.testing.assert_allclose(weighed.predict(table), repeated.predict(table), rtol=1e-9)
    assert not np.allclose(weighed.predict(table), Ridge(options).fit(table).predict(table), rtol=1e-3)


def test_ridge_auto_takes_the_strength_with_the_least_held_out_squared_error():
    table = make_values(60, noise=6.0).with_weights(np.random.default_rng(3).exponential(1.0, 60) ** 2)
    fitted = Ridge(seed=4).fit(table)
    design = fitted.encoding_.transform(table)
    totals, unweighted = [], []
    for strength in module.STRENGTHS:
        total = np.zeros(2)
        for fit, held in value_folds(table, 5, seed=4):
            coefficients = ridge_path(design[fit], table.labels[fit], table.weights[fit], [strength])[0]
            for row in held:
                error = table.labels[row] - coefficients[0] - design[row] @ coefficients[1:]
                total += np.array([table.weights[row], 1.0]) * error**2
        totals.append(total[0])
        unweighted.append(total[1])
    assert fitted.strength_ == module.STRENGTHS[int(np.argmin(totals))]
    assert module.STRENGTHS[0] > fitted.strength_ > module.STRENGTHS[-1]
    assert np.argmin(totals) != np.argmin(unweighted)  # else the weights would not have been told by this


def test_ridge_of_noise_shrinks_more_than_ridge_of_a_signal():
    told, noise = make_values(100), make_values(100)
    noise = replace(noise, labels=np.random.default_rng(77).normal(0, 1, 100))
    assert Ridge().fit(noise).strength_ > 10 * Ridge().fit(told).strength_


def test_ridge_strength_of_many_rows_is_told_by_one_fold(monkeypatch):
    table, seen = make_values(150), []
    real = module.ridge_path
    monkeypatch.setattr(module, "ridge_path", lambda *parts: seen.append(len(parts[0])) or real(*parts))
    Ridge({"large_num_rows": 150}).fit(table)
    assert seen == [120, 150]


def test_smearing_equals_a_loop_over_the_residuals():
    table, fresh = make_sums(noise=2.0), make_sums(40, seed=3)
    table = table.with_weights(np.random.default_rng(2).uniform(0.5, 2.0, len(table)))
    fitted = Ridge({"target_form": "log", "strength": 1.0}).fit(table)

    def score(samples):
        return fitted.coefficients_[0] + fitted.encoding_.transform(samples) @ fitted.coefficients_[1:]

    residuals = np.log(1.0 + table.labels) - score(table)
    for told, z in zip(fitted.predict(fresh), score(fresh), strict=True):
        total = sum(w * (np.exp(z + e) - 1.0) for w, e in zip(table.weights, residuals, strict=True))
        assert told == pytest.approx(max(total / table.weights.sum(), 0.0))
    assert fitted.smearing_ == pytest.approx(smearing_factor(residuals, table.weights)) and fitted.smearing_ > 1.1


def test_log_form_meets_the_mean_that_the_plain_exponential_misses():
    table, fresh = make_sums(2000, noise=2.5), make_sums(2000, seed=7, noise=2.5)
    fitted = Ridge({"target_form": "log", "numbers": "spline"}).fit(table)
    value = fitted.predict(fresh)
    without = (value + 1.0) / fitted.smearing_ - 1.0
    assert abs(value.mean() / fresh.labels.mean() - 1.0) < 0.1
    assert without.mean() < 0.85 * fresh.labels.mean()
    assert value.min() >= 0.0


def test_log_form_never_predicts_below_zero():
    fitted = Ridge({"target_form": "log"}).fit(make_sums())
    fitted.coefficients_[0] -= 20.0
    assert np.array_equal(fitted.predict(make_sums(50)), np.zeros(50))


def test_log_form_on_a_long_tail_beats_the_plain_form():
    table, fresh = make_sums(300, noise=0.3), make_sums(500, seed=7, noise=0.3)
    error = {form: rmse(fresh, Ridge({"target_form": form}).fit(table).predict(fresh)) for form in ("log", "plain")}
    assert error["log"] < 0.7 * error["plain"]


def test_log_form_of_a_negative_label_names_the_plain_form():
    with pytest.raises(BadParamsError, match=r"needs labels >= 0.*'plain'"):
        Ridge({"target_form": "log"}).fit(make_values(50))


@pytest.mark.parametrize("target_form", ["plain", "log"])
def test_ridge_contributions_add_up_to_the_distance_from_the_mean_row(target_form):
    table = make_sums().with_weights(np.random.default_rng(1).exponential(1.0, 300))
    fitted = Ridge({"target_form": target_form, "strength": 1.0}).fit(table)
    mean_score = fitted.coefficients_[0] + fitted.means_ @ fitted.coefficients_[1:]
    start = mean_score if target_form == "plain" else np.exp(mean_score) * fitted.smearing_ - 1.0
    values = fitted.contributions(table)
    assert list(values.columns) == ["amount", "months", "purpose", "level"]
    np.testing.assert_allclose(values.sum(axis=1), fitted.predict(table) - start, rtol=1e-6, atol=1e-6)
    if target_form == "plain":  # the mean row counts rows as they weigh
        np.testing.assert_allclose(np.average(values, axis=0, weights=table.weights), 0.0, atol=1e-9)


def test_ridge_contributions_in_log_form_of_the_mean_row_are_finite():
    table = make_sums()
    fitted = Ridge({"target_form": "log"}).fit(table)
    fitted.means_ = fitted.encoding_.transform(table)[0]  # as if the first row were the mean row
    assert np.abs(fitted.contributions(table).iloc[0]).max() == 0.0


@pytest.mark.parametrize("strength", [0.0, -1.0, "automatic"])
def test_ridge_with_an_impossible_strength_is_refused(strength):
    with pytest.raises(BadParamsError, match="strength"):
        Ridge({"strength": strength})
