"""Small pictures of two kinds: a textured grey ground, and for class 1 a planted blob whose mask is known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.data.samples import Samples
from core.data.table_schema import Feature, TableSchema
from core.images.image import Image

IMAGE_SCHEMA = TableSchema((Feature("image", "image"),))


def image_samples(
    num=40, *, size=32, channels=1, seed=0, domain="line_a", positive_fraction=0.5, noise=0.06, shift=0.0, contrast=0.45
):
    """(Samples, masks): `num` pictures of `size` px, labels 0 / 1, groups of two neighbours of one class.

    masks: (N, S, S) bool, true where the blob was planted (nowhere for class 0). noise: of a pixel, in fractions of
    the range. shift: another domain; brightness rises by `shift` and the contrast falls by it. contrast: of the blob.
    """
    generator = np.random.default_rng(seed)
    labels = np.zeros(num)
    labels[: round(num * positive_fraction)] = 1.0
    group_order = generator.permutation((num + 1) // 2)  # neighbours stay together: a group has one class, mostly
    order = [row for group in group_order for row in (2 * group, 2 * group + 1) if row < num]
    labels = labels[order]
    pixels, masks = [], np.zeros((num, size, size), dtype=bool)
    rows, columns = np.mgrid[:size, :size] / size
    for row in range(num):
        phase, angle = generator.uniform(0, 2 * np.pi, 2)
        texture = 0.06 * np.sin(2 * np.pi * 4 * (np.cos(angle) * rows + np.sin(angle) * columns) + phase)
        ground = 0.5 + texture + noise * generator.standard_normal((size, size))
        radius = generator.uniform(0.1, 0.17)
        centre_row, centre_column = generator.uniform(0.25, 0.75, 2)
        sign = generator.choice([-1.0, 1.0])
        if labels[row] == 1:
            distance = np.hypot(rows - centre_row, columns - centre_column)
            masks[row] = distance <= radius
            ground = ground + sign * contrast * np.exp(-((distance / radius) ** 4))
        ground = 0.5 + (ground - 0.5) * (1 - abs(shift)) + shift
        grey = np.clip(ground * 255, 0, 255).astype(np.uint8)
        pixels.append(np.repeat(grey[:, :, None], channels, axis=2))
    frame = pd.DataFrame({"image": pd.Series([Image.of_pixels(one) for one in pixels], dtype=object)})
    samples = Samples(
        inputs=frame,
        labels=labels,
        sample_ids=np.array([f"{domain}-{row:04d}" for row in range(num)], dtype=object),
        domains=np.full(num, domain, dtype=object),
        weights=np.ones(num),
        groups=np.array([f"{domain}-g{row // 2}" for row in range(num)], dtype=object),
        schema=IMAGE_SCHEMA,
    )
    return samples, masks
