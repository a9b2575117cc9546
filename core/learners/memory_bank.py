"""A memory bank of good cells: the distance to the nearest of them is the anomaly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.images.image import Image
from core.images.views import Views
from core.learners.base import LEARNERS
from core.learners.coreset import greedy_coreset, random_coreset
from core.learners.gaussian_distance import fit_gaussian, mahalanobis
from core.learners.local_feature_learner import LocalFeatureLearner
from core.learners.local_features import LocalFeatureOptions, apply_scaling, describe_cells, sample_rows
from core.learners.one_class import OneClassOptions, as_options, good_folds
from core.strict import STRICT

DISTANCE_BATCH_SIZE = 4096
GLOBAL_SHRINKAGE = 0.3  # there are fewer pictures than channels
SMALLEST_DISTANCE = 1e-6
NUM_EDGE_STEPS = 3  # distances of a cell to the nearest edge that are told apart: 0, 1, 2 or more


@dataclass(frozen=True, config=STRICT)
class MemoryBankOptions(OneClassOptions, LocalFeatureOptions):
    """bank_size: cells kept. coreset: `greedy` spreads them, `random` draws them. max_candidates: cells drawn before
    the greedy choice, whose time is bank_size times candidates. num_neighbours: whose mean distance counts.

    views: of good pictures that enter the bank, where they are legal (`flips` doubles a symmetric part's evidence).
    use_global: a second score tells how unusual the picture's mean and deviation of channels are.
    use_border_bins: cells near an edge are judged by how far good cells that near an edge lie (the network sees beyond
    the picture there). image_fit: as `fit` of the domain's image; padding is neither learnt nor scored.
    """

    bank_size: int = Field(default=4000, ge=1)
    coreset: Literal["greedy", "random"] = "greedy"
    max_candidates: int = Field(default=40_000, ge=1)
    projection_dim: int = Field(default=64, ge=1)
    num_neighbours: int = Field(default=3, ge=1)
    views: Views = "none"
    use_global: bool = False
    use_border_bins: bool = False
    image_fit: Literal["squash", "pad", "native"] = "squash"


@LEARNERS.register("memory_bank")
class MemoryBank(LocalFeatureLearner):
    """Distances of cells to the nearest cells of good pictures, wherever those lie.

    Source: Roth et al. 2022, "Towards total recall in industrial anomaly detection" (PatchCore), section 3, without
    the re-weighting of eq. 7 and with the channels whitened first.
    """

    Options = MemoryBankOptions

    def _views(self) -> Views:
        return self.options.views

    def _describe(self, images: Sequence[Image], *, is_fit: bool) -> np.ndarray:
        from core.backbones.engine import Engine

        local, views = as_options(LocalFeatureOptions, self.options), self._views() if is_fit else "none"
        engine = Engine(self.backbone_, self.precision_)
        return describe_cells(images, engine, local, views=views, image_fit=self.options.image_fit)

    def _fit_parts(self, described: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
        parts = self._fit_bank(described)
        if not self.options.use_border_bins:
            return parts
        distances = np.empty(described.shape[:1] + described.shape[2:4], dtype=np.float32)
        for fit_rows, held_rows in good_folds(groups, 2, seed=self.seed):
            distances[held_rows] = self._distances(described[held_rows], self._fit_bank(described[fit_rows]))
        return parts | fit_border_bins(distances)

    def _fit_bank(self, described: np.ndarray) -> dict[str, np.ndarray]:
        options = self.options
        cells = described.reshape(-1, described.shape[-1])
        cells = cells[np.isfinite(cells[:, 0])]
        parts = self._fit_scaling(cells)
        if options.coreset == "greedy":
            cells = apply_scaling(sample_rows(cells, options.max_candidates, seed=self.seed), parts)
            chosen = greedy_coreset(cells, options.bank_size, seed=self.seed, projection_dim=options.projection_dim)
            bank = cells[chosen]
        else:
            bank = apply_scaling(cells[random_coreset(len(cells), options.bank_size, seed=self.seed)], parts)
        if options.use_global:
            centre, weight = fit_gaussian(_global_descriptor(described[:, 0]), GLOBAL_SHRINKAGE)
            parts |= {"global_centre": centre, "global_weight": weight}
        return parts | {"bank": bank}

    def _distance_maps(self, described: np.ndarray, groups: np.ndarray, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        distances = self._distances(described, parts)
        return apply_border_bins(distances, parts) if "border_centre" in parts else distances

    def _distances(self, described: np.ndarray, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """(N, h, w) float32 distances to the bank, NaN in padding."""
        cells = described[:, 0]
        is_inside = np.isfinite(cells[..., 0])
        found = np.full(is_inside.shape, np.nan, dtype=np.float32)
        scaled = apply_scaling(cells[is_inside], parts)
        found[is_inside] = nearest_distances(scaled, parts["bank"], self.options.num_neighbours)
        return found

    def _picture_scores(self, described: np.ndarray, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        if "global_centre" not in parts:
            return super()._picture_scores(described, parts)
        found = mahalanobis(_global_descriptor(described[:, 0]), parts["global_centre"], parts["global_weight"])
        return found[:, None]


def nearest_distances(rows: np.ndarray, bank: np.ndarray, num_neighbours: int = 1) -> np.ndarray:
    """(N,) float32 mean Euclidean distance of rows (N, D) to their nearest rows of the bank (M, D)."""
    import torch

    bank_rows = torch.as_tensor(bank)
    bank_squares, count = (bank_rows * bank_rows).sum(dim=1), min(num_neighbours, len(bank))
    found = []
    for start in range(0, len(rows), DISTANCE_BATCH_SIZE):
        part = torch.as_tensor(rows[start : start + DISTANCE_BATCH_SIZE])
        squares = torch.addmm(bank_squares[None], part, bank_rows.T, alpha=-2.0)
        nearest = squares.topk(count, dim=1, largest=False).values if count > 1 else squares.amin(1, keepdim=True)
        nearest = (nearest + (part * part).sum(dim=1, keepdim=True)).clamp_min(0.0).sqrt()
        found.append(nearest.mean(dim=1).numpy())
    return np.concatenate(found).astype(np.float32)


def border_bins(is_inside: np.ndarray) -> np.ndarray:
    """(N, h, w) int 0 to 8: 3 y + x with y, x the cells to the nearest edge of the picture's rectangle, at most 2."""
    steps = []
    for axis in (1, 2):
        before = np.cumsum(is_inside, axis=axis)
        after = np.flip(np.cumsum(np.flip(is_inside, axis), axis=axis), axis)
        steps.append(np.clip(np.minimum(before, after) - 1, 0, NUM_EDGE_STEPS - 1))
    return NUM_EDGE_STEPS * steps[0] + steps[1]


def fit_border_bins(distances: np.ndarray) -> dict[str, np.ndarray]:
    """`border_centre` and `border_spread` (9,): median and deviation of log distances of held-out good cells by bin.

    A bin without cells takes those of all.
    """
    is_inside = np.isfinite(distances)
    bins, logs = border_bins(is_inside)[is_inside], np.log(np.maximum(distances[is_inside], SMALLEST_DISTANCE))
    found = []
    for number in range(NUM_EDGE_STEPS**2):
        inside = logs[bins == number] if (bins == number).sum() > 1 else logs
        found.append((np.median(inside), inside.std() + SMALLEST_DISTANCE))
    centre, spread = np.array(found, dtype=np.float32).T.copy()
    return {"border_centre": centre, "border_spread": spread}


def apply_border_bins(distances: np.ndarray, parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N, h, w) softplus of the log distances in deviations of the good cells of their bin; NaN stays.

    Softplus keeps a distance positive and is a straight line where cells are odd.
    """
    bins = border_bins(np.isfinite(distances))
    logs = np.log(np.maximum(distances, SMALLEST_DISTANCE))
    with np.errstate(invalid="ignore"):  # of the NaN in padding
        return np.logaddexp(0.0, (logs - parts["border_centre"][bins]) / parts["border_spread"][bins])


def _global_descriptor(cells: np.ndarray) -> np.ndarray:
    """(N, 2 D) mean and deviation of the channels of (N, h, w, D) cells."""
    flat = cells.reshape(len(cells), -1, cells.shape[-1]).astype(np.float32)
    return np.concatenate([np.nanmean(flat, axis=1), np.nanstd(flat, axis=1)], axis=1)
