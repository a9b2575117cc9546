"""The memory bank on padded pictures: padding is neither learnt nor scored, and edges are judged by edges."""

import numpy as np
import pytest
from image_samples import image_samples
from one_class_cases import TINY
from sklearn.metrics import roc_auc_score

from core.images.fitting import fit
from core.images.image import Image
from core.images.spec import ImageSpec
from core.learners import LEARNERS, load_learner, save_learner
from core.learners.local_features import even_illumination, inside_cells
from core.learners.memory_bank import apply_border_bins, border_bins, fit_border_bins
from core.learners.one_class import finish_maps, map_scores

OPTIONS = {**TINY, "bank_size": 150, "projection_dim": 16, "image_fit": "native", "use_border_bins": True}
SPEC = ImageSpec(size_px=64, fit="native")


def padded(num, seed, positive_fraction=0.5, noise_seed=None):
    """Pictures of 48 x 40 in a square of 64; with noise_seed the padding is noise."""
    samples, _ = image_samples(num, size=48, seed=seed, positive_fraction=positive_fraction, noise=0.03)
    images = []
    for image in samples.inputs["image"]:
        fitted = fit(image.pixels[:, 4:44], SPEC)
        if noise_seed is not None:
            loud = np.random.default_rng(noise_seed).integers(0, 256, fitted.shape, dtype=np.uint8)
            loud[8:56, 12:52] = fitted[8:56, 12:52]
            fitted = loud
        images.append(Image.of_pixels(fitted, height_px=48, width_px=40))
    frame = samples.inputs.copy()
    frame["image"] = np.array(images, dtype=object)
    return samples.with_inputs(frame, samples.schema)


@pytest.mark.parametrize("coreset", ["greedy", "random"])
def test_memory_bank_of_padded_pictures_finds_defects_and_is_equal_after_reload(coreset, tmp_path):
    train, test = padded(36, 1, 0.0), padded(24, 2)
    learner = LEARNERS["memory_bank"]({**OPTIONS, "coreset": coreset, "views": "flips"}, seed=0).fit(train)
    scores, maps = learner.image_scores(test), learner.heat_maps(test)
    assert roc_auc_score(test.labels, scores) > 0.85
    assert np.isfinite(maps).all() and (maps >= 0).all() and np.isfinite(learner.parts_["bank"]).all()
    save_learner(learner, tmp_path)
    assert np.array_equal(load_learner(tmp_path).image_scores(test), scores)


def test_memory_bank_padding_has_the_least_value_of_its_picture():
    train, test = padded(24, 1, 0.0), padded(6, 2)
    maps = LEARNERS["memory_bank"](OPTIONS, seed=0).fit(train).heat_maps(test)
    shown = inside_cells(list(test.inputs["image"]), maps.shape[1], "native")
    for heat, inside in zip(maps, shown, strict=True):
        assert (heat[~inside] == heat[inside].min()).all() and not inside.all()


def test_even_illumination_reads_only_what_is_inside():
    quiet, loud = (np.stack([i.pixels for i in padded(3, 1, noise_seed=s).inputs["image"]]) for s in (None, 0))
    inside = inside_cells(list(padded(3, 1).inputs["image"]), 64, "native")
    found = [even_illumination(one, "standardise", inside)[inside] for one in (quiet, loud)]
    np.testing.assert_array_equal(*found)
    assert not np.array_equal(*(even_illumination(one, "standardise")[inside] for one in (quiet, loud)))


def test_inside_cells_are_those_at_least_half_covered():
    image = Image.of_pixels(np.zeros((64, 64), dtype=np.uint8), height_px=20, width_px=64)  # rows 22 to 42
    assert inside_cells([image], 8, "native")[0].all(axis=1).tolist() == [False] * 3 + [True] * 2 + [False] * 3
    tiny = Image.of_pixels(np.zeros((64, 64), dtype=np.uint8), height_px=3, width_px=3)
    assert inside_cells([tiny], 2, "native").any()
    assert inside_cells([tiny], 2, "squash").all()


def test_border_bins_equal_plain_loops():
    inside = np.zeros((1, 8, 9), dtype=bool)
    inside[0, 1:7, 2:9] = True
    found = border_bins(inside)
    for row in range(1, 7):
        for column in range(2, 9):
            y, x = min(row - 1, 6 - row, 2), min(column - 2, 8 - column, 2)
            assert found[0, row, column] == 3 * y + x


def test_border_bins_bring_edges_and_middle_to_one_scale():
    generator = np.random.default_rng(0)
    distances = np.exp(0.2 * generator.standard_normal((40, 9, 9))).astype(np.float32)
    distances[:, [0, -1]] *= 5.0
    distances[:, :, 8] = np.nan
    parts = fit_border_bins(distances)
    found = apply_border_bins(distances, parts)
    assert np.isnan(found[:, :, 8]).all()
    softplus_of_zero = np.log(2.0)
    assert np.median(found[:, 0, 3:5]) == pytest.approx(softplus_of_zero, abs=0.1)
    assert np.median(found[:, 4, 3:5]) == pytest.approx(softplus_of_zero, abs=0.1)
    edge = np.log(distances[0, 0, 3]), border_bins(np.isfinite(distances))[0, 0, 3]
    expected = np.log1p(np.exp((edge[0] - parts["border_centre"][edge[1]]) / parts["border_spread"][edge[1]]))
    assert found[0, 0, 3] == pytest.approx(expected, rel=1e-4)


def test_map_scores_of_padded_maps_count_the_pictures_own_cells():
    maps = np.arange(16.0).reshape(1, 4, 4)
    maps[0, :2] = np.nan
    filled = finish_maps(maps, 0.0, 0)
    assert (filled[0, :2] == 8).all()
    assert map_scores(filled, 0.25, num_cells=np.array([8]))[0] == pytest.approx((15 + 14) / 2)
