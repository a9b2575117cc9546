"""Attenuation of skin, muscle, lungs, heart and belly on a pose's grid. Units: water columns, roughly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verticals.chest_xray.domains.anatomy import Anatomy, Pose
from verticals.chest_xray.domains.shapes import EDGE, ellipse, inside

INNER = 0.035  # the lungs' inner border at the mediastinum, of the picture's height
AIR = 1.1  # what a lung takes away from the body's attenuation


@dataclass(frozen=True)
class SoftParts:
    """attenuation: (H, W) of all soft parts. lungs: (H, W) 0 to 1, both fields; behind the heart they are not seen.

    outer: (H, W) distance of the ribs' inner side from the midline, by level. depth: (H, W) 0 to 1, air in the beam.
    """

    attenuation: np.ndarray
    lungs: np.ndarray
    depth: np.ndarray
    outer: np.ndarray
    is_left: np.ndarray
    x: np.ndarray
    y: np.ndarray


def draw_soft_parts(anatomy: Anatomy, pose: Pose) -> SoftParts:
    """All soft parts of a patient in one pose."""
    x, y = pose.grid
    x = x - anatomy.sway * np.sin(3 * y)
    is_left = x > 0  # the patient's left is on the picture's right
    height = anatomy.lung_height * pose.inspiration
    outer = outer_border(anatomy, y, height)
    lungs, depth, base = _lungs(anatomy, x, y, outer, height)
    heart, shadow = _heart(anatomy, pose, x, y, height)
    body = _body(anatomy, x, y)
    belly = inside(y - base, 0.012) * (np.abs(x) < outer + 0.2) * body
    attenuation = body * (1.75 + 0.5 * anatomy.fat) + 0.45 * belly * np.clip((y - base) * 6 + 0.4, 0, 1)
    attenuation = attenuation - AIR * depth * lungs + shadow * (1 - 0.75 * belly) - _gas(anatomy, x, y, base)
    attenuation = attenuation + _breasts(anatomy, x, y, height)
    return SoftParts(attenuation.astype(np.float32), lungs * (1 - heart), depth, outer, is_left, x, y)


def outer_border(anatomy: Anatomy, y: np.ndarray, height: float) -> np.ndarray:
    """Half width inside the ribs at level y: narrow at the apex, widest at two thirds."""
    part = np.clip((y - anatomy.apex) / height, 0, 1.3)
    return anatomy.lung_half_width * (0.54 + 0.46 * np.sin(np.pi / 2 * np.minimum(part / 0.68, 1)))


def _lungs(anatomy: Anatomy, x: np.ndarray, y: np.ndarray, outer: np.ndarray, height: float):
    """(fields 0 to 1, depth of air 0 to 1, level of the diaphragm)."""
    away, wide = np.abs(x), anatomy.lung_half_width
    inner = INNER + 0.015 * (x > 0)
    top = anatomy.apex + 0.10 * np.abs((away - 0.42 * wide) / (0.42 * wide)) ** 2.5
    dome = np.where(x > 0, 0.075, 0.095) * (anatomy.lung_height / 0.65)
    base = anatomy.apex + height - dome * (1 - np.abs((away - 0.45 * wide) / (0.56 * wide)) ** 2.4)
    base = np.minimum(base, anatomy.apex + height + 0.02)
    within = np.minimum(np.minimum(outer - away, away - inner), np.minimum(y - top, base - y))
    across = np.clip(2 * (away - inner) / np.maximum(outer - inner, 0.02) - 1, -1, 1)
    depth = np.clip(1 - np.abs(across) ** 3, 0, 1) ** 0.6 * np.clip((y - top) * 9 + 0.35, 0, 1) ** 0.5
    return inside(within, EDGE), depth.astype(np.float32), base


def _heart(anatomy: Anatomy, pose: Pose, x: np.ndarray, y: np.ndarray, height: float):
    """(where heart and great vessels hide the lungs 0 to 1, their attenuation). AP shows them larger."""
    wide = anatomy.lung_half_width
    growth = 1.12 if pose.view == "AP" else 1.0
    level = anatomy.apex + height * 0.73
    half = wide * anatomy.heart_width * growth
    heart = ellipse(x, y, (0.27 * half, level), (half * 1.06, half * 0.80), anatomy.heart_tilt)
    middle = 0.052 + 0.03 * growth * np.exp(-(((y - anatomy.apex - 0.2) / 0.12) ** 2))
    column = np.minimum(middle - np.abs(x - 0.008), level + 0.15 - y)
    knob = ellipse(x, y, (0.055, anatomy.apex + 0.25 * height), (anatomy.knob_radius, anatomy.knob_radius * 1.25))
    root = ellipse(x, y, (0.06, anatomy.apex + 0.44 * height), (0.05, 0.085), 0.2)
    whole = np.maximum(np.maximum(heart, column), np.maximum(knob, root))
    thick = np.sqrt(np.clip(heart / (half * 0.5), 0, 1))
    shadow = 0.62 * inside(heart, 0.009) * (0.6 + 0.4 * thick) + 0.40 * inside(column, 0.02)
    shadow += 0.4 * inside(np.maximum(knob, root), 0.012)
    return inside(whole, 0.009), 0.85 * np.tanh(shadow / 0.75)


def _body(anatomy: Anatomy, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Thickness of the body 0 to 1: torso, neck, shoulders, arms that hang a little apart."""
    away = np.abs(x)
    side = anatomy.lung_half_width + 0.035 + 0.06 * anatomy.fat
    flank = side + 0.03 * np.clip(y - 0.75, 0, 1) + 0.10 * np.clip((0.36 - y) / 0.25, 0, 1) ** 1.5
    torso = np.minimum(flank - away, y - 0.05 - 0.14 * (away / side) ** 2)
    rounded = np.clip(1 - (away / (flank + 0.01)) ** 2, 0, 1) ** 0.35
    neck = np.minimum(0.125 - away + 0.12 * np.clip(y + 0.02, 0, 1), 0.3 - y)
    shoulder = np.minimum(y - 0.03 - 0.20 * np.clip(away - 0.1, 0, 1), side + 0.17 - away)
    shoulder = np.minimum(shoulder, 0.36 - y + 0.25 * (away - side))
    arm = 0.075 - np.abs(away - side - 0.115 - 0.10 * np.clip(y - 0.3, 0, 1))
    arm = np.minimum(arm, y - 0.15)
    limbs = np.maximum(inside(shoulder, 0.02) * 0.62, inside(arm, 0.02) * 0.55)
    return np.maximum(np.maximum(inside(torso, 0.02) * rounded, inside(neck, 0.02) * 0.72), limbs)


def _gas(anatomy: Anatomy, x: np.ndarray, y: np.ndarray, base: np.ndarray) -> np.ndarray:
    """The stomach's bubble below the left dome, larger in some."""
    size = 0.03 + 0.05 * (anatomy.vessel_seed % 7) / 7
    bubble = ellipse(x, y, (0.45 * anatomy.lung_half_width, float(base.min()) + 0.075 + size), (size * 1.5, size))
    return 0.45 * inside(bubble, 0.02) * (y > base + 0.015)


def _breasts(anatomy: Anatomy, x: np.ndarray, y: np.ndarray, height: float) -> np.ndarray:
    """Soft shadows over the lower fields of women."""
    if not anatomy.is_female or anatomy.age_years < 15:
        return np.zeros_like(x)
    wide, size = anatomy.lung_half_width, 0.10 + 0.05 * anatomy.fat
    breast = ellipse(np.abs(x), y, (0.58 * wide, anatomy.apex + height * 0.78), (size * 1.15, size))
    return (0.16 + 0.2 * anatomy.fat) * inside(breast, 0.014) * np.clip(0.5 + breast / size, 0, 1.2)
