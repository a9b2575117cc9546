"""Descriptors against plain loops over maps, tiles and views; the cache equals a fresh computation."""

import numpy as np
import pytest
from image_samples import image_samples

from core.backbones.engine import Engine
from core.backbones.image import ImageBackbone
from core.data.feature_cache import FeatureCache
from core.errors import BadInputError, BadParamsError
from core.images.image import Image, images_of
from core.learners import image_descriptors
from core.learners.descriptor_options import DescriptorOptions
from core.learners.image_descriptors import cut_tiles, describe, describe_anew, descriptor_columns, num_descriptors

PLAIN = {"precision": "fp32", "say": None}


@pytest.fixture(scope="module")
def tiny():
    return ImageBackbone.load("mobilenetv3_small_050", scratch_seed=0)


def make_images(num=3, size=32, **options):
    return images_of(image_samples(num, size=size, **options)[0])


def plain_descriptor(pixels, backbone, options):
    """One picture's row by loops: every flip, every tile, every channel."""
    flips = {
        "none": [pixels],
        "flips": [pixels, pixels[:, ::-1], pixels[::-1], pixels[::-1, ::-1]],
    }[options.views]
    rows = []
    for flipped in flips:
        size = flipped.shape[0] // options.num_tiles
        row = []
        for stage in options.stages:
            values = {}
            for top in range(0, flipped.shape[0], size):
                for left in range(0, flipped.shape[0], size):
                    tile = np.ascontiguousarray(flipped[None, top : top + size, left : left + size])
                    maps = backbone.maps(backbone.normalise(tile), (stage,))[0][0].detach().numpy()
                    for channel in range(len(maps)):
                        values.setdefault(channel, []).extend(maps[channel].ravel())
            for statistic in options.statistics:
                for channel in sorted(values):
                    area = np.sort(np.array(values[channel], dtype=float))
                    num_top = max(1, round(options.top_fraction * len(area)))
                    told = {"mean": area.mean(), "max": area[-1], "std": area.std(), "top": area[-num_top:].mean()}
                    row.append(told[statistic])
        rows.append(row)
    return np.mean(rows, axis=0)


@pytest.mark.parametrize(
    "options",
    [
        DescriptorOptions(stages=(2, 4)),
        DescriptorOptions(stages=(4, 2), statistics=("top", "mean"), views="none", top_fraction=0.2),
        DescriptorOptions(stages=(3,), num_tiles=2),
    ],
)
def test_descriptor_equals_plain_loops(tiny, options, monkeypatch):
    monkeypatch.setattr(Engine, "batch_size", lambda self, size_px: 3)  # no multiple of the tiles
    images = make_images(3, size=64)
    found = describe_anew(images, Engine(tiny), options)
    expected = [plain_descriptor(image.pixels, tiny, options) for image in images]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_columns_tell_stage_statistic_and_channel(tiny):
    options = DescriptorOptions(stages=(4, 2), statistics=("std", "mean"), views="none")
    columns = descriptor_columns(tiny, options)
    row = describe_anew(make_images(1), Engine(tiny), options)[0]
    assert len(columns) == len(row) == num_descriptors(tiny, options)
    (maps,) = Engine(tiny).maps(make_images(1)[0].pixels[None], (2,))
    assert row[columns.index((2, "mean", 5))] == pytest.approx(float(maps[0, 5].mean()), abs=1e-5)


def test_descriptor_of_a_mirrored_picture_is_the_same_with_flips(tiny):
    image = make_images(1)[0]
    mirrored = Image.of_pixels(np.ascontiguousarray(image.pixels[:, ::-1]))
    options = DescriptorOptions(stages=(3,))
    found = describe_anew([image, mirrored], Engine(tiny), options)
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    alone = describe_anew([image, mirrored], Engine(tiny), DescriptorOptions(stages=(3,), views="none"))
    assert not np.allclose(alone[0], alone[1], atol=1e-5)


