"""Learners that know good parts only: distance maps, and a threshold that held-out good parts set."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from safetensors.numpy import load_file, save_file
from scipy.ndimage import gaussian_filter

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.errors import BadParamsError, VerificationError
from core.images.image import Image, images_of
from core.learners.binary_table import BinaryTableLearner
from core.strict import STRICT

STATE, ARRAYS = "one_class.json", "one_class.safetensors"
SCORE_BATCH_SIZE = 16
SMALLEST_SPREAD = 1e-9


@dataclass(frozen=True, config=STRICT)
class OneClassOptions:
    """score: of a picture from its map: the `max`, or `top_mean`, the mean of the largest `top_fraction`.

    smoothing_cells: sigma of the Gaussian that smooths a map, in its own cells. border_cells: cells at the border that
    are not read. quantile: share of held-out good pictures that stay below the threshold. num_folds: folds by group
    that hold good pictures out. use_unlabelled: unlabelled rows count as good ones.
    """

    score: Literal["max", "top_mean"] = "top_mean"
    top_fraction: float = Field(default=0.03, gt=0.0, le=1.0)
    smoothing_cells: float = Field(default=0.0, ge=0.0, le=32.0)
    border_cells: int = Field(default=0, ge=0, le=64)
    quantile: float = Field(default=0.95, gt=0.0, lt=1.0)
    num_folds: int = Field(default=3, ge=2)
    use_unlabelled: bool = False


class OneClassLearner(BinaryTableLearner):
    """A subclass describes pictures, fits `parts` (named arrays) on descriptions, and maps distances from them.

    Fitted state: `parts_`, `centre_` and `spread_` (K,) of the K held-out scores, `threshold_` and `scale_` of the
    joined score, `level_` of the maps, `map_centre_` and `map_spread_` of good cells, `held_scores_` (N,) of the good
    pictures.
    """

    is_one_class: ClassVar[bool] = True
    needs_torch: ClassVar[bool] = True

    @abstractmethod
    def _describe(self, images: Sequence[Image], *, is_fit: bool) -> np.ndarray:
        """(N, ...) what a picture is compared by; `is_fit`: further views may be added."""

    @abstractmethod
    def _fit_parts(self, described: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
        """Named arrays that tell what is good."""

    @abstractmethod
    def _distance_maps(self, described: np.ndarray, groups: np.ndarray, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """(N, h, w) float32, larger where less like a good part."""

    def _picture_scores(self, described: np.ndarray, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """(N, K - 1) further scores of whole pictures; none here."""
        return np.zeros((len(described), 0))

    def _folds(self, groups: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """(fit rows, held rows) of good pictures."""
        return good_folds(groups, self.options.num_folds, seed=self.seed)

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit on the good rows; rows of defects are not read, and neither is `valid`.

        Raises:
            BadParamsError: fewer than four good pictures, or pictures of several sizes.
        """
        good = good_rows(train, use_unlabelled=self.options.use_unlabelled)
        groups = np.asarray(good.groups).astype(str)
        images = images_of(good)
        self._start(images[0].pixels.shape[0])
        described = self._describe(images, is_fit=True)
        held, peaks, cells = None, np.zeros(len(good)), []
        for fit_rows, held_rows in self._folds(groups):
            parts = self._fit_parts(described[fit_rows], groups[fit_rows])
            maps, scores = self._score(described[held_rows], groups[held_rows], parts)
            held = np.zeros((len(good), scores.shape[1])) if held is None else held
            held[held_rows], peaks[held_rows] = scores, maps.max(axis=(1, 2))
            cells.append(maps[maps > maps.min(axis=(1, 2), keepdims=True)])  # without padding and unread borders
        self.map_centre_, self.map_spread_ = _centre_and_spread(np.concatenate(cells))
        self.parts_ = self._fit_parts(described, groups)
        self.centre_, self.spread_ = held.mean(axis=0), np.maximum(held.std(axis=0), SMALLEST_SPREAD)
        self.held_scores_ = self._join(held)
        self.threshold_ = float(np.quantile(self.held_scores_, self.options.quantile))
        self.scale_ = float(max(self.held_scores_.std(), SMALLEST_SPREAD))
        self.level_ = float(max(np.quantile(peaks, self.options.quantile), SMALLEST_SPREAD))
        return self

    def heat_maps(self, samples: Samples) -> np.ndarray:
        """(N, h, w) float32 distances from what is good; few good pictures have a cell above `level_`."""
        return self.maps_and_scores(samples)[0]

    def image_scores(self, samples: Samples) -> np.ndarray:
        """(N,) in spreads of the held-out good pictures around their mean; above `threshold_` is a defect."""
        return self.maps_and_scores(samples)[1]

    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) (score - threshold) / spread: 0 at the threshold. Monotone, not calibrated: no defect was seen."""
        return (self.image_scores(samples) - self.threshold_) / self.scale_

    def save_state(self, folder: Path) -> None:
        """Write one_class.json and one_class.safetensors, and what the subclass needs to describe pictures."""
        names = ("threshold_", "scale_", "level_", "map_centre_", "map_spread_")
        write_json(folder / STATE, {name: getattr(self, name) for name in names})
        arrays = {f"part_{name}": value for name, value in self.parts_.items()}
        arrays |= {"centre": self.centre_, "spread": self.spread_, "held_scores": self.held_scores_}
        save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, folder / ARRAYS)

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote.

        Raises:
            VerificationError: a file is missing.
        """
        if not (folder / ARRAYS).exists() or not (folder / STATE).exists():
            raise VerificationError(f"{folder / ARRAYS} is missing.", repair="Run `dvc repro` to train again.")
        for name, value in read_json(folder / STATE).items():
            setattr(self, name, float(value))
        arrays = load_file(folder / ARRAYS)
        self.centre_, self.spread_ = arrays.pop("centre"), arrays.pop("spread")
        self.held_scores_ = arrays.pop("held_scores")
        self.parts_ = {name.removeprefix("part_"): value for name, value in arrays.items()}

    def _start(self, size_px: int) -> None:
        """Before the first picture is described."""

    def maps_and_scores(self, samples: Samples) -> tuple[np.ndarray, np.ndarray]:
        """The maps and the joined scores, a batch at a time: descriptions are large."""
        images, groups = images_of(samples), np.asarray(samples.groups).astype(str)
        maps, scores = [], []
        for start in range(0, len(images), SCORE_BATCH_SIZE):
            rows = slice(start, start + SCORE_BATCH_SIZE)
            described = self._describe(images[rows], is_fit=False)
            found_maps, found_scores = self._score(described, groups[rows], self.parts_)
            maps.append(found_maps)
            scores.append(self._join(found_scores))
        if not maps:
            return np.zeros((0, 1, 1), dtype=np.float32), np.zeros(0)
        return np.concatenate(maps), np.concatenate(scores)

    def _score(
        self, described: np.ndarray, groups: np.ndarray, parts: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """(N, h, w) maps and (N, K) scores, that of the map first."""
        maps = [
            self._distance_maps(described[row : row + SCORE_BATCH_SIZE], groups[row : row + SCORE_BATCH_SIZE], parts)
            for row in range(0, len(described), SCORE_BATCH_SIZE)
        ]
        maps = np.concatenate(maps)
        smoothed = finish_maps(maps, self.options.smoothing_cells, self.options.border_cells)
        fraction = self.options.top_fraction if self.options.score == "top_mean" else 0.0
        local = map_scores(smoothed, fraction, num_cells=np.isfinite(maps).sum(axis=(1, 2)))
        return smoothed, np.column_stack([local, self._picture_scores(described, parts)])

    def _join(self, scores: np.ndarray) -> np.ndarray:
        """(N,) mean of the (N, K) scores in spreads of the held-out good pictures."""
        return ((scores - self.centre_) / self.spread_).mean(axis=1)


def good_rows(samples: Samples, *, use_unlabelled: bool) -> Samples:
    """The rows of class 0 with a positive weight, and unlabelled ones where they count as good.

    Raises:
        BadParamsError: fewer than four, or pictures of several sizes.
    """
    is_good = samples.labels == 0
    if use_unlabelled:
        is_good |= ~samples.is_labelled
    good = samples.take(is_good & (samples.weights > 0))
    if len(good) < 4:
        raise BadParamsError(
            f"There are {len(good)} good pictures (class 0) to learn from, expected 4 or more.",
            repair="Raise the label budget, add pictures of good parts, or set use_unlabelled: true.",
        )
    shapes = {image.pixels.shape for image in images_of(good)}
    if len(shapes) > 1:
        raise BadParamsError(
            f"The pictures have {len(shapes)} shapes: {sorted(shapes)[:3]}.", repair="Give all one size in `image`."
        )
    return good


def good_folds(groups: np.ndarray, num_folds: int, *, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(fit rows, held rows): whole groups are held out; single rows where all are of one group."""
    names, members = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        names, members = np.arange(len(groups)), np.arange(len(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    folds = [np.isin(members, part) for part in np.array_split(order, min(num_folds, len(names)))]
    return [(np.flatnonzero(~is_held), np.flatnonzero(is_held)) for is_held in folds]


def finish_maps(maps: np.ndarray, smoothing_cells: float, border_cells: int) -> np.ndarray:
    """(N, h, w) float32, smoothed; cells at the border take the picture's least value, so that they never count.

    So do cells that are NaN, of padding.
    """
    maps = np.asarray(maps, dtype=np.float32)
    if np.isnan(maps).any():
        maps = np.where(np.isnan(maps), np.nanmin(maps, axis=(1, 2), keepdims=True), maps)
    if smoothing_cells > 0:
        maps = gaussian_filter(maps, (0, smoothing_cells, smoothing_cells), mode="nearest")
    width = min(border_cells, (min(maps.shape[1:]) - 1) // 2)
    if width > 0:
        inside = maps[:, width:-width, width:-width]
        framed = np.broadcast_to(inside.min(axis=(1, 2), keepdims=True), maps.shape).copy()
        framed[:, width:-width, width:-width] = inside
        maps = framed
    return maps


def map_scores(maps: np.ndarray, top_fraction: float, num_cells: np.ndarray | None = None) -> np.ndarray:
    """(N,) mean of the largest `top_fraction` of each (h, w) map's cells, at least one: 0 gives the maximum.

    num_cells (N,): how many cells a picture has without its padding; all by default.
    """
    flat = -np.sort(-maps.reshape(len(maps), -1).astype(float), axis=1)
    cells = np.full(len(flat), flat.shape[1]) if num_cells is None else num_cells
    count = np.maximum(1, np.rint(top_fraction * cells)).astype(int)
    return np.array([row[:kept].mean() for row, kept in zip(flat, count, strict=True)])


def _centre_and_spread(cells: np.ndarray) -> tuple[float, float]:
    """Median and deviation of cells; 0 and the smallest spread of none."""
    if not len(cells):
        return 0.0, SMALLEST_SPREAD
    return float(np.median(cells)), float(max(cells.std(), SMALLEST_SPREAD))


def as_options(kind: type, told: Any) -> Any:
    """Those fields of `told` that the dataclass `kind` has."""
    return kind(**{name: getattr(told, name) for name in kind.__dataclass_fields__})
