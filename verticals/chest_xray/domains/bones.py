"""Attenuation of ribs, spine, collarbones and shoulder blades, and the air in the windpipe."""

from __future__ import annotations

import numpy as np

from verticals.chest_xray.domains.anatomy import NUM_RIBS, Anatomy, Pose
from verticals.chest_xray.domains.shapes import ellipse, inside, tube
from verticals.chest_xray.domains.soft_parts import SoftParts, outer_border


def draw_bones(anatomy: Anatomy, pose: Pose, soft: SoftParts) -> np.ndarray:
    """(H, W) attenuation of all bones, less the windpipe's air."""
    bones = _ribs(anatomy, pose, soft) + _spine(anatomy, soft) + _collarbones(anatomy, pose, soft)
    bones += _shoulder_blades(anatomy, pose, soft) + _arm_bones(anatomy, soft)
    return (bones * anatomy.bone - _windpipe(anatomy, pose, soft)).astype(np.float32)


def _ribs(anatomy: Anatomy, pose: Pose, soft: SoftParts) -> np.ndarray:
    """Every rib is an ellipse seen from the front: its upper half lies at the back, its lower half at the front.

    The front ends in cartilage, which is not seen. At the side the beam runs along the rib and the shadow is dense.
    """
    height = anatomy.lung_height * pose.inspiration
    shadow = np.zeros_like(soft.x)
    away = np.abs(soft.x)
    for rib in range(NUM_RIBS):
        part = rib / (NUM_RIBS - 1)
        drop = anatomy.rib_drop * (0.5 + 0.5 * min(1.0, part * 2.2))
        level = anatomy.apex + height * (0.03 + 0.97 * part) + drop * 0.2  # where the rib turns at the side
        radius = float(outer_border(anatomy, np.array(level), height)) + 0.006
        half = drop / 2
        # rows of the picture that the rib can reach; rotation moves them a little
        is_near = np.flatnonzero((np.abs(soft.y - level) < half + 0.04).any(axis=1))
        if not len(is_near):
            continue
        rows = slice(is_near[0], is_near[-1] + 1)
        x, y = away[rows], soft.y[rows] - level
        norm = np.sqrt((x / radius) ** 2 + (y / half) ** 2) + 1e-6
        slope = np.sqrt((x / radius**2) ** 2 + (y / half**2) ** 2) / norm + 1e-6
        distance = (norm - 1) / slope
        is_front = inside(y, 0.02)
        ending = inside(x - 0.45 * radius, 0.05)
        density = (1 - is_front) + 0.8 * is_front * ending
        wide = anatomy.rib_width * (1 + 0.25 * is_front)
        along = 0.23 + 0.20 * np.clip((x / radius - 0.75) / 0.25, 0, 1) ** 2
        shadow[rows] = np.maximum(shadow[rows], 0) + tube(distance, wide) * density * along
    return shadow


def _spine(anatomy: Anatomy, soft: SoftParts) -> np.ndarray:
    """A column of vertebrae with discs between them and two pedicles each."""
    wide, period = 0.040, 0.052 if anatomy.age_years < 15 else 0.062
    column = inside(wide - np.abs(soft.x), 0.008)
    phase = (soft.y / period) % 1.0
    disc = np.exp(-(((phase - 0.5) / 0.11) ** 2))
    pedicle = np.exp(-(((np.abs(soft.x) - 0.026) / 0.007) ** 2) - ((phase - 0.08) / 0.13) ** 2)
    edge = np.exp(-(((np.abs(soft.x) - wide + 0.004) / 0.006) ** 2))
    return column * (0.24 - 0.13 * disc + 0.10 * pedicle + 0.06 * edge)


def _windpipe(anatomy: Anatomy, pose: Pose, soft: SoftParts) -> np.ndarray:
    """Air from the neck to the two main bronchi."""
    fork = anatomy.apex + 0.36 * anatomy.lung_height * pose.inspiration
    half = 0.016
    pipe = np.minimum(half - np.abs(soft.x), fork - soft.y)
    slant = np.where(soft.is_left, 0.9, 0.65)
    bronchus = half * 0.75 - np.abs(np.abs(soft.x) - slant * (soft.y - fork + 0.01))
    bronchus = np.minimum(bronchus, np.minimum(soft.y - fork + 0.015, fork + 0.075 - soft.y))
    return 0.33 * inside(np.maximum(pipe, bronchus), 0.008)


def _collarbones(anatomy: Anatomy, pose: Pose, soft: SoftParts) -> np.ndarray:
    """Two S-shaped bones from the breastbone to the shoulders; in AP they stand higher."""
    away = np.abs(soft.x)
    reach = anatomy.lung_half_width
    start = anatomy.apex + (0.045 if pose.view == "AP" else 0.085)
    course = start - 0.16 * (away - 0.04) + 0.018 * np.sin((away - 0.04) / reach * 2.2 * np.pi)
    ends = inside(np.minimum(away - 0.045, reach * 1.08 - away), 0.012)
    return 0.42 * tube(soft.y - course, 0.017 - 0.006 * np.clip((away - 0.04) / reach, 0, 1)) * ends


def _shoulder_blades(anatomy: Anatomy, pose: Pose, soft: SoftParts) -> np.ndarray:
    """Triangles: over the lungs in AP, turned out of them in PA."""
    away = np.abs(soft.x)
    inner = anatomy.lung_half_width * (0.72 if pose.view == "AP" else 1.0) + 0.01
    top, bottom = anatomy.apex + 0.03, anatomy.apex + 0.36
    edge = inner + 0.22 * np.clip(soft.y - top - 0.10, 0, 1)
    outer = inner + 0.17 - 0.30 * (soft.y - top)
    blade = np.minimum(np.minimum(away - edge, outer - away), np.minimum(soft.y - top, bottom - soft.y))
    rim = np.exp(-((blade / 0.008) ** 2)) * ((soft.y > top) & (soft.y < bottom))
    return 0.10 * inside(blade, 0.01) + 0.14 * rim


def _arm_bones(anatomy: Anatomy, soft: SoftParts) -> np.ndarray:
    """The heads and shafts of the upper arms."""
    away = np.abs(soft.x)
    side = anatomy.lung_half_width + 0.035 + 0.06 * anatomy.fat
    head = inside(ellipse(away, soft.y, (side + 0.10, anatomy.apex + 0.065), (0.042, 0.045)), 0.01)
    shaft = tube(away - side - 0.115 - 0.10 * np.clip(soft.y - 0.3, 0, 1), 0.024) * inside(soft.y - anatomy.apex - 0.08)
    return 0.30 * np.maximum(head, shaft)