def test_tiles_equal_plain_slices():
    pixels = np.arange(2 * 6 * 6 * 1).reshape(2, 6, 6, 1)
    tiles = cut_tiles(pixels, 3)
    number = 0
    for picture in pixels:
        for top in (0, 2, 4):
            for left in (0, 2, 4):
                np.testing.assert_array_equal(tiles[number], picture[top : top + 2, left : left + 2])
                number += 1


def test_cached_descriptors_equal_fresh_ones_and_are_not_computed_again(tiny, tmp_path, monkeypatch):
    cache, options = FeatureCache(tmp_path, min_rows=1), DescriptorOptions(stages=(2, 3))
    images = make_images(6)
    first = describe(images, tiny, options, cache=cache, **PLAIN)
    np.testing.assert_array_equal(first, describe_anew(images, Engine(tiny), options))
    monkeypatch.setattr(image_descriptors, "describe_anew", lambda *_, **__: pytest.fail("computed again"))
    again = describe(images[::-1], tiny, options, cache=FeatureCache(tmp_path, min_rows=1), **PLAIN)
    np.testing.assert_array_equal(again, first[::-1])


@pytest.mark.parametrize(
    "other", [{"stages": (3,)}, {"statistics": ("mean",)}, {"views": "none"}, {"num_tiles": 2}, {"top_fraction": 0.5}]
)
def test_cache_keeps_other_options_apart(tiny, tmp_path, other):
    base = {"stages": (2,), "statistics": ("mean", "top"), "views": "flip_horizontal"}
    cache, images = FeatureCache(tmp_path, min_rows=1), make_images(2)
    describe(images, tiny, DescriptorOptions(**base), cache=cache, **PLAIN)
    options = DescriptorOptions(**{**base, **other})
    found = describe(images, tiny, options, cache=cache, **PLAIN)
    np.testing.assert_array_equal(found, describe_anew(images, Engine(tiny), options))


def test_cache_keeps_other_weights_apart(tiny, tmp_path):
    cache, options, images = FeatureCache(tmp_path, min_rows=1), DescriptorOptions(stages=(2,)), make_images(2)
    other = ImageBackbone.load("mobilenetv3_small_050", scratch_seed=1)
    first = describe(images, tiny, options, cache=cache, **PLAIN)
    assert not np.allclose(first, describe(images, other, options, cache=cache, **PLAIN))


def test_pictures_of_two_sizes_keep_their_rows(tiny, tmp_path):
    options, cache = DescriptorOptions(stages=(2,), views="none"), FeatureCache(tmp_path)
    small, large = make_images(2), make_images(2, size=64)
    found = describe([small[0], large[0], small[1], large[1]], tiny, options, cache=cache, **PLAIN)
    np.testing.assert_allclose(found[1::2], describe_anew(large, Engine(tiny), options), atol=1e-6)
    np.testing.assert_allclose(found[::2], describe_anew(small, Engine(tiny), options), atol=1e-6)


def test_no_picture_gives_no_row(tiny):
    options = DescriptorOptions(stages=(2,))
    assert describe([], tiny, options, **PLAIN).shape == (0, num_descriptors(tiny, options))


def test_missing_picture_is_refused(tiny):
    with pytest.raises(BadInputError, match="row 1"):
        describe([make_images(1)[0], None], tiny, DescriptorOptions(stages=(2,)), **PLAIN)


def test_tiles_that_do_not_fit_are_refused(tiny):
    with pytest.raises(BadInputError, match="3 squares"):
        describe(make_images(1), tiny, DescriptorOptions(stages=(2,), num_tiles=3), **PLAIN)


@pytest.mark.parametrize("options", [{"stages": ()}, {"stages": (2, 2)}, {"statistics": ()}])
def test_options_without_or_with_repeated_parts_are_refused(options):
    with pytest.raises(BadParamsError, match="each once"):
        DescriptorOptions(**options)
