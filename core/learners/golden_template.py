"""Comparison with a golden part: registered by phase correlation, judged by how much good parts differ there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy.ndimage import gaussian_filter, zoom

from core.images.image import Image, stack_pixels
from core.images.registration import is_known, phase_shift, shifted
from core.learners.base import LEARNERS
from core.learners.one_class import OneClassLearner, OneClassOptions, good_folds
from core.strict import STRICT


@dataclass(frozen=True, config=STRICT)
class GoldenTemplateOptions(OneClassOptions):
    """reference: the mean of all good parts, or of those of the row's own `group` where there are any.

    size_px: side at which parts are compared; larger pictures are made smaller. max_shift_fraction: farthest shift, of
    the side; 0 registers nothing. use_subpixel: shifts between whole pixels. use_standardised: pictures of one mean and
    spread, so that exposure is no defect. tolerance_floor: of the deviation of good parts, in spreads of a picture.
    tolerance_sigma_px: over which the deviation is smoothed, so that few good parts suffice.
    """

    reference: Literal["mean", "group"] = "mean"
    size_px: int = Field(default=256, ge=8)
    max_shift_fraction: float = Field(default=0.1, ge=0.0, le=0.5)
    use_subpixel: bool = True
    use_standardised: bool = True
    tolerance_floor: float = Field(default=0.1, gt=0.0)
    tolerance_sigma_px: float = Field(default=1.0, ge=0.0)
    smoothing_cells: float = Field(default=1.0, ge=0.0, le=32.0)


@LEARNERS.register("golden_template")
class GoldenTemplate(OneClassLearner):
    """Map: |registered part - reference| / (deviation of good parts + floor), in grey values.

    Source: Kuglin & Hines 1975, "The phase correlation image alignment method"; Moganti et al. 1996, "Automatic PCB
    inspection algorithms: a survey", section 3 (reference comparison).
    """

    Options = GoldenTemplateOptions
    needs_torch: ClassVar[bool] = False

    def _folds(self, groups: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        if self.options.reference == "mean":
            return good_folds(groups, self.options.num_folds, seed=self.seed)
        # A group held out whole would lack the reference that it has in use.
        return good_folds(np.arange(len(groups)), self.options.num_folds, seed=self.seed)

    def _describe(self, images: Sequence[Image], *, is_fit: bool) -> np.ndarray:
        grey = stack_pixels(images).astype(np.float32).mean(axis=3)
        factor = min(1.0, self.options.size_px / grey.shape[1])
        if factor < 1.0:
            blurred = gaussian_filter(grey, (0, 0.4 / factor, 0.4 / factor), mode="nearest")
            grey = zoom(blurred, (1, factor, factor), order=1, grid_mode=True, mode="nearest")
        if not self.options.use_standardised:
            return grey / 255.0
        spread = grey.std(axis=(1, 2), keepdims=True)
        return (grey - grey.mean(axis=(1, 2), keepdims=True)) / np.maximum(spread, 1.0)

    def _fit_parts(self, described: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
        mean = self._mean_of(described)
        references, names = [mean], [""]
        if self.options.reference == "group":
            for name in np.unique(groups):
                references.append(self._mean_of(described[groups == name]))
                names.append(str(name))
        parts = {"references": np.stack(references), "names": _as_bytes(names)}
        apart = self._apart(described, groups, parts)
        num_free = max(len(described) - (len(references) - 1 or 1), 1)
        variance = (apart**2).sum(axis=0) / num_free
        if self.options.tolerance_sigma_px > 0:
            variance = gaussian_filter(variance, self.options.tolerance_sigma_px, mode="nearest")
        return parts | {"tolerance": np.sqrt(variance).astype(np.float32)}

    def _distance_maps(self, described: np.ndarray, groups: np.ndarray, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        apart = self._apart(described, groups, parts)
        return np.abs(apart) / (parts["tolerance"] + self.options.tolerance_floor)

    def _apart(self, described: np.ndarray, groups: np.ndarray, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """(N, h, w) registered part less its reference, in the part's own frame."""
        places = {name: place for place, name in enumerate(_as_texts(parts["names"]))}
        found = np.empty_like(described)
        for row, (picture, group) in enumerate(zip(described, groups, strict=True)):
            reference = parts["references"][places.get(str(group), 0)]
            by = self._shift(reference, picture)
            # Beyond the reference's border nothing is known, so nothing is held against the part.
            found[row] = np.where(is_known(picture.shape, by), picture - shifted(reference, by), 0.0)
        return found

    def _mean_of(self, pictures: np.ndarray) -> np.ndarray:
        """(h, w) mean of the pictures, each registered to the first."""
        total, count = pictures[0].astype(float), np.ones(pictures[0].shape)
        for picture in pictures[1:]:
            by = self._shift(picture, pictures[0])
            shown = is_known(picture.shape, by)
            total += shifted(picture, by) * shown
            count += shown
        return (total / count).astype(np.float32)

    def _shift(self, moving: np.ndarray, fixed: np.ndarray) -> tuple[float, float]:
        """(rows, columns) by which `moving` lies on `fixed`."""
        farthest = int(self.options.max_shift_fraction * fixed.shape[0])
        if farthest == 0:
            return 0.0, 0.0
        return phase_shift(moving, fixed, max_shift_px=farthest, use_subpixel=self.options.use_subpixel)


def _as_bytes(names: Sequence[str]) -> np.ndarray:
    """Names as one array of bytes, which safetensors can hold."""
    return np.frombuffer("\0".join(names).encode() or b"\0", dtype=np.uint8)


def _as_texts(raw: np.ndarray) -> list[str]:
    """Inverse of `_as_bytes`."""
    return raw.tobytes().decode().split("\0")
