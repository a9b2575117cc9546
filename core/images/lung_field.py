"""Where the lungs are in a frontal radiograph, by a rule of thumb: two dark areas side by side, inside the picture."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

WHOLE = (0.0, 0.0, 1.0, 1.0)
THUMBNAIL_PX = 96
SMOOTHING_PX, SURROUNDINGS_PX = 2.0, 20.0  # of the thumbnail: ribs vanish, lungs stay
DARK_SHARES = (0.50, 0.45, 0.40, 0.35, 0.30, 0.25, 0.20, 0.15)  # tried from the widest on
MARGIN = 0.06  # of the picture, on each side of the lungs
AREA = (0.03, 0.35)  # a lung's share of the picture
FILLED = 0.3  # of the rectangle around a lung
SHARED_ROWS = 0.5  # of the shorter lung's height
BORDER_PX = 2  # of the thumbnail: what comes so near to the edge is air around the body
LARGEST_SIDE = 0.97  # a box hardly smaller than the picture is none


def lung_box(pixels: np.ndarray) -> tuple[float, float, float, float]:
    """(top, left, bottom, right) as fractions of the picture, of the picture's own aspect; WHOLE where not sure.

    Shape: pixels (H, W) or (H, W, 3) uint8, lungs dark. What is darker than its surroundings on a small smoothed copy,
    and does not touch the border, must hold two compact areas of a lung's size, one on each side of the middle and at
    about one height; the share of dark pixels is lowered until it does. Most sick and most small children's lungs are
    less sure to be found, so whether a picture was cut out can itself tell something of the label: compare with and
    without before it is trusted.
    """
    image = Image.fromarray(np.ascontiguousarray(pixels)).convert("L")
    small = np.asarray(image.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX), dtype=float)
    small = ndimage.gaussian_filter(small, SMOOTHING_PX)
    contrast = small - ndimage.gaussian_filter(small, SURROUNDINGS_PX)
    found = (two_lungs(contrast < np.quantile(contrast, share)) for share in DARK_SHARES)
    lungs = next((one for one in found if one is not None), None)
    if lungs is None:
        return WHOLE
    rows, columns = np.nonzero(lungs)
    low = np.array([rows.min(), columns.min()]) / THUMBNAIL_PX - MARGIN
    high = (np.array([rows.max(), columns.max()]) + 1) / THUMBNAIL_PX + MARGIN
    side = float((np.minimum(high, 1.0) - np.maximum(low, 0.0)).max())
    if side > LARGEST_SIDE:
        return WHOLE
    start = np.clip((low + high) / 2 - side / 2, 0.0, 1.0 - side)  # the longer side in both directions: one aspect
    return float(start[0]), float(start[1]), float(start[0] + side), float(start[1] + side)


def two_lungs(is_dark: np.ndarray) -> np.ndarray | None:
    """(S, S) bool of the two areas, None where they are not there."""
    areas, _ = ndimage.label(is_dark)
    inside = np.zeros(is_dark.shape, dtype=bool)
    inside[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = True
    outer = set(np.unique(areas[~inside]).tolist())
    fitting = []
    for number, place in enumerate(ndimage.find_objects(areas), start=1):
        size = int((areas[place] == number).sum())
        has_size = AREA[0] * is_dark.size <= size <= AREA[1] * is_dark.size
        if has_size and number not in outer and size >= FILLED * areas[place].size:
            fitting.append(number)
    sides: list[int] = []
    for is_right in (False, True):
        here = [n for n in fitting if (np.nonzero(areas == n)[1].mean() >= is_dark.shape[1] / 2) == is_right]
        if not here:
            return None
        sides.append(max(here, key=lambda n: int((areas == n).sum())))
    spans = [(rows.min(), rows.max() + 1) for rows in (np.nonzero(areas == n)[0] for n in sides)]
    shared = min(spans[0][1], spans[1][1]) - max(spans[0][0], spans[1][0])
    if shared < SHARED_ROWS * min(end - start for start, end in spans):
        return None
    return np.isin(areas, sides)
