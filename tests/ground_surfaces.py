"""Ground surfaces: streaks that run down the picture, and what may be wrong with them."""

import numpy as np
from scipy.ndimage import gaussian_filter


def ground_surface(height=120, width=90, *, defect="good", seed=0):
    """((H, W) uint8, (H, W) bool mask). defect: `good`, `blowhole` (a dark spot), `uneven` (other streaks below the
    middle) or `worn` (the streaks of a band in the middle are three times as strong)."""
    generator = np.random.default_rng(seed)
    mask = np.zeros((height, width), dtype=bool)

    def streaks():
        return np.repeat(gaussian_filter(generator.standard_normal(width), 2.0)[None], height, axis=0) * 3.0

    pattern = streaks()
    if defect == "uneven":
        pattern[height // 2 :] = streaks()[height // 2 :]
        mask[height // 2 - 4 : height // 2 + 4] = True
    if defect == "worn":
        mask[height // 3 : 2 * height // 3] = True
        pattern[mask] *= 3.0
    grey = 120 + 10 * pattern + 3 * generator.standard_normal((height, width))
    if defect == "blowhole":
        row, column = generator.integers(height // 3, 2 * height // 3), generator.integers(width // 3, 2 * width // 3)
        rows, columns = np.mgrid[:height, :width]
        mask = np.hypot(rows - row, columns - column) <= 5
        grey[mask] -= 70
    return np.clip(grey, 0, 255).astype(np.uint8), mask
