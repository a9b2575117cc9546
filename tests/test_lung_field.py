"""Planted lungs are found, anything else keeps the whole picture, and maps find their way back."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.errors import BadParamsError
from core.images.fitting import crop_box, fit, fit_mask, placement, unfit
from core.images.lung_field import MARGIN, WHOLE, lung_box
from core.images.spec import ImageSpec

FOLDER = Path(os.environ.get("CROSSDOMAIN_DATASETS", "")) / "chest_xray/nih"


def thorax(height=200, width=240, *, centres=((0.45, 0.33), (0.45, 0.67)), radii=(0.22, 0.10), brightness=60):
    """(H, W) uint8: a bright body between dark air on both sides, with dark ellipses for lungs."""
    rows, columns = np.mgrid[:height, :width]
    rows, columns = rows / height, columns / width
    picture = np.full((height, width), 190.0)
    picture[:, : round(0.06 * width)] = picture[:, -round(0.06 * width) :] = 10.0
    for centre_row, centre_column in centres:
        inside = ((rows - centre_row) / radii[0]) ** 2 + ((columns - centre_column) / radii[1]) ** 2 <= 1
        picture[inside] = brightness
    return (picture + np.random.default_rng(0).normal(0, 4, picture.shape)).clip(0, 255).astype(np.uint8)


def test_lung_box_holds_planted_lungs_with_a_margin():
    top, left, bottom, right = lung_box(thorax())
    assert top < 0.23 and bottom > 0.67 and left < 0.23 and right > 0.77
    assert right - left == pytest.approx(0.54 + 2 * MARGIN, abs=0.05)
    assert bottom - top == pytest.approx(right - left)  # as fractions: the picture's own aspect


def test_lung_box_moves_with_the_lungs():
    low = lung_box(thorax(centres=((0.40, 0.33), (0.40, 0.67))))
    high = lung_box(thorax(centres=((0.55, 0.33), (0.55, 0.67))))
    assert high[0] - low[0] == pytest.approx(0.15, abs=0.04)


@pytest.mark.parametrize(
    "picture",
    [
        np.full((64, 64), 90, dtype=np.uint8),
        np.random.default_rng(1).integers(0, 256, (96, 96)).astype(np.uint8),
        thorax(centres=((0.45, 0.33),)),  # one lung
        thorax(centres=((0.25, 0.33), (0.78, 0.67)), radii=(0.15, 0.12)),  # not side by side
        thorax(brightness=250),  # inverted
        np.zeros((1, 1), dtype=np.uint8),
    ],
    ids=["constant", "noise", "one lung", "diagonal", "bright lungs", "one pixel"],
)
def test_lung_box_of_anything_else_is_the_whole_picture(picture):
    assert lung_box(picture) == WHOLE
    np.testing.assert_array_equal(
        fit(picture, ImageSpec(size_px=32, fit="pad", crop="lungs")), fit(picture, ImageSpec(size_px=32, fit="pad"))
    )


@pytest.mark.parametrize("how", ["squash", "pad"])
def test_fit_with_crop_shows_the_box_where_the_whole_picture_would_lie(how):
    picture, spec = thorax(), ImageSpec(size_px=120, fit=how, crop="lungs")
    left, top, right, bottom = crop_box(picture, spec)
    place = placement(200, 240, spec)
    part = Image.fromarray(picture).crop([round(edge) for edge in (left, top, right, bottom)])
    expected = np.asarray(part.resize((place[3], place[2]), Image.Resampling.BILINEAR), dtype=float)
    fitted = fit(picture, spec)[place[0] : place[0] + place[2], place[1] : place[1] + place[3], 0]
    assert np.abs(fitted - expected).mean() < 6
    assert (fitted < 120).mean() > 1.5 * (picture[:, 20:-20] < 120).mean()


@pytest.mark.parametrize("how", ["squash", "pad"])
def test_unfit_brings_a_mark_in_the_crop_back_to_where_it_was(how):
    picture, spec = thorax(), ImageSpec(size_px=120, fit=how, crop="lungs")
    mask = np.zeros((200, 240), dtype=np.uint8)
    mask[80:110, 70:100] = 1
    box = crop_box(picture, spec)
    back = unfit(fit_mask(mask, spec, box=box).astype(np.float32), spec, 200, 240, box=box)
    overlap = ((back > 0.5) & (mask == 1)).sum() / ((back > 0.5) | (mask == 1)).sum()
    assert back.shape == (200, 240) and overlap > 0.85
    assert not back[: int(box[1]) - 1].any()


def test_maps_without_the_box_that_was_cut_out_are_refused():
    spec = ImageSpec(size_px=32, crop="lungs")
    for call in (lambda: unfit(np.zeros((32, 32)), spec, 50, 50), lambda: fit_mask(np.zeros((50, 50)), spec)):
        with pytest.raises(BadParamsError, match="crop_box"):
            call()


def test_lung_box_on_real_radiographs_is_mostly_found():
    if not os.environ.get("CROSSDOMAIN_DATASETS") or not (FOLDER / "labels.csv").exists():
        pytest.skip("CROSSDOMAIN_DATASETS is not set to a folder with chest_xray/nih/labels.csv")
    files = pd.read_csv(FOLDER / "labels.csv")["file"].sample(100, random_state=0)
    boxes = [lung_box(np.asarray(Image.open(FOLDER / file).convert("L"))) for file in files]
    assert np.mean([box != WHOLE for box in boxes]) > 0.6
