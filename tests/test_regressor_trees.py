"""Boosted trees of a number: what they stop on, what they explain, what they obey."""

from dataclasses import replace

import numpy as np
import pytest
from regressor_tables import make_values, rmse

from core.errors import BadParamsError, VerificationError
from core.regression.regressor import load_regressor, save_regressor
from core.regression.regressors import boosted_trees as module
from core.regression.regressors.boosted_trees import BoostedTrees

QUICK = {"num_rounds": 80, "early_stopping_rounds": 10, "learning_rate": 0.15, "num_folds": 2}


def test_trees_contributions_add_up_to_the_prediction_in_units_of_the_label():
    table = make_values(150, offset=5000.0, slope=100.0)
    fitted = BoostedTrees({**QUICK, "num_bags": 2}).fit(table)
    gaps = fitted.predict(table) - fitted.contributions(table).sum(axis=1).to_numpy()
    assert np.ptp(gaps) < 0.01 < table.labels.std()  # all rows start at the same expected value
    assert abs(gaps.mean() - table.labels.mean()) < 50.0


def test_trees_of_two_bags_predict_the_mean_of_two_different_boosters():
    table = make_values(150)
    both = BoostedTrees({**QUICK, "num_bags": 2}).fit(table)
    boosters, values = both.boosters_, []
    for booster in boosters:
        both.boosters_ = [booster]
        values.append(both.predict(table))
    both.boosters_ = boosters
    assert np.abs(values[0] - values[1]).max() > 0.1
    np.testing.assert_allclose(both.predict(table), np.mean(values, axis=0), rtol=1e-6)


def test_trees_contributions_rank_the_column_with_the_signal_first():
    table = make_values(200)
    sizes = BoostedTrees(QUICK).fit(table).contributions(table).abs().mean()
    assert sizes.idxmax() == "amount"


def test_trees_with_valid_stop_early_on_it_and_never_read_its_masked_rows():
    table, valid = make_values(150, noise=3.0), make_values(150, seed=4, noise=3.0)
    options = {**QUICK, "num_rounds": 300}
    fitted = BoostedTrees(options).fit(table, valid)
    rounds = fitted.boosters_[0].num_boosted_rounds()
    assert rounds < 300
    assert fitted.history_[-1]["step"] == rounds
    value = fitted.predict(valid)
    assert fitted.history_[-1]["valid_loss"] == pytest.approx(rmse(valid, value), rel=1e-4)
    poison = replace(valid, labels=np.where(np.arange(150) < 75, valid.labels, np.nan))
    half = BoostedTrees(options).fit(table, valid.take(np.arange(75)))
    assert np.array_equal(BoostedTrees(options).fit(table, poison).predict(table), half.predict(table))


def test_trees_of_noise_grow_fewer_rounds_than_trees_of_a_signal():
    told, noise = make_values(150), make_values(150)
    noise = replace(noise, labels=np.random.default_rng(77).normal(0, 1, 150))
    rounds = [BoostedTrees(QUICK).fit(table).boosters_[0].num_boosted_rounds() for table in (told, noise)]
    assert rounds[1] < rounds[0] / 2


def test_trees_without_early_stopping_grow_all_rounds():
    fitted = BoostedTrees({**QUICK, "early_stopping_rounds": 0}).fit(make_values(60))
    assert fitted.boosters_[0].num_boosted_rounds() == 80


def test_trees_of_labels_far_from_zero_lose_no_precision():
    near, far = make_values(150), make_values(150)
    far = replace(far, labels=far.labels + 1e9)  # single precision has steps of 64 there
    gap = BoostedTrees(QUICK).fit(far).predict(far) - 1e9 - BoostedTrees(QUICK).fit(near).predict(near)
    assert np.abs(gap).max() < 1e-3


def test_trees_of_absolute_error_withstand_wild_labels():
    table, fresh = make_values(300, noise=0.2), make_values(200, seed=5, noise=0.0)
    is_wild = np.random.default_rng(0).random(300) < 0.1
    wild = replace(table, labels=np.where(is_wild, 500.0, table.labels))
    error = {
        loss: rmse(fresh, BoostedTrees({**QUICK, "loss": loss}).fit(wild).predict(fresh)) for loss in module.OBJECTIVES
    }
    assert error["absolute_error"] < 0.3 * error["squared_error"]


def test_trees_of_few_rows_in_one_group_still_fit():
    table = replace(make_values(12), groups=np.full(12, "one"))
    fitted = BoostedTrees({**QUICK, "min_child_weight": 1.0}).fit(table)
    assert fitted.boosters_[0].num_boosted_rounds() == 80  # of FEW_LABELS_NUM_ROUNDS, at most num_rounds


def test_trees_that_use_monotone_never_fall_where_they_must_rise():
    table = make_values(200, noise=4.0)
    grid = table.take(np.zeros(60, dtype=int))
    grid = replace(grid, inputs=grid.inputs.assign(amount=np.linspace(-2.5, 2.5, 60)))
    steps = {}
    for use_monotone in (False, True):
        options = {**QUICK, "early_stopping_rounds": 0, "use_monotone": use_monotone}
        steps[use_monotone] = np.diff(BoostedTrees(options).fit(table).predict(grid)).min()
    assert steps[True] >= 0 > steps[False]


def test_trees_refuse_monotone_with_absolute_error():
    with pytest.raises(BadParamsError, match="use_monotone holds with loss 'squared_error'"):
        BoostedTrees({"use_monotone": True, "loss": "absolute_error"})


def test_trees_with_a_missing_booster_are_refused(tmp_path):
    save_regressor(BoostedTrees(QUICK).fit(make_values(60)), tmp_path)
    (tmp_path / "booster_0.ubj").unlink()
    with pytest.raises(VerificationError, match=r"booster_0\.ubj is missing"):
        load_regressor(tmp_path)
