"""Registration of a shifted part, comparison with its template, and references by group."""

import numpy as np
import pandas as pd
import pytest
from image_samples import IMAGE_SCHEMA
from scipy.ndimage import gaussian_filter

from core.data.samples import Samples
from core.images.image import Image
from core.images.registration import is_known, phase_shift, shifted
from core.learners import LEARNERS, load_learner, save_learner


def layout(seed, size=48):
    """A part's own pattern, 0..1."""
    pattern = gaussian_filter(np.random.default_rng(seed).standard_normal((size, size)), 1.5, mode="wrap")
    return (pattern - pattern.min()) / np.ptp(pattern)


def parts_of(layouts, num_each, *, defect=None, seed=0):
    """Samples of shifted, noisy parts of each layout; `defect` (rows, columns) are darkened in all."""
    generator = np.random.default_rng(seed)
    images, groups = [], []
    for name, pattern in layouts.items():
        for _ in range(num_each):
            values = pattern + 0.02 * generator.standard_normal(pattern.shape)
            moved = np.roll(values, generator.integers(-2, 3, 2), axis=(0, 1)) if defect is None else values.copy()
            if defect is not None:
                moved[defect] = 1.0 - moved[defect].round()
            images.append(Image.of_pixels(np.clip(40 + 170 * moved, 0, 255).astype(np.uint8)))
            groups.append(name)
    num = len(images)
    return Samples(
        inputs=pd.DataFrame({"image": pd.Series(images, dtype=object)}),
        labels=np.full(num, float(defect is not None)),
        sample_ids=np.array([f"p{row}" for row in range(num)], dtype=object),
        domains=np.full(num, "line", dtype=object),
        weights=np.ones(num),
        groups=np.array(groups, dtype=object),
        schema=IMAGE_SCHEMA,
    )


@pytest.mark.parametrize("by", [(0, 0), (3, -2), (-5, 4)])
def test_phase_shift_of_a_shifted_template_is_exact(by):
    fixed = layout(0)
    moving = np.roll(fixed, (-by[0], -by[1]), axis=(0, 1))
    assert phase_shift(moving, fixed, max_shift_px=6) == by


def test_phase_shift_between_pixels_is_nearer_than_whole_pixels():
    wide = gaussian_filter(np.random.default_rng(0).standard_normal((96 * 4, 96 * 4)), 10, mode="wrap")
    fixed, moving = wide[::4, ::4], np.roll(wide, (5, -6), axis=(0, 1))[::4, ::4]
    found = phase_shift(moving, fixed, max_shift_px=6, use_subpixel=True)
    assert abs(found[0] + 1.25) < 0.2 and abs(found[1] - 1.5) < 0.2


def test_phase_shift_stays_within_the_farthest():
    fixed = layout(0)
    found = phase_shift(np.roll(fixed, 12, axis=0), fixed, max_shift_px=3)
    assert max(map(abs, found)) <= 3


def test_shifted_continues_the_border():
    found = shifted(np.arange(4.0)[:, None] * np.ones(4), (1.0, 0.0))
    assert found[:, 0].tolist() == [0, 0, 1, 2]
    assert is_known((4, 4), (1.0, -0.5)).tolist() == [[False] * 4, *[[True, True, True, False]] * 3]


def test_golden_template_map_peaks_in_the_planted_defect_of_a_shifted_part():
    good = parts_of({"a": layout(3)}, 12)
    area = (slice(20, 27), slice(28, 35))
    learner = LEARNERS["golden_template"]({"smoothing_cells": 0.5}, seed=0).fit(good)
    bad = parts_of({"a": layout(3)}, 3, defect=area, seed=9)
    for heat in learner.heat_maps(bad):
        row, column = np.unravel_index(np.argmax(heat), heat.shape)
        assert 19 <= row <= 27 and 27 <= column <= 35
    assert learner.predict_probability(bad)[:, 1].min() > 0.5
    fresh = parts_of({"a": layout(3)}, 6, seed=5)
    assert learner.image_scores(fresh).max() < learner.image_scores(bad).min()


def test_golden_template_by_group_compares_with_the_parts_own_layout(tmp_path):
    layouts = {"a": layout(3), "b": layout(4), "ü": layout(5)}
    good = parts_of(layouts, 5)
    bad = parts_of(layouts, 2, defect=(slice(10, 17), slice(12, 19)), seed=9)
    by_group = LEARNERS["golden_template"]({"reference": "group"}, seed=0).fit(good)
    probability = by_group.predict_probability(bad)
    assert probability[:, 1].min() > 0.5
    assert by_group.predict_probability(parts_of(layouts, 3, seed=5))[:, 1].mean() < 0.5
    save_learner(by_group, tmp_path)
    assert np.array_equal(load_learner(tmp_path).predict_probability(bad), probability)


def test_golden_template_under_another_exposure_scores_alike():
    good = parts_of({"a": layout(3)}, 12)
    learner = LEARNERS["golden_template"]({}, seed=0).fit(good)
    darker = [Image.of_pixels((image.pixels * 0.6).astype(np.uint8)) for image in good.inputs["image"]]
    frame = pd.DataFrame({"image": pd.Series(darker, dtype=object)})
    apart = learner.image_scores(good.with_inputs(frame, good.schema)) - learner.image_scores(good)
    assert np.abs(apart).max() < 0.5
