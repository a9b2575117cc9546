"""Localisation measures against plain loops."""

from itertools import pairwise

import numpy as np
import pytest

from core.errors import BadInputError
from core.evaluation.localisation import aupro, best_iou, iou, pixel_auroc, region_table


def regions_of(mask):
    """Sets of pixels that touch, by flood fill."""
    left, found = {tuple(place) for place in np.argwhere(mask)}, []
    while left:
        stack, region = [left.pop()], []
        while stack:
            row, column = stack.pop()
            region.append((row, column))
            for near in [(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]:
                if near in left:
                    left.remove(near)
                    stack.append(near)
        found.append(region)
    return found


def plain_aupro(maps, masks, max_fpr):
    """Levels by loops, the area by trapezia, cut at the limit."""
    regions = [(n, region) for n, mask in enumerate(masks) for region in regions_of(mask)]
    points = [(0.0, 0.0)]
    for level in sorted(set(maps.ravel()), reverse=True):
        hot = maps >= level
        overlap = np.mean([np.mean([hot[n][place] for place in region]) for n, region in regions])
        points.append(((hot & ~masks).sum() / (~masks).sum(), overlap))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 >= max_fpr or x1 == x0:
            continue
        if x1 > max_fpr:
            y1 = y0 + (y1 - y0) * (max_fpr - x0) / (x1 - x0)
            x1 = max_fpr
        area += (x1 - x0) * (y0 + y1) / 2
    return area / max_fpr


@pytest.fixture(params=[0, 1])
def case(request):
    generator = np.random.default_rng(request.param)
    masks = np.zeros((3, 9, 9), dtype=bool)
    masks[0, 1:3, 1:4] = masks[0, 6:8, 5:9] = masks[0, 3, 4] = masks[1, 2:7, 2:5] = True
    maps = masks * 0.4 + generator.random(masks.shape)
    return (maps if request.param else maps.round(1)), masks  # round values tie


def test_pixel_auroc_equals_all_pairs(case):
    maps, masks = case
    bad, good = maps[masks], maps[~masks]
    expected = np.mean([(b > g) + 0.5 * (b == g) for b in bad for g in good])
    assert pixel_auroc(maps, masks) == pytest.approx(expected)


@pytest.mark.parametrize("max_fpr", [0.05, 0.3, 1.0])
def test_aupro_equals_plain_loops(case, max_fpr):
    assert aupro(*case, max_fpr=max_fpr) == pytest.approx(plain_aupro(*case, max_fpr))


def test_aupro_of_a_perfect_map_is_one_and_counts_regions_not_pixels():
    masks = np.zeros((1, 20, 20), dtype=bool)
    masks[0, :10, :10] = masks[0, 15, 15] = True
    assert aupro(masks.astype(float), masks) == pytest.approx(1.0)
    only_large = masks.astype(float)
    only_large[0, 15, 15] = -1.0  # the small region is the last to be found
    assert aupro(only_large, masks) == pytest.approx(0.5)


def test_iou_and_best_iou_equal_plain_loops(case):
    maps, masks = case
    plain = {level: ((maps >= level) & masks).sum() / ((maps >= level) | masks).sum() for level in maps.ravel()}
    overlap, level = best_iou(maps, masks)
    assert overlap == pytest.approx(max(plain.values()))
    assert iou(maps, masks, level) == pytest.approx(overlap)
    assert iou(maps, masks, 0.8) == pytest.approx(((maps >= 0.8) & masks).sum() / ((maps >= 0.8) | masks).sum())


def test_region_table_tells_area_place_and_peak():
    heat = np.zeros((10, 10))
    heat[1:3, 1:3] = 0.6
    heat[3, 3] = 0.9  # touches at a corner
    heat[7:9, 5:9] = 0.7
    heat[0, 9] = 0.8
    table = region_table(heat, 0.5)
    assert table["area_px"].tolist() == [8, 5, 1]
    assert table["area_fraction"].tolist() == [0.08, 0.05, 0.01]
    told = table.loc[1, ["top", "left", "bottom", "right", "peak", "peak_row", "peak_column"]]
    assert told.tolist() == [1, 1, 4, 4, 0.9, 3, 3]
    assert len(region_table(heat, 0.5, min_pixels=2)) == 2
    assert list(region_table(heat, 2.0).columns) == list(table.columns) and not len(region_table(heat, 2.0))


def test_localisation_of_bad_input_refuses(case):
    maps, masks = case
    with pytest.raises(BadInputError, match="one shape"):
        pixel_auroc(maps[:1], masks)
    with pytest.raises(BadInputError, match="one kind"):
        aupro(maps, np.zeros_like(masks))
    with pytest.raises(BadInputError, match="missing"):
        best_iou(np.where(masks, np.nan, maps), masks)
    with pytest.raises(BadInputError, match="max_fpr"):
        aupro(maps, masks, max_fpr=0.0)
