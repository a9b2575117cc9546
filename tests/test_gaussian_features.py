"""The Mahalanobis distance against the formula, and both kinds of Gaussian."""

import numpy as np
import pytest
from one_class_cases import SMALL_OPTIONS, fitted, pictures, share_of_peaks_inside

from core.explain.heat_maps import enlarge
from core.learners import LEARNERS
from core.learners.gaussian_distance import RIDGE_FRACTION, fit_gaussian, mahalanobis


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
def test_mahalanobis_equals_the_inverse_of_the_shrunk_covariance(shrinkage):
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((30, 4)) @ generator.standard_normal((4, 4)) + 2
    mean = rows.sum(axis=0) / 30
    covariance = np.zeros((4, 4))
    for row in rows:
        covariance += np.outer(row - mean, row - mean) / 29
    diagonal = np.diag(np.diag(covariance))
    shrunk = (1 - shrinkage) * covariance + shrinkage * diagonal
    shrunk += RIDGE_FRACTION * np.trace(covariance) / 4 * np.eye(4)
    fresh = generator.standard_normal((6, 4))
    expected = [np.sqrt((row - mean) @ np.linalg.inv(shrunk) @ (row - mean)) for row in fresh]
    np.testing.assert_allclose(mahalanobis(fresh, *fit_gaussian(rows, shrinkage)), expected, rtol=1e-4)


def test_fit_gaussian_of_fewer_rows_than_columns_is_finite():
    rows = np.random.default_rng(0).standard_normal((4, 9))
    assert np.isfinite(mahalanobis(rows, *fit_gaussian(rows, 0.2))).all()


def test_shared_gaussian_map_peaks_in_the_planted_defect():
    _, test, masks = pictures()
    learner = fitted("gaussian_features")
    assert learner.parts_["mean"].shape[0] == 1
    assert share_of_peaks_inside(enlarge(learner.heat_maps(test), masks.shape[1]), test, masks) > 0.8


def test_gaussian_of_each_position_finds_defects_in_its_drawn_channels():
    train, test, masks = pictures()
    options = {**SMALL_OPTIONS["gaussian_features"], "position": "each", "num_channels": 8, "shrinkage": 0.3}
    learner = LEARNERS["gaussian_features"](options, seed=0).fit(train)
    maps = learner.heat_maps(test)
    assert learner.parts_["mean"].shape == (maps[0].size, 8)
    scores = learner.image_scores(test)
    assert scores[test.labels == 1].mean() > scores[test.labels == 0].mean() + 2
    assert share_of_peaks_inside(enlarge(maps, masks.shape[1]), test, masks) > 0.6
