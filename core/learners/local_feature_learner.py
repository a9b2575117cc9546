"""One-class learners that compare cells of a frozen backbone's maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from core.artifacts import read_json, write_json
from core.images.image import Image
from core.images.views import Views
from core.learners.local_features import (
    LocalFeatureOptions,
    apply_scaling,
    describe_cells,
    fit_scaling,
    load_backbone,
)
from core.learners.one_class import OneClassLearner, as_options

PRECISION = "precision.json"


class BackboneOneClassLearner(OneClassLearner):
    """Loads, saves and finds again the frozen `backbone_` of its options (backbone, model, scratch_seed)."""

    def _start(self, size_px: int) -> None:
        options = self.options
        self.backbone_ = load_backbone(options.backbone, options.model, options.scratch_seed)
        self.backbone_.check_stages(options.stages)

    def save_state(self, folder: Path) -> None:
        """As the base, and the reference of the backbone."""
        super().save_state(folder)
        self.backbone_.save_reference(folder)

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote.

        Raises:
            MissingArtifactError, OfflineError, VerificationError: a file or the backbone is not there or another.
        """
        from core.backbones.image import ImageBackbone

        super().load_state(folder)
        self.backbone_ = ImageBackbone.load_reference(folder).requires_grad_(False)


class LocalFeatureLearner(BackboneOneClassLearner):
    """Describes pictures as (N, V, h, w, D) cells of V views; only the first view is scored.

    Fitted state: `precision_`, in which the backbone runs from then on: distances of another are not the same.
    """

    def _start(self, size_px: int) -> None:
        from core.backbones.engine import choose_engine

        super()._start(size_px)
        self.precision_ = choose_engine(self.backbone_, size_px, precision=self.options.precision).precision

    def save_state(self, folder: Path) -> None:
        """As the base, and the precision."""
        super().save_state(folder)
        write_json(folder / PRECISION, {"precision": self.precision_})

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote.

        Raises:
            MissingArtifactError, OfflineError, VerificationError: a file or the backbone is not there or another.
        """
        super().load_state(folder)
        self.precision_ = read_json(folder / PRECISION)["precision"]

    def _views(self) -> Views:
        """The views of a good picture that are learned."""
        return "none"

    def _describe(self, images: Sequence[Image], *, is_fit: bool) -> np.ndarray:
        from core.backbones.engine import Engine

        local = as_options(LocalFeatureOptions, self.options)
        engine = Engine(self.backbone_, self.precision_)
        return describe_cells(images, engine, local, views=self._views() if is_fit else "none")

    def _fit_scaling(self, described: np.ndarray) -> dict[str, np.ndarray]:
        """The scaling of channels."""
        return fit_scaling(_flat(described), as_options(LocalFeatureOptions, self.options), seed=self.seed)

    @staticmethod
    def _scaled(described: np.ndarray, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """(N, V, h, w, K) float32."""
        return apply_scaling(_flat(described), parts).reshape(*described.shape[:-1], -1)


def _flat(described: np.ndarray) -> np.ndarray:
    return described.reshape(-1, described.shape[-1])
