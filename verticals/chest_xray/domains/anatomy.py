"""One patient's anatomy, and where it lies in one picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from verticals.chest_xray.domains.hospitals import Hospital

HEIGHT_PX = 224
NUM_RIBS = 10


@dataclass(frozen=True)
class Anatomy:
    """What all radiographs of a patient share; lengths are of the picture's height.

    apex: level of the lungs' top. lung_half_width: of the whole chest inside the ribs. sway: bend of the spine.
    vessel_seed: of the vessels' course.
    """

    age_years: int
    is_female: bool
    apex: float
    lung_half_width: float
    lung_height: float
    rib_drop: float
    rib_width: float
    heart_width: float
    heart_tilt: float
    knob_radius: float
    fat: float
    bone: float
    sway: float
    vessel_seed: int


@dataclass(frozen=True)
class Pose:
    """One exposure of a patient. inspiration: lung height as a factor; zoom, angle, shift: of the patient."""

    view: str
    width_px: int
    inspiration: float
    zoom: float
    angle: float
    shift_x: float
    shift_y: float

    @cached_property
    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """(x, y) of every pixel in the patient's coordinates: x from the midline, y from the neck down; float32."""
        rows, columns = np.mgrid[0:HEIGHT_PX, 0 : self.width_px].astype(np.float32)
        x = (columns + 0.5 - self.width_px / 2) / HEIGHT_PX - self.shift_x
        y = (rows + 0.5) / HEIGHT_PX - 0.5 - self.shift_y
        cosine, sine = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        return (cosine * x + sine * y) / self.zoom, (cosine * y - sine * x) / self.zoom + 0.5

    def pixels_of(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(rows, columns) of points in the patient's coordinates: the inverse of `grid`."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        right = cosine * x * self.zoom - sine * (y - 0.5) * self.zoom + self.shift_x
        down = sine * x * self.zoom + cosine * (y - 0.5) * self.zoom + self.shift_y
        return (down + 0.5) * HEIGHT_PX - 0.5, right * HEIGHT_PX + self.width_px / 2 - 0.5


def draw_anatomy(hospital: Hospital, random: np.random.Generator) -> Anatomy:
    """A patient as this hospital sees them."""
    age = int(random.integers(hospital.ages[0], hospital.ages[1] + 1))
    is_adult = age >= 18
    return Anatomy(
        age_years=age,
        is_female=bool(random.random() < 0.46),
        apex=random.uniform(0.09, 0.14),
        lung_half_width=random.uniform(*hospital.lung_half_width),
        lung_height=random.uniform(*hospital.lung_height),
        rib_drop=random.uniform(*hospital.rib_drop),
        rib_width=random.uniform(0.015, 0.019) if is_adult else random.uniform(0.013, 0.016),
        heart_width=random.uniform(0.43, 0.54) if is_adult else random.uniform(0.46, 0.57),
        heart_tilt=random.uniform(0.35, 0.75),
        knob_radius=random.uniform(0.03, 0.045) * (1.0 if is_adult else 0.5),
        fat=random.uniform(0.0, 0.5),
        bone=random.uniform(0.75, 1.15) * (1.0 if is_adult else 0.85),
        sway=random.normal(0, 0.012),
        vessel_seed=int(random.integers(2**31)),
    )


def draw_pose(hospital: Hospital, view: str, random: np.random.Generator) -> Pose:
    """A new exposure. AP is taken lying or sitting in bed: nearer, less straight, less breath."""
    is_ap = view == "AP"
    return Pose(
        view=view,
        width_px=round(HEIGHT_PX * random.uniform(*hospital.aspect)),
        inspiration=random.uniform(0.82, 0.98) if is_ap else random.uniform(0.93, 1.05),
        zoom=random.uniform(0.97, 1.09) if is_ap else random.uniform(0.93, 1.03),
        angle=float(random.normal(0, 0.045 if is_ap else 0.02)),
        shift_x=float(random.normal(0, 0.025 if is_ap else 0.012)),
        shift_y=float(random.normal(0.01, 0.02)),
    )
