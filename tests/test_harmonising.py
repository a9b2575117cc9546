"""Histogram equalisation, whole and tile by tile, against plain loops; and that `none` changes nothing."""

import numpy as np
import pytest

from core.errors import BadParamsError
from core.images.fitting import fit
from core.images.harmonising import clahe, equalise, harmonise
from core.images.spec import ImageSpec

RANDOM = np.random.default_rng(0)


def grey(height, width, low=40, high=90):
    return RANDOM.integers(low, high, (height, width)).astype(np.uint8)


def test_equalise_is_the_formula_by_plain_loops():
    picture = grey(9, 13)
    values = sorted(picture.ravel().tolist())
    smallest = sum(value <= values[0] for value in values) / len(values)
    for row, column in np.ndindex(picture.shape):
        share = sum(value <= picture[row, column] for value in values) / len(values)
        expected = 255 * (share - smallest) / (1 - smallest)
        assert abs(equalise(picture)[row, column] - expected) <= 0.5 + 1e-9


def clahe_by_loops(picture, tiles, factor):
    """Every pixel by itself: clipped histograms of the four tiles around it, mixed by distance to their centres."""
    height, width = picture.shape
    edges = [[round(side * k / tiles) for k in range(tiles + 1)] for side in (height, width)]

    def level(row, column, value):
        tile = picture[edges[0][row] : edges[0][row + 1], edges[1][column] : edges[1][column + 1]].ravel().tolist()
        counts = [tile.count(k) for k in range(256)]
        limit = factor * len(tile) / 256
        excess = sum(max(count - limit, 0) for count in counts)
        clipped = [min(count, limit) + excess / 256 for count in counts]
        return 255 * sum(clipped[: value + 1]) / len(tile)

    def between(place, of_side):
        centres = [(of_side[k] + of_side[k + 1] - 1) / 2 for k in range(tiles)]
        if place <= centres[0]:
            return [(0, 1.0)]
        if place >= centres[-1]:
            return [(tiles - 1, 1.0)]
        first = max(k for k in range(tiles) if centres[k] <= place)
        share = (place - centres[first]) / (centres[first + 1] - centres[first])
        return [(first, 1 - share), (first + 1, share)]

    found = np.zeros(picture.shape)
    for row, column in np.ndindex(picture.shape):
        for tile_row, share_row in between(row, edges[0]):
            for tile_column, share_column in between(column, edges[1]):
                found[row, column] += share_row * share_column * level(tile_row, tile_column, int(picture[row, column]))
    return found


@pytest.mark.parametrize("factor", [1.0, 2.5, 300.0])
def test_clahe_is_the_formula_by_plain_loops(factor):
    picture = grey(14, 11)
    expected = clahe_by_loops(picture, 3, factor)
    assert np.abs(clahe(picture, tiles_a_side=3, clip_factor=factor) - expected).max() <= 0.5 + 1e-9


def test_clahe_clipped_to_the_mean_bin_is_nearly_no_change():
    """With factor 1 every bin is at most the mean: of a flat histogram nothing is cut, and the map is the identity."""
    picture = np.tile(np.arange(256, dtype=np.uint8), (16, 1)).reshape(64, 64)
    assert np.abs(clahe(picture, tiles_a_side=1, clip_factor=1.0).astype(int) - picture).max() <= 1


def test_equalise_takes_away_what_a_rising_curve_of_grey_values_did():
    picture = grey(40, 40, 0, 60)
    curve = np.sort(RANDOM.permutation(256)[:60])
    np.testing.assert_array_equal(equalise(curve[picture].astype(np.uint8)), equalise(picture))


@pytest.mark.parametrize("how", ["equalise", "clahe"])
@pytest.mark.parametrize("channels", [1, 3])
def test_harmonise_keeps_shape_and_type_and_spreads_brightness(how, channels):
    picture = np.repeat(grey(48, 40)[:, :, None], channels, axis=2)
    found = harmonise(picture, how)
    assert found.shape == picture.shape and found.dtype == np.uint8
    assert found.std() > 1.3 * picture.std()


def test_constant_picture_stays_constant():
    picture = np.full((20, 20), 90, dtype=np.uint8)
    np.testing.assert_array_equal(equalise(picture), picture)
    assert len(np.unique(clahe(picture))) == 1


@pytest.mark.parametrize("how", ["equalise", "clahe"])
def test_fit_harmonises_the_scaled_picture_and_not_its_padding(how):
    picture = grey(32, 64)
    fitted = fit(picture, ImageSpec(size_px=64, fit="pad", harmonise=how))
    plain = fit(picture, ImageSpec(size_px=64, fit="pad"))
    np.testing.assert_array_equal(fitted[16:48], harmonise(plain[16:48], how))
    assert len(np.unique(fitted[:16])) == 1


def test_spec_as_it_comes_neither_crops_nor_harmonises():
    assert (ImageSpec().crop, ImageSpec().harmonise) == ("none", "none")
    picture = grey(32, 32)
    np.testing.assert_array_equal(fit(picture, ImageSpec(size_px=32))[:, :, 0], picture)


def test_crop_with_native_size_is_refused():
    with pytest.raises(BadParamsError, match="native"):
        ImageSpec(fit="native", crop="lungs")
