import numpy as np
import pytest

from core.errors import BadParamsError
from core.images.fitting import fit, fit_mask, inner_box, placement, scale_to_bytes, unfit
from core.images.image import Image as FittedImage
from core.images.spec import ImageSpec

RANDOM = np.random.default_rng(0)


def spec(size_px=32, **options):
    return ImageSpec(size_px=size_px, **options)


@pytest.mark.parametrize("how", ["squash", "pad"])
@pytest.mark.parametrize("colour", ["grey", "rgb"])
@pytest.mark.parametrize("shape", [(20, 50), (50, 20, 3), (32, 32), (400, 90, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_fit_gives_one_shape_and_type(how, colour, shape, dtype):
    fitted = fit(RANDOM.integers(0, 256, shape).astype(dtype), spec(fit=how, colour=colour, num_tiles=2))
    assert fitted.shape == (64, 64, 3 if colour == "rgb" else 1) and fitted.dtype == np.uint8


def test_fit_of_the_right_size_changes_nothing():
    grey = RANDOM.integers(0, 256, (32, 32), dtype=np.uint8)
    np.testing.assert_array_equal(fit(grey, spec())[:, :, 0], grey)


def test_fit_squash_of_whole_blocks_is_close_to_their_means():
    grey = np.kron(RANDOM.integers(0, 256, (16, 16)), np.ones((8, 4))).astype(np.uint8)
    smooth = np.kron(np.add.outer(np.arange(16), np.arange(16)) * 8, np.ones((8, 4))).astype(np.uint8)
    inner = fit(smooth, spec(16))[1:-1, 1:-1, 0].astype(float)
    expected = smooth.reshape(16, 8, 16, 4).mean(axis=(1, 3))[1:-1, 1:-1]
    np.testing.assert_allclose(inner, expected, atol=1.0)
    assert fit(grey, spec(16)).shape == (16, 16, 1)


def test_fit_grey_is_luma():
    colour = np.zeros((32, 32, 3), dtype=np.uint8)
    colour[:] = (200, 100, 50)
    assert fit(colour, spec())[0, 0, 0] == pytest.approx(0.299 * 200 + 0.587 * 100 + 0.114 * 50, abs=1)


def test_fit_pad_fills_with_the_median_of_the_border_and_keeps_the_aspect():
    grey = np.full((16, 32), 90, dtype=np.uint8)
    grey[4:12, 8:24] = 250  # inside, so that the border does not see it
    fitted = fit(grey, spec(fit="pad"))[:, :, 0]
    assert (fitted[:8] == 90).all() and (fitted[24:] == 90).all()
    np.testing.assert_array_equal(fitted[8:24], grey)


def test_fit_mask_marks_the_nearest_pixel_whatever_its_value():
    mask = np.zeros((16, 32), dtype=np.uint8)
    mask[4:8, 8:16] = 1
    mask[12, 30] = 255
    fitted = fit_mask(mask, spec(fit="pad"))
    np.testing.assert_array_equal(fitted[8:24], mask != 0)
    assert not fitted[:8].any() and fitted.dtype == np.uint8
    colour = np.dstack([np.zeros_like(mask), mask, np.zeros_like(mask)])
    np.testing.assert_array_equal(fit_mask(colour, spec(fit="pad")), fitted)


def test_fit_mask_squash_equals_a_plain_loop():
    mask = (RANDOM.random((45, 21)) < 0.2).astype(np.uint8) * 7
    fitted = fit_mask(mask, spec(16))
    for row in range(16):
        for column in range(16):
            assert fitted[row, column] == (mask[int((row + 0.5) * 45 / 16), int((column + 0.5) * 21 / 16)] > 0)


@pytest.mark.parametrize("how", ["squash", "pad"])
@pytest.mark.parametrize(("height", "width"), [(100, 60), (24, 90), (64, 64)])
def test_unfit_brings_a_marked_box_back_to_where_it_was(how, height, width):
    chosen = spec(64, fit=how)
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[height // 4 : height // 2, width // 3 : width // 2] = 1
    back = unfit(fit_mask(mask, chosen).astype(np.float32), chosen, height, width)
    assert back.shape == (height, width) and back.dtype == np.float32
    found = back > 0.5
    assert (found & (mask > 0)).sum() / (found | (mask > 0)).sum() > 0.8
    rows, columns = np.nonzero(found)
    wanted_rows, wanted_columns = np.nonzero(mask)
    assert abs(rows.mean() - wanted_rows.mean()) < 1.5 and abs(columns.mean() - wanted_columns.mean()) < 1.5


def test_unfit_of_a_coarse_map_cuts_the_padding_off():
    chosen = spec(64, fit="pad")
    coarse = np.zeros((8, 8), dtype=np.float32)
    coarse[2:6] = 1.0  # where a picture of 32 x 64 lies
    back = unfit(coarse, chosen, 32, 64)
    np.testing.assert_allclose(back[4:-4], 1.0)  # at the edge a coarse map blends with its neighbour
    assert (back > 0.5).all()
    assert placement(32, 64, chosen) == (16, 0, 32, 64)


def test_scale_to_bytes_is_not_led_by_a_hot_pixel():
    deep = RANDOM.integers(1000, 3000, (100, 100)).astype(np.uint16)
    deep[5, 5] = 65535
    scaled = scale_to_bytes(deep)
    assert scaled[5, 5] == 255 and np.median(scaled) == pytest.approx(127, abs=6)
    assert (np.diff(scaled.ravel()[np.argsort(deep.ravel(), kind="stable")].astype(int)) >= 0).all()
    assert scale_to_bytes(np.full((9, 9), 512, dtype=np.uint16)).max() == 2


def test_fit_of_something_else_is_refused():
    with pytest.raises(BadParamsError):
        fit(np.zeros((4, 4, 2), dtype=np.uint8), spec())


def test_fit_native_of_a_smaller_picture_keeps_its_pixels_in_the_middle():
    grey = RANDOM.integers(0, 256, (10, 21), dtype=np.uint8)
    fitted = fit(grey, spec(fit="native"))[:, :, 0]
    assert placement(10, 21, spec(fit="native")) == (11, 5, 10, 21)
    np.testing.assert_array_equal(fitted[11:21, 5:26], grey)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    padding = fitted.copy()
    padding[11:21, 5:26] = fitted[0, 0]
    assert (padding == np.rint(np.median(border))).all()


def test_fit_native_of_a_larger_picture_equals_pad():
    grey = RANDOM.integers(0, 256, (40, 90), dtype=np.uint8)
    np.testing.assert_array_equal(fit(grey, spec(fit="native")), fit(grey, spec(fit="pad")))
    assert placement(40, 90, spec(fit="native"))[2:] == (14, 32)


def test_fit_native_of_one_larger_side_scales_both_down():
    assert placement(8, 64, spec(fit="native")) == (14, 0, 4, 32)


def test_unfit_native_gives_the_mask_back_exactly():
    mask = (RANDOM.random((10, 21)) < 0.3).astype(np.uint8)
    chosen = spec(fit="native")
    back = unfit(fit_mask(mask, chosen).astype(np.float32), chosen, 10, 21)
    np.testing.assert_array_equal(back > 0.5, mask != 0)


@pytest.mark.parametrize("how", ["squash", "pad", "native"])
def test_inner_box_is_where_the_picture_was_placed(how):
    grey = np.zeros((10, 21), dtype=np.uint8)
    image = FittedImage.of_pixels(fit(grey, spec(fit=how)), height_px=10, width_px=21)
    assert inner_box(image, how) == placement(10, 21, spec(fit=how))
