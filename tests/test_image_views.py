"""Views of pictures against plain loops, and their way back."""

import numpy as np
import pytest
import torch

from core.errors import BadParamsError
from core.images.views import VIEWS, apply_view, num_views, undo_view


def random_pixels(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (2, 5, 5, 3), dtype=np.uint8)


def all_views(pixels, views):
    return [apply_view(pixels, views, index) for index in range(num_views(views))]


def test_flips_equal_plain_loops():
    pixels = random_pixels()
    expected = [np.zeros_like(pixels) for _ in range(4)]
    for row in range(5):
        for column in range(5):
            expected[0][:, row, column] = pixels[:, row, column]
            expected[1][:, row, column] = pixels[:, row, 4 - column]
            expected[2][:, row, column] = pixels[:, 4 - row, column]
            expected[3][:, row, column] = pixels[:, 4 - row, 4 - column]
    for found, wanted in zip(all_views(pixels, "flips"), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_dihedral_gives_the_eight_symmetries_each_once():
    pixels = random_pixels()
    found = {np.ascontiguousarray(view).tobytes() for view in all_views(pixels, "dihedral")}
    turned = np.swapaxes(pixels, 1, 2)
    expected = {
        np.ascontiguousarray(base[:, ::rows, ::columns]).tobytes()
        for base in (pixels, turned)
        for rows in (1, -1)
        for columns in (1, -1)
    }
    assert len(expected) == 8
    assert found == expected


@pytest.mark.parametrize("views", list(VIEWS))
def test_undo_of_a_view_of_maps_gives_the_maps_back(views):
    maps = random_pixels().transpose(0, 3, 1, 2)
    for index in range(num_views(views)):
        seen = apply_view(maps.transpose(0, 2, 3, 1), views, index).transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(undo_view(seen, views, index), maps)
        np.testing.assert_array_equal(undo_view(seen[:, 0], views, index), maps[:, 0])


@pytest.mark.parametrize("views", list(VIEWS))
def test_view_of_a_tensor_equals_that_of_the_array(views):
    pixels = random_pixels()
    for index in range(num_views(views)):
        expected = apply_view(pixels, views, index)
        found = apply_view(torch.from_numpy(pixels), views, index)
        np.testing.assert_array_equal(found.numpy(), expected)
        maps = np.ascontiguousarray(expected.transpose(0, 3, 1, 2))
        back = undo_view(torch.from_numpy(maps), views, index).numpy()
        np.testing.assert_array_equal(back, undo_view(maps, views, index))


def test_first_view_is_the_picture_itself():
    pixels = random_pixels()
    for views in VIEWS:
        np.testing.assert_array_equal(apply_view(pixels, views, 0), pixels)


def test_unknown_views_are_refused():
    with pytest.raises(BadParamsError, match="flip_horizontal"):
        num_views("upside")
