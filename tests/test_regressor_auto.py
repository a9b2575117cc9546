"""`auto` of regression: it takes a source that helps, leaves one that does not, and judges by labels it did not see."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from regressor_tables import make_value_task, make_values, rmse
from scipy.stats import t as student_t
from scipy.stats import ttest_1samp

from core.errors import BadParamsError
from core.regression.regressors.boosted_trees import BoostedTrees
from core.regression.regressors.ridge import Ridge
from core.regression.transfers import auto as module
from core.regression.transfers.auto import Auto, gain_p_value
from core.regression.transfers.target_only import TargetOnly
from core.regression.value_folds import value_folds

TREES = partial(BoostedTrees, {"num_rounds": 30, "learning_rate": 0.2, "early_stopping_rounds": 0})
QUICK = {"num_folds": 3, "num_repeats": 1}


def shuffled(task, seed):
    labels = np.random.default_rng(900 + seed).permutation(task.source.labels)
    return replace(task, source=replace(task.source, labels=labels))


def chosen(fitted):
    (name,) = [row["candidate"] for row in fitted.selection_ if row["is_chosen"]]
    return name


def told(fitted):
    return {row["candidate"]: row for row in fitted.selection_}


def test_auto_leaves_sources_of_shuffled_labels_and_is_then_exactly_target_only():
    test, names = make_values(100, seed=70), []
    for seed in range(0, 60, 10):
        task = shuffled(make_value_task(40, seed=seed), seed)
        fitted = Auto(QUICK).fit(task)
        names.append(chosen(fitted))
        if names[-1] == "target_only":
            assert np.array_equal(fitted.predict(test), TargetOnly().fit(task).predict(test))
    assert names.count("target_only") >= 5


@pytest.mark.parametrize(("make_regressor", "noise"), [(Ridge, 3.0), (TREES, 0.5)])
def test_auto_takes_sources_that_help_and_gains_by_them(make_regressor, noise):
    test, errors = make_values(500, seed=70, noise=0.0), []
    for seed in (0, 10, 20, 30):
        task = make_value_task(25, source_noise=0.1, make_regressor=make_regressor, seed=seed)
        drawn = np.random.default_rng(500 + seed).normal(0.0, noise, len(task.target))
        task = replace(task, target=task.target.with_labels(task.target.labels + drawn))
        fitted = Auto(QUICK).fit(task)
        if chosen(fitted) != "target_only":
            assert told(fitted)[chosen(fitted)]["p_value"] < 0.16
        errors.append([rmse(test, one.predict(test)) for one in (fitted, TargetOnly().fit(task))])
    of_auto, of_target = np.array(errors).T
    assert (of_auto < 0.8 * of_target).sum() >= 3
    assert of_auto.mean() < 0.7 * of_target.mean()


def test_auto_meets_a_source_in_another_unit_by_source_offset():
    task = make_value_task(40, source_slope=1000.0, source_noise=0.1, make_regressor=TREES)
    fitted = Auto(QUICK).fit(task)
    assert chosen(fitted) == "source_offset"
    assert told(fitted)["source_only"]["rmse"] > 100 * told(fitted)["source_offset"]["rmse"]
    assert told(fitted)["source_only"]["p_value"] > 0.9


def test_auto_at_no_level_but_a_tiny_one_keeps_the_target():
    task = make_value_task(40, source_noise=0.1, make_regressor=TREES)
    assert chosen(Auto({**QUICK, "level": 1e-300}).fit(task)) == "target_only"


def test_auto_fold_never_fits_on_the_labels_it_is_judged_by():
    seen = []

    class Spy(Ridge):
        def fit(self, train, valid=None):
            self.fitted_ids = set(train.labelled().sample_ids)
            return super().fit(train, valid)

        def predict(self, samples):
            seen.append((self.fitted_ids, set(samples.sample_ids)))
            return super().predict(samples)

    task = make_value_task(30, make_regressor=Spy)
    Auto({**QUICK, "candidates": ["source_only", "importance_weighting"]}).fit(task)
    assert len(seen) == 9 and all(held for _, held in seen)
    for fitted, held in seen:
        assert not fitted & held
    assert set().union(*(held for _, held in seen)) == set(task.target.labelled().sample_ids)


def test_auto_rmse_and_p_value_equal_a_loop_over_the_folds():
    task = make_value_task(30, source_noise=0.1, make_regressor=TREES)
    weights = np.random.default_rng(3).exponential(1.0, len(task.target))
    task = replace(task, target=task.target.with_weights(weights))
    fitted = Auto({"num_folds": 3, "num_repeats": 2, "candidates": ["source_only"]}).fit(task)
    target, source = task.target.labelled(), TREES().fit(task.source)
    errors = {"target_only": [[] for _ in range(30)], "source_only": [[] for _ in range(30)]}
    for repeat in range(2):
        for fit_rows, held_rows in value_folds(target, 3, seed=repeat):
            alone = TREES().fit(target.take(fit_rows))
            for row in held_rows:
                one = target.take([row])
                errors["target_only"][row].append((alone.predict(one)[0] - one.labels[0]) ** 2)
                errors["source_only"][row].append((source.predict(one)[0] - one.labels[0]) ** 2)
    means = {name: np.array([np.mean(row) for row in rows]) for name, rows in errors.items()}
    for name, values in means.items():
        assert told(fitted)[name]["rmse"] == pytest.approx(np.sqrt(values @ target.weights / target.weights.sum()))
    expected = gain_p_value(means["target_only"] - means["source_only"], target)
    assert told(fitted)["source_only"]["p_value"] == pytest.approx(expected)
    assert told(fitted)["target_only"]["p_value"] is None


def test_gain_p_value_of_equal_rows_is_that_of_a_paired_t_test():
    gains = np.random.default_rng(2).normal(0.3, 1.0, 25)
    expected = ttest_1samp(gains, 0.0, alternative="greater").pvalue
    assert gain_p_value(gains, make_values(25)) == pytest.approx(expected)


def test_auto_of_several_below_the_level_takes_the_one_with_the_least_error():
    task = make_value_task(40, source_noise=0.1, make_regressor=TREES)
    rows = told(Auto({**QUICK, "candidates": ["source_offset", "source_only", "pooled"]}).fit(task))
    below = [name for name, row in rows.items() if name != "target_only" and row["p_value"] < 0.16]
    assert len(below) >= 2
    assert rows[min(below, key=lambda name: rows[name]["rmse"])]["is_chosen"]
    assert [row["is_chosen"] for row in rows.values()].count(True) == 1


def test_gain_p_value_over_groups_equals_a_loop():
    random = np.random.default_rng(1)
    rows = replace(make_values(40), groups=np.array([f"g{k % 11}" for k in range(40)]))
    rows = rows.with_weights(random.uniform(0.2, 3.0, 40))
    gains = random.normal(0.3, 1.0, 40)
    names = sorted(set(rows.groups))
    mass = [sum(rows.weights[k] for k in range(40) if rows.groups[k] == name) for name in names]
    gained = [sum(rows.weights[k] * gains[k] for k in range(40) if rows.groups[k] == name) for name in names]
    mean = sum(gained) / sum(mass)
    variance = sum((g - m * mean) ** 2 for g, m in zip(gained, mass, strict=True)) / sum(mass) ** 2 * 11 / 10
    assert gain_p_value(gains, rows) == pytest.approx(student_t.sf(mean / np.sqrt(variance), 10))
    assert gain_p_value(gains, replace(rows, groups=np.full(40, "one"))) == 1.0


def test_gain_p_value_of_rows_given_ten_times_as_one_group_is_that_of_the_rows():
    rows, gains = make_values(12), np.random.default_rng(2).normal(0.5, 1.0, 12)
    ten_times = rows.take(np.repeat(np.arange(12), 10))
    assert gain_p_value(np.repeat(gains, 10), ten_times) == pytest.approx(gain_p_value(gains, rows))


def test_auto_of_few_groups_stays_with_the_target_and_says_why():
    task = make_value_task(40, source_noise=0.1, make_regressor=TREES)
    groups = np.array([f"g{k % 5}" for k in range(len(task.target))])
    fitted = Auto().fit(replace(task, target=replace(task.target, groups=groups)))
    assert chosen(fitted) == "target_only"
    assert "5 labelled groups are too few" in told(fitted)["source_offset"]["skipped"]


@pytest.mark.parametrize("label", [np.nan, 3.0])
def test_auto_without_target_labels_to_learn_from_is_the_source_model(label):
    task = make_value_task()
    target = task.target.with_labels(np.full(len(task.target), label))
    fitted = Auto().fit(replace(task, target=target))
    test = make_values(100, seed=70)
    assert np.array_equal(fitted.predict(test), Ridge().fit(task.source).predict(test))
    assert chosen(fitted) == "source_only"
    assert told(fitted)["target_only"]["skipped"] == "no target labels to learn from"
    assert told(fitted)["importance_weighting"]["skipped"] == "no target labels to choose by"


def test_auto_without_labels_on_either_side_names_what_is_missing():
    task = make_value_task(num_labels=0)
    with pytest.raises(BadParamsError, match=r"target_only: no target labels.*source_only: no source labels"):
        Auto().fit(replace(task, source=task.source.take([])))


def test_auto_fits_the_source_once_and_leaves_its_own_verdict_off_it(monkeypatch):
    sizes, real = [], Ridge.fit
    monkeypatch.setattr(Ridge, "fit", lambda self, *rows: sizes.append(len(rows[0])) or real(self, *rows))
    task = make_value_task(40, make_regressor=lambda: Ridge({"strength": 1.0}))
    transfer = Auto({**QUICK, "candidates": ["source_only", "source_offset"], "level": 1.0})
    fitted = transfer.fit(task)
    assert sizes.count(350) == 1
    assert fitted.selection_ and transfer.source_regressors.recall(task, task.source).selection_ == []
    only = Auto({**QUICK, "candidates": ["source_only"]})
    few = replace(task, target=task.target.with_labels(np.full(len(task.target), np.nan)))
    assert only.fit(few).selection_ and only.source_regressors.recall(few, few.source).selection_ == []


def test_auto_passes_over_what_would_refit_a_large_source_unless_it_is_named(monkeypatch):
    monkeypatch.setattr(module, "MAX_REFIT_ROWS", 300)
    task = make_value_task(20)
    skipped = told(Auto(QUICK).fit(task))
    assert "350 source rows would be refitted" in skipped["pooled"]["skipped"]
    named = told(Auto({**QUICK, "candidates": ["pooled"]}).fit(task))
    assert list(named) == ["target_only", "pooled"] and named["pooled"]["rmse"] > 0


def test_auto_hands_on_the_options_of_its_candidates():
    task = make_value_task(20)
    options = {"source_offset": {"line_strength": 1e9}}
    plain, doubting = (
        Auto({**QUICK, "candidates": ["source_offset"], "transfer_options": o}).fit(task) for o in ({}, options)
    )
    assert told(doubting)["source_offset"]["rmse"] != pytest.approx(told(plain)["source_offset"]["rmse"], rel=1e-3)
    with pytest.raises(BadParamsError, match="'line_strength'"):
        Auto({"transfer_options": {"source_offset": {"line_strengt": 1.0}}})


def test_auto_of_unknown_candidates_or_of_itself_is_refused():
    with pytest.raises(BadParamsError, match="'target_only'"):
        Auto({"candidates": ["target_onli"]})
    with pytest.raises(BadParamsError, match="itself"):
        Auto({"candidates": ["auto"]})
