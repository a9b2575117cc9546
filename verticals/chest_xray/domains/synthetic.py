"""Synthetic radiographs of two hospitals, where the real archive cannot be reached. Not for clinical statements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from verticals.chest_xray.domains.anatomy import Anatomy, Pose, draw_anatomy, draw_pose
from verticals.chest_xray.domains.bones import draw_bones
from verticals.chest_xray.domains.film import Film, develop, draw_film
from verticals.chest_xray.domains.findings import Finding, draw_finding, draw_opacity
from verticals.chest_xray.domains.hospitals import Hospital
from verticals.chest_xray.domains.soft_parts import draw_soft_parts
from verticals.chest_xray.domains.vessels import draw_vessels

MAX_PER_PATIENT = 4
STAYS_DISEASED = 0.75  # a patient's later pictures: chance of the same state as the first


@dataclass(frozen=True)
class Drawn:
    """A picture and what is known about it. pixels: (H, W) uint8. mask, lungs: (H, W) bool."""

    pixels: np.ndarray
    mask: np.ndarray
    lungs: np.ndarray


@dataclass(frozen=True)
class Radiograph:
    """One exposure, before it is drawn; `finding` is None for a normal one."""

    patient: str
    number: int
    anatomy: Anatomy
    pose: Pose
    film: Film
    finding: Finding | None

    @property
    def name(self) -> str:
        """File name without ending."""
        return f"{self.patient}_{self.number:02d}"


def draw(radiograph: Radiograph) -> Drawn:
    """The picture, always the same for the same radiograph."""
    anatomy, pose = radiograph.anatomy, radiograph.pose
    soft = draw_soft_parts(anatomy, pose)
    attenuation = soft.attenuation + draw_bones(anatomy, pose, soft)
    attenuation += draw_vessels(anatomy, pose, attenuation.shape) * soft.lungs
    mask = np.zeros(attenuation.shape, dtype=bool)
    if radiograph.finding is not None:
        opacity, mask = draw_opacity(radiograph.finding, anatomy, pose, soft)
        attenuation += opacity
    return Drawn(develop(attenuation, radiograph.film), mask, soft.lungs > 0.5)


def plan_radiographs(hospital: Hospital, num_pictures: int | None = None) -> Iterator[Radiograph]:
    """The hospital's radiographs, patient by patient, 1 to 4 of each; equal for equal hospitals."""
    random = np.random.default_rng(hospital.seed)
    left, patient = num_pictures or hospital.num_pictures, 0
    prefix = hospital.name.removeprefix("demo_")[0]
    while left > 0:
        patient += 1
        anatomy = draw_anatomy(hospital, random)
        is_diseased = random.random() < hospital.disease_share
        for number in range(min(left, int(random.integers(1, MAX_PER_PATIENT + 1)))):
            if number and random.random() > STAYS_DISEASED:
                is_diseased = random.random() < hospital.disease_share
            yield _plan_one(hospital, f"{prefix}{patient:04d}", number + 1, anatomy, random, is_diseased=is_diseased)
            left -= 1


def _plan_one(
    hospital: Hospital, patient: str, number: int, anatomy: Anatomy, random: np.random.Generator, *, is_diseased: bool
) -> Radiograph:
    ap_share = hospital.ap_if_diseased if is_diseased else hospital.ap_if_normal
    portable_share = hospital.portable_if_diseased if is_diseased else hospital.portable_if_normal
    pose = draw_pose(hospital, "AP" if random.random() < ap_share else "PA", random)
    film = draw_film(hospital, random, is_portable=bool(random.random() < portable_share))
    finding = None
    if is_diseased:
        finding = draw_finding(random, is_subtle=bool(random.random() < hospital.subtle_share))
    return Radiograph(patient, number, anatomy, pose, film, finding)
