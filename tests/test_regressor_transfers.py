"""Contract of every registered transfer of regression, and oracles of the simple ones."""

from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest
from regressor_tables import make_value_task, make_values, rmse

import core.regression.transfers  # noqa: F401 - registers all
from core.data.samples import concatenate
from core.errors import BadParamsError
from core.regression.regressor import load_regressor, save_regressor
from core.regression.regressors.boosted_trees import BoostedTrees
from core.regression.regressors.domain_tagged import DomainTagged
from core.regression.regressors.ridge import Ridge
from core.regression.transfer import MIN_VALID_ROWS, REGRESSION_TRANSFERS
from core.regression.transfers.importance_weighting import ImportanceWeighting
from core.regression.transfers.pooled import Pooled
from core.regression.value_folds import value_folds
from core.transfers.importance_weighting import effective_num_rows, estimate_density_ratio, normalise_ratio

TREES = {"num_rounds": 25, "early_stopping_rounds": 8, "learning_rate": 0.3, "num_folds": 2}
MAKERS = {"ridge": Ridge, "boosted_trees": partial(BoostedTrees, TREES)}
QUICK = {"auto": {"num_folds": 2, "num_repeats": 1}}


def make_transfer(name):
    return REGRESSION_TRANSFERS[name](QUICK.get(name))


@pytest.mark.parametrize("name", list(REGRESSION_TRANSFERS))
def test_regression_transfer_module_is_named_like_its_entry(name):
    assert REGRESSION_TRANSFERS[name].__module__ == f"core.regression.transfers.{name}"


@pytest.mark.parametrize("regressor", list(MAKERS))
@pytest.mark.parametrize("name", list(REGRESSION_TRANSFERS))
def test_regression_transfer_gives_a_regressor_that_survives_a_reload(name, regressor, tmp_path):
    task = make_value_task(60, make_regressor=MAKERS[regressor])
    fitted = make_transfer(name).fit(task)
    test = make_values(200, seed=50)
    value = fitted.predict(test)
    assert value.shape == (200,) and np.isfinite(value).all()
    assert rmse(test, value) < 0.75 * test.labels.std()
    assert set(fitted.contributions(test).columns) <= set(test.schema.names())
    save_regressor(fitted, tmp_path / "regressor")
    loaded = load_regressor(tmp_path / "regressor")
    assert np.array_equal(loaded.predict(test), value)
    assert loaded.selection_ == fitted.selection_
    assert all(path.suffix in {".json", ".ubj"} for path in (tmp_path / "regressor").rglob("*") if path.is_file())


@pytest.mark.parametrize("name", list(REGRESSION_TRANSFERS))
def test_regression_transfer_never_reads_masked_labels(name):
    task = make_value_task(40)
    labels = np.where(np.isnan(task.target.labels), 1e12, task.target.labels)
    graded = replace(task.target, labels=labels, label_probability=labels, kinds=labels.astype(str))
    masked = graded.with_labels(task.target.labels)
    poisoned = replace(task, target=masked, valid=task.target.with_labels(np.full(len(labels), np.nan)))
    test = make_values(100, seed=50)
    found, expected = make_transfer(name).fit(poisoned).predict(test), make_transfer(name).fit(task).predict(test)
    assert np.array_equal(found, expected)
    assert np.abs(found).max() < 1e6


@pytest.mark.parametrize("name", list(REGRESSION_TRANSFERS))
def test_regression_transfer_run_twice_predicts_the_same_and_edits_nothing(name):
    task, test = make_value_task(), make_values(100, seed=50)
    before = [part.labels.copy() for part in (task.source, task.target)]
    transfer = make_transfer(name)
    first, again, anew = (one.fit(task).predict(test) for one in (transfer, transfer, make_transfer(name)))
    assert np.array_equal(first, again) and np.array_equal(first, anew)
    for part, labels in zip((task.source, task.target), before, strict=True):
        np.testing.assert_array_equal(part.labels, labels)


@pytest.mark.parametrize("name", list(REGRESSION_TRANSFERS))
@pytest.mark.parametrize("rows", [[], [0]])  # one label has no spread to learn from
def test_regression_transfer_without_source_fits_or_names_the_way_out(name, rows):
    task = make_value_task()
    task = replace(task, source=task.source.take(np.array(rows, dtype=int)))
    if REGRESSION_TRANSFERS[name].needs_source:
        with pytest.raises(BadParamsError, match=f"'{name}' needs labelled source rows.*target_only"):
            make_transfer(name).fit(task)
    else:
        test = make_values(100, seed=50)
        alone = task.make_regressor().fit(task.target)
        assert np.array_equal(make_transfer(name).fit(task).predict(test), alone.predict(test))


@pytest.mark.parametrize("name", list(REGRESSION_TRANSFERS))
def test_regression_transfer_without_target_labels_fits_or_refuses(name):
    task = make_value_task(num_labels=0)
    if REGRESSION_TRANSFERS[name].needs_target_labels:
        with pytest.raises(BadParamsError, match="label budget"):
            make_transfer(name).fit(task)
    else:
        assert np.isfinite(make_transfer(name).fit(task).predict(task.target)).all()


@pytest.mark.parametrize("name", [name for name in REGRESSION_TRANSFERS if not name.endswith("_only")])
def test_regression_transfer_with_a_misspelt_option_names_the_nearest(name):
    known = next(iter(REGRESSION_TRANSFERS[name].Options.__dataclass_fields__))
    with pytest.raises(BadParamsError, match=f"Did you mean '{known}'"):
        REGRESSION_TRANSFERS[name]({known + "x": 1})


