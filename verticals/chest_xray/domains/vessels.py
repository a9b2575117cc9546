"""The lungs' vessels: branching lines from the hila, the same in all radiographs of a patient."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from verticals.chest_xray.domains.anatomy import Anatomy, Pose
from verticals.chest_xray.domains.soft_parts import INNER

NUM_STEPS = 34
STEP = 0.011  # of the picture's height
SPLIT_AFTER = (5, 12, 19)
WIDTHS_PX = ((1.5, 0, 9), (1.0, 6, 20), (0.65, 15, NUM_STEPS))  # blur, and the steps that are drawn with it


def draw_vessels(anatomy: Anatomy, pose: Pose, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) attenuation of hila and vessels; it is seen where the lungs are."""
    random = np.random.default_rng(anatomy.vessel_seed)
    shadow = np.zeros(shape, dtype=np.float32)
    height = anatomy.lung_height * pose.inspiration
    for side in (-1, 1):
        root = anatomy.apex + height * (0.46 if side < 0 else 0.43)
        paths = _paths(random, side, root)
        rows, columns = pose.pixels_of(paths[..., 0], paths[..., 1])
        rows, columns = np.round(rows).astype(int), np.round(columns).astype(int)
        is_seen = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
        for sigma_px, first, last in WIDTHS_PX:
            drawn = np.zeros(shape, dtype=np.float32)
            part = (slice(None), slice(first, last))
            weight = np.broadcast_to(1 - 0.7 * np.arange(NUM_STEPS) / NUM_STEPS, rows.shape)[part]
            chosen = is_seen[part]
            np.maximum.at(drawn, (rows[part][chosen], columns[part][chosen]), weight[chosen])
            shadow += gaussian_filter(drawn, sigma_px, truncate=3) * sigma_px * 0.55
    return shadow


def _paths(random: np.random.Generator, side: int, root: float) -> np.ndarray:
    """(K, NUM_STEPS, 2) points x, y of all branches; a branch that splits shares its beginning."""
    angles = np.linspace(-1.25, 1.35, 8) + random.normal(0, 0.12, 8)
    position = np.stack([np.full(8, INNER + 0.045), np.full(8, root)], axis=1) + random.normal(0, 0.016, (8, 2))
    points = np.zeros((8, NUM_STEPS, 2))
    for step in range(NUM_STEPS):
        if step in SPLIT_AFTER:
            turn = random.uniform(0.2, 0.5, len(angles))
            angles = np.concatenate([angles - turn / 2, angles + turn / 2])
            position, points = np.concatenate([position, position]), np.concatenate([points, points])
        angles = angles + random.normal(0, 0.10, len(angles))
        position = position + STEP * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        points[:, step] = position
    points[..., 0] *= side
    return points
