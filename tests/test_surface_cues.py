"""The cues of a ground surface: each answers to its own defect, none to the padding or to the picture's size."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from ground_surfaces import ground_surface
from image_samples import IMAGE_SCHEMA
from sklearn.metrics import roc_auc_score

from core.data.samples import Samples
from core.images.fitting import fit
from core.images.image import Image
from core.images.spec import ImageSpec
from core.learners import LEARNERS
from core.learners.score_fusion import apply_scale, fit_scale, join_scores
from core.learners.surface_cues import SurfaceCues, _window_means, darkness, streak_changes

NATIVE = ImageSpec(size_px=128, fit="native")
KINDS = ("blowhole", "uneven", "worn")


def surfaces(num_good=30, num_each=8, *, seed=0, is_turned=False):
    """Samples of ground surfaces in a padded square; kinds and masks beside them."""
    images, kinds, masks = [], [], []
    for kind, count in (("good", num_good), *((kind, num_each) for kind in KINDS)):
        for number in range(count):
            height, width = 100 + 2 * (number % 6), 60 + 5 * (number % 5)
            grey, mask = ground_surface(height, width, defect=kind, seed=1000 * seed + len(images))
            grey, mask = (grey.T, mask.T) if is_turned else (grey, mask)
            images.append(Image.of_pixels(fit(grey, NATIVE), height_px=grey.shape[0], width_px=grey.shape[1]))
            kinds.append(kind)
            masks.append(mask)
    kinds, names = np.array(kinds), np.array([f"{row}" for row in range(len(images))], dtype=object)
    frame = pd.DataFrame({"image": pd.Series(images, dtype=object)})
    labels = (kinds != "good").astype(float)
    lines = np.full(len(names), "line", dtype=object)
    return Samples(frame, labels, names, lines, np.ones(len(names)), names, IMAGE_SCHEMA), kinds, masks


OPTIONS = {"image_fit": "native", "window_px": 12, "margin_px": 6}


@pytest.mark.parametrize("direction", ["vertical", "horizontal"])
def test_surface_cues_find_every_kind_along_the_streaks(direction):
    is_turned = direction == "horizontal"
    train, _, _ = surfaces(num_each=0, is_turned=is_turned)
    test, kinds, _ = surfaces(seed=1, is_turned=is_turned)
    learner = LEARNERS["surface_cues"]({**OPTIONS, "direction": direction}).fit(train)
    scores = learner.image_scores(test)
    for kind in KINDS:
        chosen = (kinds == "good") | (kinds == kind)
        assert roc_auc_score(test.labels[chosen], scores[chosen]) > 0.9, kind
    assert np.mean(scores[kinds == "good"] > learner.threshold_) < 0.25


def test_surface_cues_each_answers_to_its_own_defect():
    train, _, _ = surfaces(num_each=0)
    test, kinds, _ = surfaces(seed=1)
    learner = LEARNERS["surface_cues"](OPTIONS).fit(train)
    described = learner._describe(list(test.inputs["image"]), is_fit=False)
    standard = learner.standard_cues(described, learner.parts_)
    medians = np.array([np.median(standard[kinds == kind], axis=0) for kind in KINDS])
    assert np.abs(np.median(standard[kinds == "good"], axis=0)).max() < 1.0
    assert medians[0].argmax() == 0
    assert medians[1, 1] > 2.0 and medians[1, 1] > 2 * medians[2, 1]
    assert medians[2, 2] > 2.0


def test_surface_cues_do_not_see_the_padding():
    grey, _ = ground_surface(100, 70, seed=3)
    fitted = fit(grey, NATIVE)
    loud = np.random.default_rng(0).integers(0, 256, fitted.shape, dtype=np.uint8)
    loud[14:114, 29:99] = fitted[14:114, 29:99]
    images = [Image.of_pixels(one, height_px=100, width_px=70) for one in (fitted, loud)]
    rows = SurfaceCues(OPTIONS)._rows(images)
    np.testing.assert_array_equal(rows[0], rows[1])
    assert np.isnan(rows[0]).any()  # cells of the padding


def test_surface_cues_heat_map_peaks_in_the_dark_spot():
    train, _, _ = surfaces(num_each=0)
    test, kinds, masks = surfaces(seed=1)
    maps = LEARNERS["surface_cues"](OPTIONS).fit(train).heat_maps(test)
    assert maps.shape == (len(test), 16, 16) and np.isfinite(maps).all()
    for row in np.flatnonzero(kinds == "blowhole"):
        height, width = masks[row].shape
        rows, columns = np.nonzero(masks[row])
        middle = np.array([rows.mean() + (128 - height) // 2, columns.mean() + (128 - width) // 2]) / 8
        peak = np.array(np.unravel_index(maps[row].argmax(), maps[row].shape)) + 0.5
        assert np.abs(peak - middle).max() < 1.5


def test_surface_cues_of_equal_pictures_of_other_size_differ_by_the_trend_alone():
    train, _, _ = surfaces(num_each=0)
    learner = LEARNERS["surface_cues"](OPTIONS).fit(train)
    one = train.take([0])
    image = one.inputs["image"].iloc[0]
    twice = pd.DataFrame({"image": pd.Series([image, image], dtype=object)})
    both = replace(train.take([0, 1]), inputs=twice)
    np.testing.assert_allclose(learner.image_scores(both), learner.image_scores(one)[0])


def test_darkness_is_highest_in_the_spot_and_blind_to_streaks_and_slow_light():
    grey, mask = ground_surface(120, 90, defect="blowhole", seed=2)
    light = np.linspace(0.9, 1.1, 90)[None] * grey
    for one in (grey.astype(np.float32), light.astype(np.float32)):
        found = darkness(one)
        assert mask[np.unravel_index(found.argmax(), found.shape)]
        assert found[mask].mean() > 5 * np.abs(found[~mask]).mean()


def test_streak_changes_tell_pattern_from_strength():
    good, uneven, worn = (
        np.mean([streak_changes(ground_surface(defect=kind, seed=s)[0].astype(np.float32), 12, 6) for s in range(5)], 0)
        for kind in ("good", "uneven", "worn")
    )
    assert good[0] < 0.3 and uneven[0] > 0.6 and worn[0] < 0.4
    assert worn[1] > 2 * good[1]


def test_window_means_equal_plain_loops():
    values = np.random.default_rng(0).random((9, 3))
    expected = [values[row : row + 4].mean(axis=0) for row in range(6)]
    np.testing.assert_allclose(_window_means(values, 4), expected)


def test_fit_scale_takes_the_line_of_size_away():
    generator = np.random.default_rng(0)
    sizes = generator.uniform(4, 6, (200, 2))
    noise = generator.standard_normal((200, 2))
    scores = noise + 5 * sizes[:, :1] - 3 * sizes[:, 1:] + 7
    scale = fit_scale(scores, sizes)
    standard = apply_scale(scores, sizes, scale)
    np.testing.assert_allclose(np.median(standard, axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(standard.std(axis=0), 1, rtol=1e-9)
    assert np.abs(np.corrcoef(standard[:, 0], sizes.T)[0, 1:]).max() < 0.05
    plain = fit_scale(scores)
    np.testing.assert_allclose(apply_scale(scores, sizes, plain), (scores - np.median(scores, 0)) / scores.std(0))


def test_join_scores_equals_a_plain_loop():
    standard = np.array([[0.0, 1.0, -5.0], [4.0, 0.0, 0.0]])
    expected = [np.log(sum(np.exp(1.5 * max(z, -1.5)) for z in row)) for row in standard]
    np.testing.assert_allclose(join_scores(standard, 1.5), expected)