def test_regression_source_only_ignores_the_target_and_is_fitted_once():
    calls = []

    def make():
        calls.append(1)
        return Ridge()

    task = make_value_task(make_regressor=make)
    transfer = make_transfer("source_only")
    fitted = transfer.fit(task)
    other = replace(task, target=task.target.with_labels(-100.0 * task.target.labels))
    assert transfer.fit(other) is fitted and len(calls) == 1
    test = make_values(100, seed=50)
    assert np.array_equal(fitted.predict(test), Ridge().fit(task.source).predict(test))
    assert transfer.fit(replace(task, source=task.source.take(np.arange(100)))) is not fitted


def test_regression_target_only_ignores_the_source():
    task, other, test = make_value_task(), make_value_task(source_slope=-9.0), make_values(100, seed=50)
    assert np.array_equal(*(make_transfer("target_only").fit(one).predict(test) for one in (task, other)))


@pytest.mark.parametrize(("num_labelled", "is_used"), [(MIN_VALID_ROWS - 1, False), (MIN_VALID_ROWS, True)])
def test_regression_valid_of_few_labels_is_not_used_to_stop_early(num_labelled, is_used):
    valid = make_values(MIN_VALID_ROWS + 5, seed=9)
    valid = valid.with_labels(np.where(np.arange(len(valid)) < num_labelled, valid.labels, np.nan))
    found = replace(make_value_task(), valid=valid).usable_valid
    assert (found is not None) == is_used
    assert found is None or len(found) == num_labelled


def test_regression_pooled_equals_one_fit_on_weighted_rows():
    task = make_value_task()
    fitted = Pooled({"target_multiplier": 3.0}).fit(task)
    target = task.target.labelled()
    rows = concatenate([task.source, target.with_weights(np.full(len(target), 3.0))])
    alone = DomainTagged({"target_domain": "target", "options": asdict(Ridge().options)}).fit(rows)
    test = make_values(100, seed=50)
    assert np.array_equal(fitted.predict(test), alone.predict(test))


def test_regression_pooled_multiplier_has_the_least_held_out_squared_error():
    task = make_value_task(60, source_slope=-1.0)
    ratio = len(task.source) / 60
    found = Pooled().choose_multiplier(task)
    totals = {}
    target = task.target.labelled()
    for choice in (1.0, np.sqrt(ratio), ratio):
        totals[choice] = 0.0
        for fit_rows, held_rows in value_folds(target, 3, seed=0):
            labels = np.full(len(task.target), np.nan)
            labels[fit_rows] = target.labels[fit_rows]  # the labelled rows come first
            fitted = Pooled({"target_multiplier": choice}).fit(replace(task, target=task.target.with_labels(labels)))
            held = target.take(held_rows)
            totals[choice] += sum((held.labels - fitted.predict(held)) ** 2)
    assert found == min(totals, key=totals.get) == pytest.approx(ratio)
    assert Pooled().choose_multiplier(make_value_task(60, source_noise=0.1)) < found


def test_regression_pooled_of_few_labels_takes_the_square_root_and_of_few_source_rows_one():
    few = make_value_task(2)
    assert Pooled().choose_multiplier(few) == pytest.approx(np.sqrt(len(few.source) / 2))
    small = replace(few, source=few.source.take([0, 1]))
    assert Pooled().choose_multiplier(small) == 1.0


def test_regression_pooled_tells_domains_of_another_level_apart():
    task = make_value_task(40)
    raised = replace(task, source=replace(task.source, labels=task.source.labels + 50.0))
    test = make_values(300, seed=50)
    assert rmse(test, make_transfer("pooled").fit(raised).predict(test)) < 0.4 * test.labels.std()


def test_regression_importance_weighting_equals_a_fit_on_density_ratios():
    task = make_value_task()
    transfer = ImportanceWeighting({"flattening": 0.7, "max_ratio": 3.0})
    fitted = transfer.fit(task)
    weights = normalise_ratio(estimate_density_ratio(task.source, task.target, seed=0), 0.7, 3.0)
    rows = concatenate([task.source.with_weights(weights), task.target.labelled()])
    test = make_values(100, seed=50)
    assert np.array_equal(fitted.predict(test), Ridge().fit(rows).predict(test))
    np.testing.assert_allclose(transfer.weights_, weights)
    assert transfer.effective_num_rows_ == pytest.approx(effective_num_rows(weights))
    transfer.fit(replace(task, source=task.source.take(np.arange(100))))  # another source has another ratio
    assert len(transfer.weights_) == 100


def test_regression_importance_weighting_follows_a_target_that_lies_elsewhere():
    """Two lines meet at 0: the target lies on the right one, most of the source on the left one."""
    source, target = make_values(600, seed=1, domain="lender"), make_values(200, seed=2)
    amount, near = source.inputs["amount"].fillna(0.0).to_numpy(), target.inputs["amount"].fillna(0.0).to_numpy()
    source = replace(source, labels=np.where(amount > 0, 5.0, -1.0) * amount)
    target = target.take(near > 0.3)
    truth = replace(target, labels=5.0 * target.inputs["amount"].to_numpy())
    task = replace(make_value_task(), source=source, target=target.with_labels(np.full(len(target), np.nan)))
    plain, weighted = (make_transfer(name).fit(task) for name in ("source_only", "importance_weighting"))
    assert rmse(truth, weighted.predict(truth)) < 0.8 * rmse(truth, plain.predict(truth))
