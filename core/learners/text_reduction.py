"""Free texts as a few numeric columns: principal components of their embeddings, so that trees can read them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from safetensors.numpy import load_file, save_file
from sklearn.decomposition import PCA

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.data.table_schema import Feature
from core.learners.text_embeddings import TextEmbedder, load_weights_reference, save_weights_reference
from core.learners.text_inputs import texts_of

PREFIX = "_text_"


@dataclass(frozen=True)
class TextReduction:
    """mean: (D,). components: (K, D), rows orthonormal. names: the text columns. Rows without text get NaN."""

    embedder: TextEmbedder
    names: list[str]
    mean: np.ndarray
    components: np.ndarray

    @classmethod
    def fit(cls, embedder: TextEmbedder, names: list[str], samples: Samples, *, num_components: int) -> Self:
        """The components with the most variance among the rows that have a text; none when fewer than two have."""
        texts = [text for text in texts_of(samples, "text", names) if text]
        embeddings = embedder.embed(texts).astype(float) if len(texts) > 1 else np.zeros((0, 1))
        num_components = max(0, min(num_components, len(embeddings) - 1, embeddings.shape[1]))
        if num_components == 0:
            return cls(embedder, names, np.zeros(0), np.zeros((0, 0)))
        fitted = PCA(num_components, svd_solver="covariance_eigh").fit(embeddings)
        return cls(embedder, names, fitted.mean_, fitted.components_)

    @property
    def component_names(self) -> list[str]:
        """Names of the numeric columns."""
        return [f"{PREFIX}{position + 1}" for position in range(len(self.components))]

    def widen(self, samples: Samples) -> Samples:
        """The same rows with the components as further number features."""
        texts = texts_of(samples, "text", self.names)
        has_text = np.array([bool(text) for text in texts], dtype=bool)
        values = np.full((len(samples), len(self.components)), np.nan)
        if has_text.any() and len(self.components):
            embeddings = self.embedder.embed([text for text in texts if text]).astype(float)
            values[has_text] = (embeddings - self.mean) @ self.components.T
        frame = samples.inputs.assign(**dict(zip(self.component_names, values.T, strict=True)))
        features = [
            Feature(name, "number", meaning=f"Component {position + 1} of the free text")
            for position, name in enumerate(self.component_names)
        ]
        return samples.with_inputs(frame, samples.schema.with_features(features))

    def save(self, folder: Path) -> None:
        """Write the arrays and the backbone's SHA-256."""
        folder.mkdir(parents=True, exist_ok=True)
        save_weights_reference(self.embedder.weights, folder)
        write_json(folder / "text_reduction.json", {"names": self.names, "max_length": self.embedder.max_length})
        save_file(
            {"mean": np.ascontiguousarray(self.mean), "components": np.ascontiguousarray(self.components)},
            folder / "text_reduction.safetensors",
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        state = read_json(folder / "text_reduction.json")
        embedder = TextEmbedder(load_weights_reference(folder), max_length=state["max_length"])
        arrays = load_file(folder / "text_reduction.safetensors")
        return cls(embedder, state["names"], arrays["mean"], arrays["components"])
