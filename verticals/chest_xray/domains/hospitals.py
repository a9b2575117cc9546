"""The two synthetic hospitals: whom they see, how they take a radiograph, and how it looks."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class Hospital:
    """What a hospital's radiographs have in common. Ranges are drawn from evenly.

    ages: years. aspect: width / height. lung_half_width, lung_height: of the picture's height. rib_drop: from the rib's
    head to its front end, the slant of the ribs. exposure: attenuation that is shown mid-grey. contrast: slope of the
    display curve. blur_px, noise: of the detector. unsharp: strength of edge enhancement. portable_if_*: share with the
    portable unit's marker, by label. ap_if_*: share of AP views, by label.
    """

    name: str
    seed: int
    num_pictures: int
    disease_share: float
    subtle_share: float
    ages: Range
    aspect: Range
    lung_half_width: Range
    lung_height: Range
    rib_drop: Range
    exposure: Range
    contrast: Range
    blur_px: Range
    noise: Range
    unsharp: Range
    letter: str
    letter_px: int
    portable_if_diseased: float
    portable_if_normal: float
    ap_if_diseased: float
    ap_if_normal: float
    collimated_share: float


# In the source, the portable unit's marker and the AP view go with disease; in the target the marker tells nothing.
CHILDREN = Hospital(
    name="demo_children",
    seed=20,
    num_pictures=600,
    disease_share=0.6,
    subtle_share=0.25,
    ages=(1, 6),
    aspect=(1.18, 1.4),
    lung_half_width=(0.39, 0.46),
    lung_height=(0.62, 0.74),
    rib_drop=(0.15, 0.21),
    exposure=(1.2, 1.6),
    contrast=(1.7, 2.3),
    blur_px=(0.5, 0.8),
    noise=(0.006, 0.014),
    unsharp=(0.5, 0.9),
    letter="R",
    letter_px=3,
    portable_if_diseased=0.7,
    portable_if_normal=0.25,
    ap_if_diseased=0.8,
    ap_if_normal=0.45,
    collimated_share=0.1,
)
ADULTS = Hospital(
    name="demo_adults",
    seed=21,
    num_pictures=500,
    disease_share=0.4,
    subtle_share=0.25,
    ages=(19, 88),
    aspect=(1.0, 1.0),
    lung_half_width=(0.33, 0.38),
    lung_height=(0.66, 0.78),
    rib_drop=(0.21, 0.29),
    exposure=(1.0, 1.45),
    contrast=(2.0, 3.0),
    blur_px=(0.6, 1.0),
    noise=(0.012, 0.03),
    unsharp=(0.0, 0.3),
    letter="L",
    letter_px=2,
    portable_if_diseased=0.3,
    portable_if_normal=0.3,
    ap_if_diseased=0.55,
    ap_if_normal=0.3,
    collimated_share=0.45,
)
HOSPITALS = {hospital.name: hospital for hospital in (CHILDREN, ADULTS)}
