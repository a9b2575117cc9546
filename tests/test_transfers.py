"""Contract of every registered transfer, oracles of their formulas, and what `auto` must never do."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from small_tables import make_table, mask_labels

from core.data.samples import concatenate
from core.errors import BadParamsError
from core.learners import LEARNERS, load_learner, save_learner
from core.learners.centred_ridge import fit_centred_ridge
from core.transfers import TRANSFERS
from core.transfers.auto import Auto
from core.transfers.base import TransferTask
from core.transfers.importance_weighting import (
    effective_num_rows,
    estimate_density_ratio,
    normalise_ratio,
)
from core.transfers.pooled import Pooled
from core.transfers.source_fits import usable_valid

TREES = {"num_rounds": 40, "early_stopping_rounds": 10, "learning_rate": 0.1}
MAKERS = {
    "logistic_regression": partial(LEARNERS["logistic_regression"], {}, seed=0),
    "boosted_trees": partial(LEARNERS["boosted_trees"], TREES, seed=0),
}


NEEDS_AN_ENCODER = ("aligned", "anomaly_guided", "continued_pretraining", "fixmatch", "self_supervised")
TABLE_TRANSFERS = [name for name in TRANSFERS if name not in NEEDS_AN_ENCODER]
QUICK = {"auto": {"num_folds": 3, "num_repeats": 1}}


def make_transfer(name):
    return TRANSFERS[name](**QUICK.get(name, {}))


def make_task(num_labels=60, *, learner="logistic_regression", source_slope=1.0, seed=0):
    source = concatenate(
        [
            make_table(250, seed=seed + 1, domain="lender_a", shift=0.5, slope=source_slope),
            make_table(200, seed=seed + 2, domain="lender_b", slope=source_slope),
        ]
    )
    target = mask_labels(make_table(200, seed=seed + 3), num_labels)
    return TransferTask(source=source, target=target, valid=None, make_learner=MAKERS[learner])


@pytest.mark.parametrize("name", list(TRANSFERS))
def test_transfer_module_is_named_like_its_entry(name):
    assert TRANSFERS[name].__module__ == f"core.transfers.{name}"


@pytest.mark.parametrize("learner", list(MAKERS))
@pytest.mark.parametrize("name", TABLE_TRANSFERS)
def test_transfer_gives_a_learner_that_survives_a_reload(name, learner, tmp_path):
    task = make_task(learner=learner)
    fitted = make_transfer(name).fit(task)
    test = make_table(300, seed=50)
    probability = fitted.predict_probability(test)
    assert probability.shape == (300, 2) and np.isfinite(probability).all()
    assert roc_auc_score(test.labels, probability[:, 1]) > 0.65
    save_learner(fitted, tmp_path / "learner")
    assert np.array_equal(load_learner(tmp_path / "learner").predict_probability(test), probability)
    assert all(p.suffix in {".json", ".ubj"} for p in (tmp_path / "learner").rglob("*") if p.is_file())


@pytest.mark.parametrize("name", TABLE_TRANSFERS)
def test_transfer_run_twice_gives_equal_probabilities(name):
    task = make_task()
    test = make_table(100, seed=50)
    told = make_transfer(name).fit(task).predict_probability(test)
    again = make_transfer(name).fit(task).predict_probability(test)
    assert np.array_equal(told, again)
    assert task.target.num_labelled == 60


@pytest.mark.parametrize("name", TABLE_TRANSFERS)
def test_transfer_without_source_fits_or_names_the_way_out(name):
    task = make_task()
    task = replace(task, source=task.source.take(np.array([], dtype=int)))
    if TRANSFERS[name].needs_source:
        with pytest.raises(BadParamsError, match="target_only"):
            make_transfer(name).fit(task)
    else:
        alone = task.make_learner().fit(task.target)
        test = make_table(100, seed=50)
        found = make_transfer(name).fit(task).predict_probability(test)
        np.testing.assert_allclose(found, alone.predict_probability(test))


@pytest.mark.parametrize("name", TABLE_TRANSFERS)
def test_transfer_without_target_labels_fits_or_refuses(name):
    task = make_task(num_labels=0)
    if TRANSFERS[name].needs_target_labels and name != "pooled":
        with pytest.raises(BadParamsError):
            make_transfer(name).fit(task)
    else:
        assert np.isfinite(make_transfer(name).fit(task).predict_probability(task.target)).all()


def test_source_only_ignores_the_target():
    task = make_task()
    fitted = TRANSFERS["source_only"]().fit(task)
    alone = task.make_learner().fit(task.source)
    test = make_table(100, seed=50)
    assert np.array_equal(fitted.predict_probability(test), alone.predict_probability(test))


def test_target_only_ignores_the_source():
    task, other = make_task(), make_task(source_slope=-1.0)
    test = make_table(100, seed=50)
    found = [TRANSFERS["target_only"]().fit(t).predict_probability(test) for t in (task, other)]
    assert np.array_equal(*found)


def test_continued_logistic_regression_minimises_the_loss_centred_at_the_source():
    task = make_task()
    options = {"strength": 7.0}
    task = replace(task, make_learner=partial(LEARNERS["logistic_regression"], options))
    fitted = TRANSFERS["continued_training"]().fit(task)
    source, target = task.source, task.target.labelled()
    design = fitted.encoding_.transform
    prior = fit_centred_ridge(design(source), source.targets, source.weights, 7.0)
    by_hand = fit_centred_ridge(design(target), target.targets, target.weights, 7.0, centre=prior)
    np.testing.assert_allclose(fitted.coefficients_, by_hand, atol=1e-5)
    alone = fit_centred_ridge(design(target), target.targets, target.weights, 7.0)
    assert np.linalg.norm(fitted.coefficients_ - prior) < np.linalg.norm(alone - prior)


def test_continued_logistic_regression_learns_a_column_the_source_lacks():
    task = make_task(num_labels=200)
    lacking = task.source.inputs.assign(amount=np.nan)
    task = replace(task, source=replace(task.source, inputs=lacking))
    fitted = TRANSFERS["continued_training"]().fit(task)
    amount = fitted.encoding_.owners.index("amount")
    assert fitted.coefficients_[1 + amount] > 0.3


def test_continued_trees_keep_the_source_trees_below_their_own():
    task = make_task(num_labels=200, learner="boosted_trees", source_slope=-1.0)
    source = task.make_learner().fit(task.source)
    grown = TRANSFERS["continued_training"]().fit(task)
    rounds = source.boosters_[0].num_boosted_rounds()
    assert grown.boosters_[0].num_boosted_rounds() > rounds
    from core.learners.table_encoding import tree_matrix

    matrix = tree_matrix(task.target, grown.schema_)
    np.testing.assert_array_equal(
        grown.boosters_[0][:rounds].predict(matrix, output_margin=True),
        source.boosters_[0].predict(matrix, output_margin=True),
    )


def test_continued_training_of_a_scorecard_names_what_can_continue():
    task = replace(make_task(), make_learner=LEARNERS["scorecard"])
    with pytest.raises(BadParamsError, match="logistic_regression"):
        TRANSFERS["continued_training"]().fit(task)


def test_stacked_score_has_one_learner_a_source_domain():
    task = make_task()
    fitted = TRANSFERS["stacked_score"]().fit(task)
    assert list(fitted.sources_) == ["lender_a", "lender_b"]
    alone = task.make_learner().fit(task.source.of_domains(["lender_b"]))
    found = fitted.sources_["lender_b"].predict_logits(task.target)
    assert np.array_equal(found, alone.predict_logits(task.target))


def test_pooled_equals_one_fit_on_weighted_rows():
    task = make_task()
    fitted = Pooled(target_multiplier=3.0).fit(task)
    target = task.target.labelled()
    rows = concatenate([task.source, target.with_weights(np.full(len(target), 3.0))])
    alone = LEARNERS["domain_tagged"]({"target_domain": "target"}).fit(rows)
    test = make_table(100, seed=50)
    assert np.array_equal(fitted.predict_probability(test), alone.predict_probability(test))


def test_pooled_gives_the_target_more_weight_where_the_source_misleads():
    alike, misleading = make_task(num_labels=150), make_task(num_labels=150, source_slope=-1.0)
    assert Pooled().choose_multiplier(misleading) > Pooled().choose_multiplier(alike) == 1.0


def test_density_ratio_of_two_normals_follows_the_true_ratio():
    source = make_table(3000, seed=1, domain="source", shift=0.0)
    target = mask_labels(make_table(3000, seed=2, shift=1.0), 0)
    ratio = estimate_density_ratio(source, target, seed=0)
    amount = source.inputs["amount"].to_numpy()
    is_inner = np.abs(amount - 0.5) < 1.5
    truth = norm.logpdf(amount[is_inner], 1.0) - norm.logpdf(amount[is_inner], 0.0)
    assert np.corrcoef(np.log(ratio[is_inner]), truth)[0, 1] > 0.9
    assert np.median(np.abs(np.log(ratio[is_inner]) - truth)) < 0.35


def test_density_ratio_passes_over_columns_one_side_lacks():
    source = make_table(300, seed=1, domain="source")
    lacking = replace(source, inputs=source.inputs.assign(months=np.nan))
    target = mask_labels(make_table(300, seed=2), 0)
    ratio = estimate_density_ratio(lacking, target, seed=0)
    assert 0.5 < np.median(ratio) < 2.0


def test_normalised_ratio_and_effective_rows_equal_plain_loops():
    ratio = np.array([0.1, 0.5, 1.0, 4.0, 400.0])
    clipped = [min(value**0.5, 3.0) for value in ratio]
    by_hand = [value / (sum(clipped) / 5) for value in clipped]
    np.testing.assert_allclose(normalise_ratio(ratio, 0.5, 3.0), by_hand)
    total, squares = sum(by_hand), sum(value**2 for value in by_hand)
    assert effective_num_rows(np.array(by_hand)) == pytest.approx(total**2 / squares)
    assert effective_num_rows(np.ones(7)) == pytest.approx(7.0)


def test_importance_weighting_records_weights_and_effective_rows():
    task = make_task()
    transfer = TRANSFERS["importance_weighting"]()
    transfer.fit(task)
    assert transfer.weights_.mean() == pytest.approx(1.0)
    assert 1 < transfer.effective_num_rows_ <= task.source.num_labelled


def test_valid_of_few_rows_is_not_used_to_stop_early():
    task = replace(make_task(), valid=make_table(60, seed=9))
    assert usable_valid(task) is None
    large = make_table(900, seed=9)
    assert len(usable_valid(replace(task, valid=large))) == 900


def test_auto_without_target_labels_is_the_source_model():
    task = make_task(num_labels=0)
    fitted = Auto().fit(task)
    alone = TRANSFERS["source_only"]().fit(task)
    test = make_table(100, seed=50)
    np.testing.assert_allclose(fitted.predict_probability(test), alone.predict_probability(test))
    told = {row["candidate"]: row for row in fitted.selection_}
    assert told["source_only"]["weight"] == 1.0
    assert "labels" in told["target_only"]["skipped"]


def test_auto_records_each_candidate_with_its_weight_and_metric():
    fitted = make_transfer("auto").fit(make_task())
    told = {row["candidate"]: row for row in fitted.selection_}
    assert set(told) == {*TABLE_TRANSFERS, "blend"} - {"auto"}
    weights = [row["weight"] for name, row in told.items() if name != "blend"]
    assert sum(weights) == pytest.approx(1.0)
    assert all(0.3 < row["auc"] <= 1.0 for row in told.values())


def test_auto_of_named_candidates_tries_only_these():
    fitted = Auto(candidates=("source_only", "target_only")).fit(make_task())
    assert [row["candidate"] for row in fitted.selection_] == ["source_only", "target_only", "blend"]
    with pytest.raises(BadParamsError, match="'target_only'"):
        Auto(candidates=("target_onli",))
    with pytest.raises(BadParamsError, match="itself"):
        Auto(candidates=("auto",))


@pytest.mark.parametrize("source_slope", [1.0, -1.0])  # a source that helps, and one that misleads
@pytest.mark.parametrize("num_labels", [40, 150])
def test_auto_is_never_much_worse_than_the_better_of_source_and_target(source_slope, num_labels):
    losses = []
    for seed in (0, 100, 200):
        task = make_task(num_labels, source_slope=source_slope, seed=seed)
        test = make_table(1500, seed=seed + 50)
        auc = {
            name: roc_auc_score(test.labels, make_transfer(name).fit(task).predict_probability(test)[:, 1])
            for name in ("source_only", "target_only", "auto")
        }
        losses.append(max(auc["source_only"], auc["target_only"]) - auc["auto"])
    assert np.mean(losses) < 0.015, losses
