"""Contract of every one-class learner: good parts alone, a threshold from them, equal after reload."""

from dataclasses import replace

import numpy as np
import pytest
from one_class_cases import SMALL_OPTIONS, fitted, pictures
from sklearn.metrics import roc_auc_score

from core.errors import BadParamsError
from core.learners import LEARNERS, load_learner, save_learner
from core.learners.one_class import finish_maps, good_folds, good_rows, map_scores

NAMES = [name for name in LEARNERS if LEARNERS[name].is_one_class]


def test_one_class_learners_are_those_with_small_options():
    assert sorted(NAMES) == sorted(SMALL_OPTIONS)


@pytest.mark.parametrize("name", NAMES)
def test_one_class_learner_ranks_defects_above_good_parts(name):
    _, test, _ = pictures()
    assert roc_auc_score(test.labels, fitted(name).image_scores(test)) > 0.9


@pytest.mark.parametrize("name", ["memory_bank", "golden_template"])
def test_one_class_learner_without_the_defects_is_the_same(name):
    train, test, _ = pictures()
    alone = LEARNERS[name](SMALL_OPTIONS[name], seed=0).fit(train.take(train.labels == 0))
    assert np.array_equal(alone.image_scores(test), fitted(name).image_scores(test))
    assert alone.threshold_ == fitted(name).threshold_


def test_one_class_learner_with_unlabelled_rows_reads_them_only_when_told():
    train, _, _ = pictures()
    labels = train.labels.copy()
    labels[np.flatnonzero(labels == 0)[:6]] = np.nan
    masked = train.with_labels(labels)
    assert len(good_rows(masked, use_unlabelled=True)) == len(good_rows(masked, use_unlabelled=False)) + 6
    assert len(good_rows(masked.with_weights(masked.labels != 0), use_unlabelled=True)) == 6


@pytest.mark.parametrize("name", NAMES)
def test_one_class_probability_is_a_half_at_the_threshold_and_monotone(name):
    _, test, _ = pictures()
    learner = fitted(name)
    scores, probability = learner.image_scores(test), learner.predict_probability(test)
    assert probability.shape == (len(test), 2)
    np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    assert np.array_equal(probability[:, 1] >= 0.5, scores >= learner.threshold_)
    order = np.argsort(scores)
    assert np.all(np.diff(probability[order, 1]) >= 0)


@pytest.mark.parametrize("name", NAMES)
def test_one_class_threshold_is_the_quantile_of_held_out_good_parts(name):
    learner = fitted(name)
    assert len(learner.held_scores_) == int((pictures()[0].labels == 0).sum())
    assert learner.threshold_ == pytest.approx(np.quantile(learner.held_scores_, learner.options.quantile))
    assert abs(learner.held_scores_.mean()) < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_one_class_learner_after_reload_gives_equal_maps_and_probabilities(name, tmp_path):
    _, test, _ = pictures()
    learner = fitted(name)
    save_learner(learner, tmp_path)
    loaded = load_learner(tmp_path)
    assert np.array_equal(loaded.predict_probability(test), learner.predict_probability(test))
    assert np.array_equal(loaded.heat_maps(test), learner.heat_maps(test))
    assert loaded.level_ == learner.level_
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {".json", ".safetensors"}


@pytest.mark.parametrize("name", NAMES)
def test_one_class_learner_of_no_rows_gives_none(name):
    _, test, _ = pictures()
    assert fitted(name).predict_probability(test.take([])).shape == (0, 2)


@pytest.mark.parametrize("name", NAMES)
def test_one_class_learner_with_too_few_good_parts_refuses(name):
    train, _, _ = pictures()
    with pytest.raises(BadParamsError, match="good pictures"):
        LEARNERS[name](SMALL_OPTIONS[name]).fit(replace(train, labels=np.ones(len(train))))


def test_good_folds_hold_whole_groups_out_once():
    groups = np.array(["a", "b", "a", "c", "d", "c", "b", "e"])
    folds = good_folds(groups, 3, seed=0)
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(8))
    for fit_rows, held_rows in folds:
        assert not set(groups[fit_rows]) & set(groups[held_rows])


def test_good_folds_of_one_group_hold_rows_out():
    folds = good_folds(np.array(["a"] * 5), 3, seed=0)
    assert len(folds) == 3 and all(len(fit_rows) for fit_rows, _ in folds)


def test_map_scores_are_the_mean_of_the_largest_cells():
    maps = np.random.default_rng(0).random((3, 5, 4))
    expected = [np.mean(sorted(one.ravel())[-4:]) for one in maps]
    np.testing.assert_allclose(map_scores(maps, 0.2), expected)
    np.testing.assert_allclose(map_scores(maps, 0.0), maps.max(axis=(1, 2)))


def test_finish_maps_at_the_border_takes_the_least_value():
    maps = np.random.default_rng(0).random((2, 6, 6)).astype(np.float32)
    framed = finish_maps(maps, 0.0, 1)
    assert np.array_equal(framed[:, 1:-1, 1:-1], maps[:, 1:-1, 1:-1])
    assert framed[0, 0].max() == maps[0, 1:-1, 1:-1].min()
