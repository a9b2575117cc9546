"""Frozen embeddings of texts: one forward pass ever, a saved reference instead of a copy of the weights."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.artifacts import read_json, write_json
from core.backbones.weights import Weights, resolve_weights
from core.data.feature_cache import FeatureCache

if TYPE_CHECKING:
    from core.backbones.text import TextBackbone

COPIED_SUFFIXES = {".safetensors", ".json", ".txt"}
REFERENCE, COPY = "backbone.json", "backbone"


class TextEmbedder:
    """Mean-pooled features of a frozen backbone, cached on disk."""

    def __init__(self, weights: Weights, *, max_length: int, cache: FeatureCache | None = None) -> None:
        self.weights, self.max_length = weights, max_length
        self.cache = cache or FeatureCache()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """(N, D) float32; equal texts are embedded once."""
        return self.cache.get(
            self.weights.sha256,
            f"text mean_pool max_length={self.max_length} float32",
            list(texts),
            lambda missing: load_backbone(self.weights, self.max_length).features(missing),
        )


@lru_cache(maxsize=2)
def load_backbone(weights: Weights, max_length: int) -> TextBackbone:
    """The backbone, kept in memory so that a warm process scores at once. Shared: it must not be trained."""
    from core.backbones.text import TextBackbone

    return TextBackbone.load(weights, max_length=max_length)


def save_weights_reference(weights: Weights, folder: Path) -> None:
    """Name and SHA-256; weights that only this machine has are copied beside, so that the artifact is complete."""
    write_json(
        folder / REFERENCE,
        {"name": weights.name, "sha256": weights.sha256, "is_copied": not weights.is_retrievable},
    )
    if not weights.is_retrievable:
        (folder / COPY).mkdir(parents=True, exist_ok=True)
        for path in sorted(weights.folder.iterdir()):
            if path.suffix in COPIED_SUFFIXES:
                shutil.copyfile(path, folder / COPY / path.name)


def load_weights_reference(folder: Path) -> Weights:
    """The weights of `save_weights_reference`, verified.

    Raises:
        MissingArtifactError, OfflineError: they cannot be found again.
        VerificationError: they are not the same.
    """
    reference = read_json(folder / REFERENCE)
    name = str(folder / COPY) if reference["is_copied"] else reference["name"]
    return resolve_weights(name, sha256=reference["sha256"])
