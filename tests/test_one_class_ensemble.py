"""The ensemble of one-class learners: its scale, its order of rows, its maps; the contract is in test_one_class."""

import numpy as np
import pytest
from one_class_cases import TINY, fitted, pictures
from sklearn.metrics import roc_auc_score

from core.errors import BadParamsError
from core.learners import LEARNERS

PARTS = [{"learner": "golden_template", "options": {"size_px": 48}}, {"learner": "gaussian_features", "options": TINY}]


def make(**told):
    return LEARNERS["one_class_ensemble"]({"parts": PARTS, **told}, seed=0)


def test_ensemble_scores_equal_a_plain_loop_over_its_parts():
    _, test, _ = pictures()
    learner = fitted("one_class_ensemble")
    joined = np.zeros(len(test))
    for part in learner.parts_:
        held = part.held_scores_
        standard = (part.image_scores(test) - np.median(held)) / held.std()
        joined += np.exp(learner.options.sharpness * np.maximum(standard, -1.5))
    expected = (np.log(joined) - learner.centre_) / learner.scale_
    np.testing.assert_allclose(learner.image_scores(test), expected)


def test_ensemble_parts_equal_the_learners_fitted_alone():
    train, test, _ = pictures()
    alone = LEARNERS["gaussian_features"](TINY, seed=0).fit(train)
    np.testing.assert_array_equal(make().fit(train).parts_[1].image_scores(test), alone.image_scores(test))


def test_ensemble_is_no_worse_than_its_worse_part():
    _, test, _ = pictures()
    learner = fitted("one_class_ensemble")
    of_parts = [roc_auc_score(test.labels, part.image_scores(test)) for part in learner.parts_]
    assert roc_auc_score(test.labels, learner.image_scores(test)) >= min(of_parts)


def test_ensemble_maps_have_the_largest_parts_size_and_the_joined_level():
    train, test, _ = pictures()
    learner = make().fit(train)
    maps = learner.heat_maps(test)
    sides = [part.heat_maps(test).shape[1] for part in learner.parts_]
    assert maps.shape == (len(test), max(sides), max(sides)) and (maps >= 0).all() and learner.level_ > 0
    good = maps[test.labels == 0].max(axis=(1, 2)) > learner.level_
    bad = maps[test.labels == 1].max(axis=(1, 2)) > learner.level_
    assert good.mean() < 0.5 < bad.mean()


def test_ensemble_gives_its_parts_the_unlabelled_rows_it_reads():
    train, _, _ = pictures()
    labels = train.labels.copy()
    labels[np.flatnonzero(labels == 0)[:6]] = np.nan
    masked = train.with_labels(labels)
    counts = {told: len(make(use_unlabelled=told).fit(masked).held_scores_) for told in (False, True)}
    assert counts[True] == counts[False] + 6


@pytest.mark.parametrize("parts", [[], [{"learner": "image_probe"}], [{"learner": "one_class_ensemble"}]])
def test_ensemble_of_no_or_other_learners_is_refused(parts):
    with pytest.raises(BadParamsError):
        make(parts=parts).fit(pictures()[0])
