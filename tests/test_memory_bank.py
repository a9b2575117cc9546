"""The memory bank: its distances, its scaling, its descriptors, and where the map peaks."""

import numpy as np
import pytest
import torch
from one_class_cases import SMALL_OPTIONS, fitted, pictures, share_of_peaks_inside

from core.explain.heat_maps import enlarge
from core.learners import LEARNERS
from core.learners.local_features import LocalFeatureOptions, apply_scaling, even_illumination, fit_scaling, join_maps
from core.learners.memory_bank import nearest_distances


@pytest.mark.parametrize("count", [1, 3])
def test_nearest_distances_equal_plain_loops(count):
    generator = np.random.default_rng(0)
    rows, bank = (generator.standard_normal((n, 6)).astype(np.float32) for n in (9, 14))
    expected = [np.mean(sorted(np.sqrt(np.sum((row - one) ** 2)) for one in bank)[:count]) for row in rows]
    np.testing.assert_allclose(nearest_distances(rows, bank, count), expected, rtol=1e-4)


def test_whitened_cells_are_uncorrelated_with_equal_spread():
    generator = np.random.default_rng(0)
    cells = generator.standard_normal((4000, 5)) @ generator.standard_normal((5, 5)) * [1, 10, 0.1, 3, 5] + 4
    parts = fit_scaling(cells, LocalFeatureOptions(scaling="whiten"), seed=0)
    scaled = apply_scaling(cells, parts)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-3)
    found = np.cov(scaled.T)
    assert np.abs(found - np.diag(np.diag(found))).max() < 0.01
    assert np.diag(found)[:3] == pytest.approx([1, 1, 1], abs=0.02)
    fewer = fit_scaling(cells, LocalFeatureOptions(scaling="whiten", num_components=2), seed=0)
    np.testing.assert_allclose(apply_scaling(cells, fewer), scaled[:, :2], rtol=1e-4, atol=1e-4)


def test_standardised_cells_have_unit_spread_and_none_leaves_them():
    cells = np.random.default_rng(0).random((50, 3)) * [1, 5, 9]
    parts = fit_scaling(cells, LocalFeatureOptions(scaling="standardise"), seed=0)
    np.testing.assert_allclose(apply_scaling(cells, parts).std(axis=0), 1.0, rtol=1e-3)
    np.testing.assert_allclose(apply_scaling(cells, {}), cells, rtol=1e-6)


def test_join_maps_averages_neighbours_inside_the_picture_and_enlarges_the_deeper():
    shallow = torch.arange(16.0).reshape(1, 1, 4, 4)
    deep = torch.full((1, 2, 2, 2), 5.0)
    found = join_maps([shallow, deep], 3)
    assert found.shape == (1, 4, 4, 3) and found.dtype == np.float16
    plain = np.arange(16.0).reshape(4, 4)
    for row in range(4):
        for column in range(4):
            near = plain[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            assert found[0, row, column, 0] == pytest.approx(near.mean(), rel=1e-3)
    assert np.all(found[..., 1:] == 5.0)


def test_even_illumination_takes_exposure_away():
    pixels = np.random.default_rng(0).integers(90, 150, (1, 24, 24, 1)).astype(np.uint8)
    darker = (pixels * 0.7).astype(np.uint8)
    for kind in ("standardise", "local"):
        apart = even_illumination(pixels, kind).astype(float) - even_illumination(darker, kind)
        assert np.abs(apart).mean() < 6 < np.abs(pixels.astype(float) - darker).mean()
    assert even_illumination(pixels, "none") is pixels


def test_memory_bank_map_peaks_in_the_planted_defect():
    _, test, masks = pictures()
    maps = enlarge(fitted("memory_bank").heat_maps(test), masks.shape[1])
    assert share_of_peaks_inside(maps, test, masks) > 0.8


@pytest.mark.parametrize(
    "told",
    [
        {"coreset": "random", "views": "flips", "num_neighbours": 3},
        {"use_global": True, "score": "max", "scaling": "standardise", "smoothing_cells": 1.0},
    ],
)
def test_memory_bank_options_still_find_defects(told):
    train, test, _ = pictures()
    learner = LEARNERS["memory_bank"]({**SMALL_OPTIONS["memory_bank"], **told}, seed=0).fit(train)
    scores = learner.image_scores(test)
    assert scores[test.labels == 1].mean() > scores[test.labels == 0].mean() + 2
    assert len(learner.centre_) == 1 + bool(told.get("use_global"))
    assert len(learner.parts_["bank"]) == 150
