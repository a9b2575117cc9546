"""Disturbances: what each does to pixels, how it grows, and that chance is the picture's own."""

import io

import numpy as np
import pytest
from image_samples import image_samples
from PIL import Image as PillowImage

from core.errors import BadParamsError
from core.images.disturbances import (
    BRIGHTNESS_FRACTIONS,
    DISTURBANCES,
    JPEG_QUALITIES,
    NOISE_FRACTIONS,
    STRENGTHS,
    disturb,
)
from core.images.image import Image, images_of

GREY, COLOUR = 1, 3


def pictures(channels=GREY, size=48):
    return images_of(image_samples(4, size=size, channels=channels, seed=3)[0])


def difference(left, right):
    return np.mean([np.abs(a.pixels.astype(float) - b.pixels).mean() for a, b in zip(left, right, strict=True)])


@pytest.mark.parametrize("channels", [GREY, COLOUR])
@pytest.mark.parametrize("name", list(DISTURBANCES))
def test_disturbance_keeps_shape_and_grows_with_strength(name, channels):
    images = pictures(channels, size=320)
    before = [image.pixels.copy() for image in images]
    changes = []
    for strength in STRENGTHS:
        disturbed = disturb(images, name, strength)
        assert all(
            d.pixels.shape == i.pixels.shape and d.pixels.dtype == np.uint8
            for d, i in zip(disturbed, images, strict=True)
        )
        changes.append(difference(disturbed, images))
    assert 0 < changes[0] < changes[1] < changes[2]
    assert all((image.pixels == was).all() for image, was in zip(images, before, strict=True))


@pytest.mark.parametrize("name", list(DISTURBANCES))
def test_disturbance_of_a_picture_does_not_depend_on_its_place(name):
    images = pictures()
    forward, backward = disturb(images, name, 2, seed=5), disturb(images[::-1], name, 2, seed=5)[::-1]
    assert [image.digest for image in forward] == [image.digest for image in backward]


def test_noise_with_another_seed_is_another():
    images = pictures()
    assert disturb(images, "noise", 1, seed=0)[0].digest != disturb(images, "noise", 1, seed=1)[0].digest


def test_brightness_is_a_factor_up_or_down():
    flat = [Image.of_pixels(np.full((16, 16, 1), 100 + row, np.uint8)) for row in range(12)]
    for strength, fraction in zip(STRENGTHS, BRIGHTNESS_FRACTIONS, strict=True):
        signs = set()
        for before, after in zip(flat, disturb(flat, "brightness", strength), strict=True):
            was, value = int(before.pixels[0, 0, 0]), int(after.pixels[0, 0, 0])
            assert min(abs(value - round(was * (1 + sign * fraction))) for sign in (-1, 1)) <= 1
            signs.add(value > was)
        assert signs == {True, False}


def test_noise_has_the_stated_spread():
    flat = [Image.of_pixels(np.full((64, 64, 1), 128, np.uint8))]
    for strength, fraction in zip(STRENGTHS, NOISE_FRACTIONS, strict=True):
        values = disturb(flat, "noise", strength)[0].pixels.astype(float)
        assert values.std() == pytest.approx(255 * fraction, rel=0.06)
        assert values.mean() == pytest.approx(128, abs=2)


def test_jpeg_is_pillows_of_that_quality():
    image = pictures(COLOUR)[0]
    buffer = io.BytesIO()
    PillowImage.fromarray(image.pixels).save(buffer, format="JPEG", quality=JPEG_QUALITIES[2])
    expected = np.asarray(PillowImage.open(buffer))
    assert (disturb([image], "jpeg", 3)[0].pixels == expected).all()


def test_rotation_fills_corners_with_the_border():
    pixels = np.full((40, 40, 1), 200, np.uint8)
    pixels[15:25, 15:25] = 10
    turned = disturb([Image.of_pixels(pixels)], "rotation", 3)[0].pixels
    assert (turned[[0, 0, -1, -1], [0, -1, 0, -1]] == 200).all()


def test_original_size_is_kept():
    image = Image.of_pixels(np.zeros((16, 16, 1), np.uint8), height_px=100, width_px=50)
    disturbed = disturb([image], "noise", 1)[0]
    assert (disturbed.height_px, disturbed.width_px) == (100, 50)


@pytest.mark.parametrize(("name", "strength"), [("blurr", 1), ("blur", 0), ("blur", 4)])
def test_unknown_disturbance_or_strength_is_refused(name, strength):
    with pytest.raises(BadParamsError):
        disturb(pictures(), name, strength)
