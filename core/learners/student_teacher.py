"""A small student learns the frozen teacher's maps on good pictures, and fails where a part is not good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.images.image import Image, stack_pixels
from core.learners.base import LEARNERS
from core.learners.local_feature_learner import BackboneOneClassLearner
from core.learners.local_features import even_illumination
from core.learners.one_class import OneClassOptions
from core.strict import STRICT

TEACHER_BATCH_SIZE = 16
STUDENT = "student."


@dataclass(frozen=True, config=STRICT)
class StudentTeacherOptions(OneClassOptions):
    """backbone, model, scratch_seed: of the teacher, as in `memory_bank`. stages: whose maps are learned.

    comparison: `squared` distance of channels that are standardised on good pictures, or of `unit` vectors as they are.
    width: channels of the student at half the picture's size, doubled with each halving up to four times. epochs,
    batch_size, learning_rate: of its training by Adam. num_folds trains as many further students for the threshold.
    """

    backbone: str = "efficientnet_lite0"
    model: str = ""
    scratch_seed: int | None = None
    stages: tuple[int, ...] = (3, 4, 6)
    illumination: Literal["none", "standardise", "local"] = "standardise"
    comparison: Literal["squared", "unit"] = "squared"
    width: int = Field(default=16, ge=4)
    epochs: int = Field(default=15, ge=1)
    batch_size: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0.0)
    num_folds: int = Field(default=2, ge=2)


@LEARNERS.register("student_teacher")
class StudentTeacher(BackboneOneClassLearner):
    """Where the student is far from the teacher, it has not seen the like.

    Source: Bergmann et al. 2020, "Uninformed students", eq. 3 (`squared`); Wang et al. 2021, "Student-teacher feature
    pyramid matching for anomaly detection", eq. 1-4 (`unit`).
    """

    Options = StudentTeacherOptions

    def _describe(self, images: Sequence[Image], *, is_fit: bool) -> np.ndarray:
        return even_illumination(stack_pixels(images), self.options.illumination)

    def _fit_parts(self, described: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
        from core.learners.student_network import make_student, train_student

        targets = self._teacher_maps(described)
        parts = {}
        for place, maps in enumerate(targets):
            mean, spread = maps.mean(axis=(0, 2, 3)), maps.std(axis=(0, 2, 3)) + 1e-6
            is_unit = self.options.comparison == "unit"
            parts[f"teacher_mean_{place}"] = np.zeros_like(mean) if is_unit else mean
            parts[f"teacher_spread_{place}"] = np.ones_like(spread) if is_unit else spread
        parts["sides"] = np.array([described.shape[1], *(maps.shape[-1] for maps in targets)])
        student = make_student(*self._shape(parts), width=self.options.width, seed=self.seed)
        train_student(
            student,
            self.backbone_.normalise,
            described,
            [self._standardised(maps, parts, place) for place, maps in enumerate(targets)],
            comparison=self.options.comparison,
            epochs=self.options.epochs,
            batch_size=self.options.batch_size,
            learning_rate=self.options.learning_rate,
            seed=self.seed,
        )
        tensors = {name: value.detach().numpy().copy() for name, value in student.state_dict().items()}
        return parts | {STUDENT + name: value for name, value in tensors.items()}

    def _distance_maps(self, described: np.ndarray, groups: np.ndarray, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        import torch

        from core.learners.student_network import discrepancy, make_student

        student = make_student(*self._shape(parts), width=self.options.width, seed=0)
        tensors = {name.removeprefix(STUDENT): value for name, value in parts.items() if name.startswith(STUDENT)}
        student.load_state_dict({name: torch.as_tensor(value) for name, value in tensors.items()})
        teacher = [
            torch.as_tensor(self._standardised(maps, parts, place))
            for place, maps in enumerate(self._teacher_maps(described))
        ]
        with torch.no_grad():
            learned = student(self.backbone_.normalise(described))
            return discrepancy(teacher, learned, self.options.comparison).numpy()

    def _teacher_maps(self, pixels: np.ndarray) -> list[np.ndarray]:
        """(N, C, h, w) float32 of each stage."""
        import torch

        found = []
        with torch.no_grad():
            for start in range(0, len(pixels), TEACHER_BATCH_SIZE):
                x = self.backbone_.normalise(pixels[start : start + TEACHER_BATCH_SIZE])
                found.append([maps.numpy() for maps in self.backbone_.maps(x, self.options.stages)])
        return [np.concatenate(maps) for maps in zip(*found, strict=True)]

    @staticmethod
    def _standardised(maps: np.ndarray, parts: Mapping[str, np.ndarray], place: int) -> np.ndarray:
        """(N, C, h, w) in deviations of good pictures; unit vectors of those would be noise where nothing is odd."""
        mean, spread = parts[f"teacher_mean_{place}"], parts[f"teacher_spread_{place}"]
        return (maps - mean[:, None, None]) / spread[:, None, None]

    @staticmethod
    def _shape(parts: Mapping[str, np.ndarray]) -> tuple[list[int], list[int]]:
        """Channels of each map, and how often the picture's side is halved for it."""
        picture, *sides = (int(side) for side in parts["sides"])
        channels = [len(parts[f"teacher_mean_{place}"]) for place in range(len(sides))]
        return channels, [max(1, round(float(np.log2(picture / side)))) for side in sides]
