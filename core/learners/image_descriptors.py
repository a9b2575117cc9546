"""A picture as a row of numbers: pooled statistics of a frozen backbone's maps, averaged over views, cached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from core.backbones.engine import Engine, Progress, choose_engine
from core.backbones.image import ImageBackbone
from core.data.feature_cache import FeatureCache
from core.errors import BadInputError
from core.images.image import Image, stack_pixels
from core.images.views import apply_view, num_views
from core.learners.descriptor_options import DescriptorOptions

IMAGES_AT_ONCE_PIXELS = 64 * 320 * 320
MIN_CACHED_IMAGES = 8  # a picture costs more than a small file; single ones, as predict gets them, leave none


def describe(
    images: Sequence[Image],
    backbone: ImageBackbone,
    options: DescriptorOptions,
    *,
    precision: str = "auto",
    cache: FeatureCache | None = None,
    say: Callable[[str], None] | None = print,
) -> np.ndarray:
    """(N, P) float32; columns stage by stage, in it statistic by statistic, in it channel by channel.

    Equal pictures are encoded once, and not again while the cache has them. precision: see `choose_engine`.

    Raises:
        BadParamsError: no such stage.
        BadInputError: a picture is missing, or not `num_tiles` squares a side.
    """
    backbone.check_stages(options.stages)
    missing = [row for row, image in enumerate(images) if image is None]
    if missing:
        raise BadInputError(f"{len(missing)} rows have no picture, the first is row {missing[0]}.")
    found = np.zeros((len(images), num_descriptors(backbone, options)), dtype=np.float32)
    for shape in sorted({tuple(image.pixels.shape) for image in images}):
        rows = [row for row, image in enumerate(images) if image.pixels.shape == shape]
        if shape[0] % options.num_tiles or shape[0] != shape[1]:
            raise BadInputError(
                f"A picture of {shape[0]} x {shape[1]} px cannot be cut into {options.num_tiles} squares a side.",
                repair="Set num_tiles of the learner as in the domain's image section.",
            )
        engine = choose_engine(backbone, shape[0] // options.num_tiles, precision=precision)
        by_digest = {images[row].digest: images[row] for row in rows}
        found[rows] = (cache or FeatureCache(min_rows=MIN_CACHED_IMAGES)).get(
            backbone.weights_id,
            _transform(backbone, options, engine),
            [images[row].digest for row in rows],
            lambda digests, known=by_digest, engine=engine: describe_anew(
                [known[digest] for digest in digests], engine, options, say=say
            ),
        )
    return found


def describe_anew(
    images: Sequence[Image], engine: Engine, options: DescriptorOptions, *, say: Callable[[str], None] | None = None
) -> np.ndarray:
    """(N, P) float32 of pictures of one size, without a cache; `say` gets a line about every ten seconds."""
    if not images:
        return np.zeros((0, num_descriptors(engine.backbone, options)), dtype=np.float32)
    size = max(1, IMAGES_AT_ONCE_PIXELS // images[0].pixels[..., 0].size)
    progress, rows = Progress(len(images), say), []
    for start in range(0, len(images), size):
        pixels = stack_pixels(images[start : start + size])
        views = range(num_views(options.views))
        of_views = [_describe_pixels(apply_view(pixels, options.views, view), engine, options) for view in views]
        row = np.mean(of_views, axis=0, dtype=np.float64).astype(np.float32)
        rows.append(np.sign(row) * np.sqrt(np.abs(row)) if options.use_signed_root else row)
        progress.tell(min(start + size, len(images)))
    return np.concatenate(rows)


def descriptor_columns(backbone: ImageBackbone, options: DescriptorOptions) -> list[tuple[int, str, int]]:
    """(stage, statistic, channel) of each column."""
    return [
        (stage, statistic, channel)
        for stage, channels in zip(options.stages, channels_after(backbone, options.stages), strict=True)
        for statistic in options.statistics
        for channel in range(channels)
    ]


def num_descriptors(backbone: ImageBackbone, options: DescriptorOptions) -> int:
    """P, the columns of a descriptor."""
    return len(options.statistics) * sum(channels_after(backbone, options.stages))


def channels_after(backbone: ImageBackbone, stages: Sequence[int]) -> list[int]:
    """Channels of the maps after those numbers of stages."""
    known = _channels(backbone.model_name)
    if not known:
        pixels = np.zeros((1, 64, 64, 3), dtype=np.uint8)
        maps = Engine(backbone).maps(pixels, range(1, backbone.num_stages + 1))
        known.extend(of_stage.shape[1] for of_stage in maps)
    return [known[stage - 1] for stage in stages]


@lru_cache(maxsize=64)
def _channels(model_name: str) -> list[int]:
    """Filled at the first use of a model."""
    return []


def pooled_statistics(maps: Tensor, statistics: Sequence[str], *, top_fraction: float = 0.05) -> Tensor:
    """(N, len(statistics) * C) of maps (N, C, L): over L, as `DescriptorOptions` tells; std is the population's."""
    found = []
    for statistic in statistics:
        if statistic == "mean":
            found.append(maps.mean(dim=2))
        elif statistic == "max":
            found.append(maps.amax(dim=2))
        elif statistic == "std":
            found.append(maps.std(dim=2, correction=0))
        elif statistic == "skew":
            moment = (maps - maps.mean(dim=2, keepdim=True)).pow(3).mean(dim=2)
            found.append(moment.sign() * moment.abs().pow(1 / 3))
        else:
            num_top = max(1, round(top_fraction * int(maps.shape[2])))  # a trace hands sizes out as tensors
            extreme = maps.topk(num_top, dim=2, largest=statistic == "top", sorted=False).values
            found.append(extreme.mean(dim=2))
    return torch.cat(found, dim=1)


