"""Consolidations: patchy, blurred opacities inside the lung fields, and their masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verticals.chest_xray.domains.anatomy import Anatomy, Pose
from verticals.chest_xray.domains.shapes import cloud
from verticals.chest_xray.domains.soft_parts import SoftParts

MASK_FROM = 0.35  # of the finding's own peak


@dataclass(frozen=True)
class Patch:
    """One opacity.

    side: -1 the patient's right, 1 left. across, down: 0 to 1 inside the field. radius: of the picture's height.
    """

    side: int
    across: float
    down: float
    radius: float
    stretch: float
    opacity: float


@dataclass(frozen=True)
class Finding:
    """What makes a radiograph diseased. patchiness: 0 an even shade, 1 only islands."""

    patches: tuple[Patch, ...]
    patchiness: float
    texture_seed: int


def draw_finding(random: np.random.Generator, *, is_subtle: bool) -> Finding:
    """One, several or many patches; the lower fields are hit more often. A subtle one is faint and small."""
    kind = random.choice(["lobar", "patchy", "bilateral"], p=[0.4, 0.35, 0.25])
    side = int(random.choice([-1, 1]))
    count = {"lobar": 1, "patchy": int(random.integers(2, 5)), "bilateral": int(random.integers(4, 8))}[str(kind)]
    low, high = {"lobar": (0.08, 0.16), "patchy": (0.045, 0.09), "bilateral": (0.055, 0.11)}[str(kind)]
    strength = random.uniform(0.20, 0.42) if is_subtle else random.uniform(0.5, 1.0)
    patches = tuple(
        Patch(
            side=side if kind != "bilateral" else (-1, 1)[index % 2],
            across=random.uniform(0.15, 0.85),
            down=random.beta(3.0, 1.8),
            radius=random.uniform(low, high) * (0.75 if is_subtle else 1.0),
            stretch=random.uniform(0.7, 1.5),
            opacity=strength * random.uniform(0.7, 1.3),
        )
        for index in range(count)
    )
    patchiness = random.uniform(0.2, 0.5) if kind == "lobar" else random.uniform(0.4, 0.9)
    return Finding(patches, patchiness, int(random.integers(2**31)))


def draw_opacity(finding: Finding, anatomy: Anatomy, pose: Pose, soft: SoftParts) -> tuple[np.ndarray, np.ndarray]:
    """((H, W) attenuation, (H, W) bool mask of where it is clearly there); nothing outside the lung fields."""
    field = np.zeros_like(soft.x)
    height = anatomy.lung_height * pose.inspiration
    for patch in finding.patches:
        level = anatomy.apex + height * (0.12 + 0.8 * patch.down)
        reach = anatomy.lung_half_width * (0.25 + 0.65 * patch.across)
        along = (soft.x - patch.side * reach) / (patch.radius * patch.stretch)
        down = (soft.y - level) / (patch.radius / patch.stretch)
        field += patch.opacity * np.exp(-0.5 * (along**2 + down**2) ** 1.3)
    random = np.random.default_rng(finding.texture_seed)
    islands = np.clip(0.75 + 0.45 * cloud(field.shape, 7.0, random) + 0.2 * cloud(field.shape, 2.8, random), 0, 1.7)
    field *= (1 - finding.patchiness) + finding.patchiness * islands
    opacity = np.minimum(field, 1.1) * soft.lungs * np.clip(soft.depth * 1.6, 0, 1)
    peak = float(np.percentile(opacity, 99.7))
    mask = (opacity > MASK_FROM * peak) & (soft.lungs > 0.5)
    return opacity.astype(np.float32), mask
