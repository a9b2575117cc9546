"""Local descriptors of pictures: stage maps of a frozen backbone, one vector a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy.ndimage import gaussian_filter

from core.images.fitting import inner_box
from core.images.image import Image, stack_pixels
from core.images.views import Views, apply_view, num_views
from core.strict import STRICT

if TYPE_CHECKING:
    from torch import Tensor

    from core.backbones.engine import Engine
    from core.backbones.image import ImageBackbone

MAX_FIT_CELLS = 60_000  # a covariance of some hundred channels gains nothing from more
DESCRIBE_BATCH_SIZE = 16
LOCAL_SIGMA_FRACTION = 0.07  # of the picture's side: larger than a defect, smaller than a shadow
DARKEST_SPREAD = 5.0  # grey values; flat pictures are not blown up


@dataclass(frozen=True, config=STRICT)
class LocalFeatureOptions:
    """backbone: a packaged name, a checkpoint or a hub id; model: timm's name of it where that is told nowhere.

    scratch_seed: random weights of this seed instead. stages: numbers of stages after which maps are read; the deeper
    ones are scaled up to the largest. neighbourhood: side in cells of the square each cell is averaged over.
    illumination: `standardise` gives pictures one mean and spread; `local` evens out shadows, too.
    scaling of channels, fitted on good pictures: `none`, `standardise`, or `whiten` (then the distance is
    Mahalanobis-like). num_components: of the whitening; None keeps all. precision: see `choose_engine`.
    """

    backbone: str = "efficientnet_lite0"
    model: str = ""
    scratch_seed: int | None = None
    stages: tuple[int, ...] = (7,)
    neighbourhood: Literal[1, 3, 5, 7, 9] = 3
    illumination: Literal["none", "standardise", "local"] = "standardise"
    scaling: Literal["none", "standardise", "whiten"] = "whiten"
    num_components: int | None = Field(default=None, ge=1)
    precision: Literal["auto", "fp32", "channels_last", "bf16"] = "auto"


@lru_cache(maxsize=2)
def load_backbone(name: str, model: str, scratch_seed: int | None) -> ImageBackbone:
    """The frozen backbone, kept in memory. Shared: it must not be trained.

    Raises:
        BadParamsError, MissingArtifactError, OfflineError, VerificationError: as ImageBackbone.load.
    """
    from core.backbones.image import ImageBackbone

    return ImageBackbone.load(name, model=model, scratch_seed=scratch_seed).requires_grad_(False)


def describe_cells(
    images: Sequence[Image],
    engine: Engine,
    options: LocalFeatureOptions,
    *,
    views: Views = "none",
    image_fit: str = "squash",
) -> np.ndarray:
    """(N, V, h, w, D) float16 descriptors of each view of each picture; NaN in cells of the padding.

    image_fit: how pictures were brought to the square; padding does not count for the illumination either.

    Source: Roth et al. 2022, "Towards total recall in industrial anomaly detection", eq. 1-3, with the mean as their
    aggregation and bilinear scaling of deeper maps.
    """
    found = []
    for start in range(0, len(images), DESCRIBE_BATCH_SIZE):
        batch = images[start : start + DESCRIBE_BATCH_SIZE]
        pixels = stack_pixels(batch)
        is_inside = None if image_fit == "squash" else inside_cells(batch, pixels.shape[1], image_fit)
        pixels = even_illumination(pixels, options.illumination, is_inside)
        turned = [np.ascontiguousarray(apply_view(pixels, views, view)) for view in range(num_views(views))]
        parts = [join_maps(engine.maps(one, options.stages), options.neighbourhood) for one in turned]
        if is_inside is not None:
            shown = inside_cells(batch, parts[0].shape[1], image_fit)[..., None]
            for view, part in enumerate(parts):
                part[~apply_view(shown, views, view)[..., 0]] = np.nan
        found.append(np.stack(parts, axis=1))
    return np.concatenate(found)


def inside_cells(images: Sequence[Image], num_cells: int, image_fit: str) -> np.ndarray:
    """(N, h, h) bool of a square of h = num_cells: true where at least half a cell shows the picture, not padding."""
    edges = np.arange(num_cells + 1) / num_cells
    found = []
    for image in images:
        side = image.pixels.shape[0]
        top, left, height, width = inner_box(image, image_fit)
        shown = []
        for start, length in ((top, height), (left, width)):
            low, high = start / side, (start + length) / side
            overlap = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
            shown.append(overlap >= overlap.max() / 2)  # a picture smaller than a cell keeps one
        found.append(shown[0][:, None] & shown[1][None])
    return np.stack(found)


def join_maps(maps: Sequence[Tensor], neighbourhood: int) -> np.ndarray:
    """(N, h, w, D) float16 of maps (N, C, h', w'): each averaged over its neighbourhood, then scaled to the largest.

    Cells outside the picture do not count in the mean at its border.
    """
    from torch import cat
    from torch.nn.functional import avg_pool2d, interpolate

    if neighbourhood > 1:
        near = neighbourhood // 2
        maps = [avg_pool2d(one, neighbourhood, stride=1, padding=near, count_include_pad=False) for one in maps]
    size = max((tuple(one.shape[-2:]) for one in maps), key=lambda shape: shape[0] * shape[1])
    even = [
        one if tuple(one.shape[-2:]) == size else interpolate(one, size=size, mode="bilinear", align_corners=False)
        for one in maps
    ]
    return cat(even, dim=1).permute(0, 2, 3, 1).half().numpy()


def even_illumination(pixels: np.ndarray, kind: str, is_inside: np.ndarray | None = None) -> np.ndarray:
    """(N, S, S, C) uint8: `standardise` to mean 128 and deviation 51, `local` about a blurred neighbourhood.

    is_inside (N, S, S): pixels whose mean and spread `standardise` reads; all by default.
    """
    if kind == "none":
        return pixels
    values = pixels.astype(np.float32)
    if kind == "standardise":
        counted = True if is_inside is None else is_inside[..., None]
        centre = values.mean(axis=(1, 2, 3), keepdims=True, where=counted)
        spread = values.std(axis=(1, 2, 3), keepdims=True, where=counted)
        deviation = 51.0
    else:
        sigma = LOCAL_SIGMA_FRACTION * pixels.shape[1]
        centre = gaussian_filter(values, (0, sigma, sigma, 0))
        spread = np.sqrt(gaussian_filter((values - centre) ** 2, (0, sigma, sigma, 0)))
        deviation = 38.0
    return np.clip(127.5 + deviation * (values - centre) / (spread + DARKEST_SPREAD), 0, 255).astype(np.uint8)


def fit_scaling(cells: np.ndarray, options: LocalFeatureOptions, *, seed: int) -> dict[str, np.ndarray]:
    """Scaling of (M, D) cells: `scaling_centre` (D,), `scaling_weight` (D, K) or (D,); empty without scaling.

    Whitening: z = V (x - m) / s with V the eigenvectors of the correlation over the roots of their eigenvalues, to
    which a hundredth of the mean is added, so that directions without spread are not blown up.
    """
    if options.scaling == "none":
        return {}
    cells = sample_rows(cells, MAX_FIT_CELLS, seed=seed).astype(np.float32)
    centre, spread = cells.mean(axis=0), cells.std(axis=0) + 1e-6
    if options.scaling == "standardise":
        return {"scaling_centre": centre, "scaling_weight": (1.0 / spread).astype(np.float32)}
    standard = (cells - centre) / spread
    values, vectors = np.linalg.eigh((standard.T @ standard / len(standard)).astype(np.float64))
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    kept = min(options.num_components or len(values), len(values))
    weight = vectors[:, :kept] / np.sqrt(values[:kept] + 1e-2 * values.mean()) / spread[:, None]
    return {"scaling_centre": centre, "scaling_weight": weight.astype(np.float32)}


def apply_scaling(cells: np.ndarray, parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """(M, K) float32 cells, scaled as `fit_scaling` found."""
    cells = cells.astype(np.float32)
    if "scaling_centre" not in parts:
        return cells
    weight = parts["scaling_weight"]
    cells -= parts["scaling_centre"]
    return cells * weight if weight.ndim == 1 else cells @ weight


def sample_rows(rows: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """At most `count` of the rows, drawn without replacement."""
    if len(rows) <= count:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), count, replace=False))]