def cut_tiles(pixels: np.ndarray, num_tiles: int) -> np.ndarray:
    """(N * T * T, s, s, C) of (N, T * s, T * s, C): a picture's tiles follow each other, row by row."""
    num, side, _, channels = pixels.shape
    size = side // num_tiles
    tiles = pixels.reshape(num, num_tiles, size, num_tiles, size, channels).swapaxes(2, 3)
    return tiles.reshape(num * num_tiles**2, size, size, channels)


def _describe_pixels(pixels: np.ndarray, engine: Engine, options: DescriptorOptions) -> np.ndarray:
    """(N, P) of one view; all tiles of a picture are one area, so every statistic is exact."""
    num_each = options.num_tiles**2
    tiles = np.ascontiguousarray(cut_tiles(pixels, options.num_tiles))
    held: list[list[Tensor]] = [[] for _ in options.stages]  # maps of pictures whose last tile is still to come
    rows = []
    for _, maps in engine.map_batches(tiles, options.stages):
        for of_stage, new in zip(held, maps, strict=True):
            of_stage.append(new)
        joined = [torch.cat(of_stage) for of_stage in held]
        num_whole = len(joined[0]) // num_each
        if num_whole:
            rows.append(_pool([maps[: num_whole * num_each] for maps in joined], num_each, options))
        held = [[maps[num_whole * num_each :]] for maps in joined]
    return torch.cat(rows).numpy()


def _pool(maps: Sequence[Tensor], num_each: int, options: DescriptorOptions) -> Tensor:
    """(N, P) of maps (N * num_each, C, h, w) of each stage."""
    areas = [
        of_stage.flatten(2).unflatten(0, (-1, num_each)).transpose(1, 2).flatten(2)  # (N, C, num_each * h * w)
        for of_stage in maps
    ]
    pooled = [pooled_statistics(area, options.statistics, top_fraction=options.top_fraction) for area in areas]
    return torch.cat(pooled, dim=1)


def _transform(backbone: ImageBackbone, options: DescriptorOptions, engine: Engine) -> str:
    """All but weights and pixels that decides a descriptor; fp32, channels_last and fused agree but for rounding."""
    has_extreme = {"top", "bottom"} & set(options.statistics)
    top = f" top={options.top_fraction}" if has_extreme else ""
    top += " signed_root" if options.use_signed_root else ""
    return (
        f"image {backbone.model_name} stages={options.stages} statistics={options.statistics}{top} "
        f"views={options.views} tiles={options.num_tiles} {'bf16' if engine.precision == 'bf16' else 'exact'}"
    )
