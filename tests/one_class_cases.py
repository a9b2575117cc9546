"""Small one-class learners, and the good and defective pictures they are tried on."""

import functools

import numpy as np
from image_samples import image_samples

from core.learners import LEARNERS

TINY = {"backbone": "test_efficientnet", "scratch_seed": 0, "precision": "fp32", "stages": (2, 3)}
SMALL_OPTIONS = {
    "memory_bank": {**TINY, "bank_size": 150, "projection_dim": 16},
    "gaussian_features": TINY,
    "student_teacher": {
        **{name: value for name, value in TINY.items() if name != "precision"},
        "epochs": 6,
        "width": 8,
        "learning_rate": 0.01,
    },
    "golden_template": {"size_px": 64},
    "surface_cues": {"window_px": 6, "margin_px": 2, "num_dark_px": 6, "cell_px": 4},
    "one_class_ensemble": {
        "parts": [
            {"learner": "memory_bank", "options": {**TINY, "bank_size": 150, "projection_dim": 16}},
            {"learner": "gaussian_features", "options": TINY},
        ]
    },
}
SIZE_PX = 48


@functools.cache
def pictures():
    """(training samples of both kinds, test samples, masks of the test samples)."""
    train, _ = image_samples(48, size=SIZE_PX, seed=1, positive_fraction=0.25, noise=0.03)
    test, masks = image_samples(24, size=SIZE_PX, seed=2, noise=0.03)
    return train, test, masks


@functools.cache
def fitted(name):
    """The small learner, fitted on the training samples."""
    return LEARNERS[name](SMALL_OPTIONS[name], seed=0).fit(pictures()[0])


def share_of_peaks_inside(maps, samples, masks):
    """Share of the defective pictures whose hottest pixel lies in the defect, give or take three pixels."""
    from scipy.ndimage import binary_dilation

    hits = []
    for heat, mask in zip(maps[samples.labels == 1], masks[samples.labels == 1], strict=True):
        place = np.unravel_index(np.argmax(heat), heat.shape)
        hits.append(binary_dilation(mask, iterations=3)[place])
    return float(np.mean(hits))
