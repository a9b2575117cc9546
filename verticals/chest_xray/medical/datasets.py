"""A domain's radiographs as a MONAI dataset with MONAI transforms, for those who train with loops of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.samples import Samples
from core.errors import BadParamsError
from core.images.image import images_of

if TYPE_CHECKING:
    from monai.data import Dataset
    from monai.transforms import Compose

ARTIFACTS = "artifacts"


def monai_dataset(
    samples: Samples,
    cache_folder: Path | None = None,
    transforms: Sequence[Callable] | None = None,
    *,
    cache_fraction: float = 1.0,
) -> Dataset:
    """MONAI's PersistentDataset on `cache_folder`, or its CacheDataset in memory where there is no folder.

    An item: image (C, S, S) float32 tensor, label (float32; NaN where it is unknown or masked), weight, name, domain
    and group. transforms: None means `evaluation_transforms()`; each gets the item with image (S, S, C) uint8 first.
    What comes before the first random transform is computed once; the rest every time. cache_fraction: share of the
    rows that are kept in memory.

    PersistentDataset writes its cache by torch.save, which is a pickle. It is a cache only, never an artifact: use a
    folder that may be deleted at any time. Files are read with weights_only=True, so one that holds code is not run.

    Raises:
        BadParamsError: the cache folder lies inside `artifacts`.
    """
    from monai.data import CacheDataset, PersistentDataset
    from monai.data.utils import pickle_hashing
    from monai.transforms import Compose

    chain = evaluation_transforms() if transforms is None else Compose(list(transforms))
    items = as_items(samples)
    if cache_folder is None:
        return CacheDataset(items, chain, cache_rate=cache_fraction, num_workers=None, progress=False)
    folder = Path(cache_folder)
    if ARTIFACTS in folder.resolve().parts:
        raise BadParamsError(
            f"{folder} lies inside '{ARTIFACTS}', and MONAI's cache holds pickles.",
            repair="Choose a temporary folder or one below the user's cache.",
        )
    return PersistentDataset(items, chain, folder, hash_transform=pickle_hashing, track_meta=False, weights_only=True)


def as_items(samples: Samples) -> list[dict[str, Any]]:
    """A dictionary a row, as MONAI's transforms take it: image (S, S, C) uint8, label, weight, name, domain, group.

    Numbers are Python's: a NumPy scalar in a cache file would not be read with weights_only.
    """
    groups = samples.sample_ids if samples.groups is None else samples.groups
    return [
        {
            "image": np.asarray(image.pixels),
            "label": float(label),
            "weight": float(weight),
            "name": str(name),
            "domain": str(domain),
            "group": str(group),
        }
        for image, label, weight, name, domain, group in zip(
            images_of(samples),
            samples.labels,
            samples.weights,
            samples.sample_ids,
            samples.domains,
            groups,
            strict=True,
        )
    ]


def evaluation_transforms() -> Compose:
    """Channels first, each picture's own range scaled to 0..1, a tensor; nothing is random."""
    from monai.transforms import Compose

    return Compose(_deterministic())


def training_transforms(*, seed: int) -> Compose:
    """As `evaluation_transforms`, then small shifts, turns and sizes, noise, blur and contrast, drawn from the seed.

    No mirror images: the heart is on the left, and a marker's letters would be reversed.
    """
    from monai.transforms import Compose, RandAdjustContrastd, RandAffined, RandGaussianNoised, RandGaussianSmoothd

    random = [
        RandAffined(
            "image",
            prob=0.8,
            rotate_range=np.deg2rad(7),
            scale_range=(0.08, 0.08),
            translate_range=(8, 8),
            mode="bilinear",
            padding_mode="border",
        ),
        RandAdjustContrastd("image", prob=0.3, gamma=(0.7, 1.4)),
        RandGaussianSmoothd("image", prob=0.1, sigma_x=(0.3, 1.0), sigma_y=(0.3, 1.0)),
        RandGaussianNoised("image", prob=0.3, mean=0.0, std=0.02),
    ]
    chain = Compose([*_deterministic(), *random])
    chain.set_random_state(seed=seed)
    return chain


def _deterministic() -> list[Callable]:
    from monai.transforms import EnsureChannelFirstd, EnsureTyped, ScaleIntensityd

    return [
        EnsureChannelFirstd("image", channel_dim=-1),
        ScaleIntensityd("image", minv=0.0, maxv=1.0),
        EnsureTyped(("image", "label", "weight"), track_meta=False),
    ]
