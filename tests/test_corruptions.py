"""Corruptions: each against its formula in plain loops, graded, and drawn from the picture alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
from image_samples import image_samples
from PIL import Image as PillowImage

from core.errors import BadParamsError
from core.images import corruptions
from core.images.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from core.images.image import Image, images_of


def pictures(channels=1, size=64):
    return images_of(image_samples(4, size=size, channels=channels, seed=3)[0])


def flat(value, size=64):
    return [Image.of_pixels(np.full((size, size, 1), value, np.uint8))]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_corruption_keeps_shape_and_grows_with_strength(name, channels):
    images = pictures(channels)
    before = [image.pixels.copy() for image in images]
    changes = []
    for strength in STRENGTHS:
        corrupted = corrupt(images, name, strength)
        assert all(c.pixels.shape == i.pixels.shape for c, i in zip(corrupted, images, strict=True))
        assert all(c.pixels.dtype == np.uint8 for c in corrupted)
        parts = [np.abs(c.pixels.astype(int) - i.pixels).mean() for c, i in zip(corrupted, images, strict=True)]
        changes.append(np.mean(parts))
    assert changes[0] > 0 and (np.diff(changes) > 0).all()
    assert all((image.pixels == was).all() for image, was in zip(images, before, strict=True))


@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_corruption_of_a_picture_does_not_depend_on_its_place(name):
    images = pictures()
    forward, backward = corrupt(images, name, 3, seed=5), corrupt(images[::-1], name, 3, seed=5)[::-1]
    assert [image.digest for image in forward] == [image.digest for image in backward]


@pytest.mark.parametrize("strength", STRENGTHS)
def test_grey_curves_are_their_formulas_pixel_by_pixel(strength):
    image = pictures()[0]
    mean = float(np.mean(image.pixels))
    curves = {
        "brightness_up": lambda x: x * (1.1, 1.2, 1.3, 1.4, 1.5)[strength - 1],
        "brightness_down": lambda x: x * (0.9, 0.8, 0.7, 0.6, 0.5)[strength - 1],
        "contrast_up": lambda x: mean + (x - mean) * (1.1, 1.2, 1.3, 1.4, 1.6)[strength - 1],
        "contrast_down": lambda x: mean + (x - mean) * (0.9, 0.8, 0.7, 0.6, 0.4)[strength - 1],
        "gamma_up": lambda x: 255 * (x / 255) ** (1.1, 1.2, 1.3, 1.4, 1.6)[strength - 1],
        "gamma_down": lambda x: 255 * (x / 255) ** (0.9, 0.8, 0.7, 0.6, 0.4)[strength - 1],
    }
    for name, curve in curves.items():
        found = corrupt([image], name, strength)[0].pixels
        for row, column in [(0, 0), (10, 31), (40, 5), (63, 63)]:
            wanted = min(max(curve(float(image.pixels[row, column, 0])), 0.0), 255.0)
            assert abs(int(found[row, column, 0]) - wanted) <= 0.5 + 1e-9


@pytest.mark.parametrize("strength", STRENGTHS)
def test_noises_have_the_stated_spread(strength):
    grey = 100
    gaussian = corrupt(flat(128), "gaussian_noise", 1)[0].pixels.astype(float)
    assert gaussian.std() == pytest.approx(255 * 0.04, rel=0.05)
    speckle = corrupt(flat(grey), "speckle_noise", min(strength, 2))[0].pixels.astype(float)
    assert speckle.std() == pytest.approx(grey * (0.05, 0.15)[min(strength, 2) - 1], rel=0.05)
    assert speckle.mean() == pytest.approx(grey, abs=1.5)
    impulse = corrupt(flat(grey, size=128), "impulse_noise", strength)[0].pixels
    share = (0.01, 0.03, 0.06, 0.09, 0.17)[strength - 1]
    assert set(np.unique(impulse)) == {0, grey, 255}
    assert (impulse != grey).mean() == pytest.approx(share, rel=0.15)
    assert (impulse == 0).sum() == pytest.approx((impulse == 255).sum(), rel=0.5)


def test_pixelate_is_flat_in_squares_of_the_mean():
    image = pictures(size=40)[0]
    found = corrupt([image], "pixelate", 5)[0].pixels[:, :, 0]  # 4 squares a side, each 10 px
    for row in range(4):
        for column in range(4):
            square = np.s_[10 * row : 10 * row + 10, 10 * column : 10 * column + 10]
            assert len(np.unique(found[square])) == 1
            assert abs(int(found[square][0, 0]) - image.pixels[:, :, 0][square].mean()) <= 1


def test_jpeg_is_pillows_of_that_quality():
    image = pictures(3)[0]
    buffer = io.BytesIO()
    PillowImage.fromarray(image.pixels).save(buffer, format="JPEG", quality=7)
    assert (corrupt([image], "jpeg", 5)[0].pixels == np.asarray(PillowImage.open(buffer))).all()


def test_blur_of_an_edge_has_the_stated_width():
    pixels = np.zeros((224, 224, 1), np.uint8)
    pixels[:, 112:] = 255
    found = corrupt([Image.of_pixels(pixels)], "gaussian_blur", 5)[0].pixels[100, :, 0].astype(float)
    slope = np.diff(found) / 255
    places = np.arange(223) + 0.5
    centre = (slope * places).sum()
    assert np.sqrt((slope * (places - centre) ** 2).sum()) == pytest.approx(corruptions.BLUR_SIGMAS_PX[4], rel=0.1)


def test_original_size_is_kept():
    image = Image.of_pixels(np.zeros((16, 16, 1), np.uint8), height_px=100, width_px=50)
    corrupted = corrupt([image], "gaussian_noise", 1)[0]
    assert (corrupted.height_px, corrupted.width_px) == (100, 50)


@pytest.mark.parametrize(("name", "strength"), [("pixelat", 1), ("jpeg", 0), ("jpeg", 6)])
def test_unknown_corruption_or_strength_is_refused(name, strength):
    with pytest.raises(BadParamsError):
        corrupt(pictures(), name, strength)
