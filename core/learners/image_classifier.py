"""A pretrained image encoder with a linear head, moved by a strategy; what stays frozen is run once a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from core.artifacts import read_json, write_json
from core.data.samples import Samples
from core.errors import BadInputError, VerificationError
from core.images.image import Image, images_of
from core.images.views import Views
from core.learners.base import LEARNERS
from core.learners.binary_table import BinaryTableLearner, check_binary
from core.learners.image_tuning_options import JitterOptions, TuningRecipe
from core.learners.loop_options import LoopOptions
from core.params import STRICT
from core.strategies import STRATEGIES

if TYPE_CHECKING:
    from torch import Tensor

    from core.backbones.image import ImageBackbone
    from core.learners.image_inputs import ImageInputs
    from core.learners.image_model import ImageModel
    from core.strategies.base import Strategy

STATE, TENSORS = "image_classifier.json", "moved.safetensors"
DEFAULT_TRAINING = LoopOptions(epochs=20, batch_size=16, learning_rate=5e-4, schedule="cosine", patience=6)


@dataclass(frozen=True, config=STRICT)
class ImageClassifierOptions:
    """backbone: a packaged name, a folder, a hub id; with strategy `scratch` any timm name. strategy: what moves.

    views: mirrored and turned copies that keep the label, one drawn for each picture and epoch. test_views: the logit
    of a picture is the mean over these. jitter: of pixels; not where frozen stages' activations are kept.
    recipe: the loss, the balance of classes, mixup, adversarial training. use_soft_labels: learn the labellers' grades,
    not 0 or 1.
    keep_statistics: batch norms use the pretrained statistics also where weights move, safer with few labels.
    keep_activations: where leading stages are frozen, their output is kept on disk and never computed again.
    dropout: before the head, while training. checkpoint_folder: resume from there.
    """

    backbone: str = "efficientnet_lite0"
    strategy: str = "linear_probe"
    strategy_options: Mapping[str, Any] = Field(default_factory=dict)
    training: LoopOptions = Field(default_factory=lambda: DEFAULT_TRAINING)
    views: Views = "flips"
    test_views: Views = "none"
    jitter: JitterOptions = Field(default_factory=JitterOptions)
    recipe: TuningRecipe = Field(default_factory=TuningRecipe)
    use_soft_labels: bool = False
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    keep_statistics: bool = False
    keep_activations: bool = True
    checkpoint_folder: str | None = None


@LEARNERS.register("image_classifier")
class ImageClassifier(BinaryTableLearner):
    """Fitted state: `model_`, `moved_` (names), `first_` (buffers as loaded), `shape_`, `log_odds_`, `history_`.

    log_odds_: added to the model's, where it was trained on balanced classes.
    """

    Options = ImageClassifierOptions
    needs_torch = True

    def __init__(self, options: Mapping[str, Any] | Any | None = None, *, seed: int = 0) -> None:
        super().__init__(options, seed=seed)
        self._make_strategy()  # a typo stops before any work
        self.history_: list[dict[str, Any]] = []

    def fit(self, train: Samples, valid: Samples | None = None) -> Self:
        """Fit on the labelled rows; `valid` selects the epoch and stops the run early.

        Raises:
            BadParamsError: no labelled row, not two classes, or no image column.
            BadInputError: the pictures are not of one shape.
            MissingArtifactError, OfflineError, VerificationError: the backbone is not there or not what it claims.
        """
        return self._fit(check_binary(train), valid, prior=None, part="")

    def fit_prior(self, source: Samples, target: Samples) -> Self:
        """Fit on the source's labels; the target's rows are not needed.

        Raises:
            BadParamsError: no labelled source row, or not two classes.
        """
        return self._fit(check_binary(source), None, prior=None, part="prior")

    def continue_on(self, target: Samples, valid: Samples | None = None) -> Self:
        """A new learner that starts from this one's weights, head and batch statistics included.

        Raises:
            BadParamsError: no labelled target row, or not two classes.
        """
        grown = type(self)(self.options, seed=self.seed)
        return grown._fit(check_binary(target), valid, prior=self._moved_tensors(), part="continued")

    def predict_logits(self, samples: Samples) -> np.ndarray:
        """(N,) log-odds of class 1, the mean over the test views.

        Raises:
            BadInputError: the pictures are not of the shape that the model was trained on.
        """
        from core.learners.image_tuning import score

        images = self._read(samples)
        if not images:
            return np.zeros(0)
        logits = score(self.model_, self._inputs(self.model_.backbone, images, self.options.test_views)).astype(float)
        return logits[:, 1] - logits[:, 0] + self.log_odds_

    def save_state(self, folder: Path) -> None:
        """Write image_classifier.json, the tensors and batch statistics that moved, and where the backbone is."""
        from safetensors.torch import save_file

        state = {"shape": self.shape_, "log_odds": self.log_odds_, "history": self.history_}
        write_json(folder / STATE, state)
        save_file(self._moved_tensors(), folder / TENSORS)
        self._save_backbone(folder)

    def load_state(self, folder: Path) -> None:
        """Read what `save_state` wrote.

        Raises:
            MissingArtifactError, OfflineError: the backbone cannot be found again.
            VerificationError: the backbone or a file is not the one that was saved.
        """
        from safetensors.torch import load_file

        if not (folder / TENSORS).exists():
            raise VerificationError(f"{folder / TENSORS} is missing.", repair="Run `dvc repro` to train again.")
        state = read_json(folder / STATE)
        self.shape_, self.history_ = tuple(state["shape"]), state["history"]
        self.log_odds_ = state["log_odds"]
        self._prepare(self._load_saved_backbone(folder), load_file(folder / TENSORS))

    def _fit(self, labelled: Samples, valid: Samples | None, *, prior: Mapping[str, Tensor] | None, part: str) -> Self:
        from core.learners.image_tuning import TuningRows, prior_to_restore, tune

        options = self.options
        self.shape_ = np.asarray(images_of(labelled)[0].pixels).shape
        images = self._read(labelled)
        strategy, groups = self._prepare(self._load_backbone(options.backbone), prior)
        self.frozen_stages_ = strategy.frozen_stages
        backbone = self.model_.backbone
        needs_pixels = options.recipe.adversarial_epsilon > 0
        inputs = self._inputs(backbone, images, options.views, needs_pixels=needs_pixels)
        train = TuningRows(inputs, self._targets(labelled), labelled.weights)
        held = None
        if valid is not None and valid.num_labelled:
            rows = valid.labelled()
            held = TuningRows(self._inputs(backbone, self._read(rows), "none"), self._targets(rows), rows.weights)
        folder = Path(options.checkpoint_folder) / part if options.checkpoint_folder else None
        result = tune(
            self.model_,
            strategy,
            groups,
            options.training,
            options.recipe,
            train,
            held,
            seed=self.seed,
            checkpoint_folder=folder,
        )
        self.history_ = [{"step": row["epoch"] + 1, **row} for row in result.history]
        self.moved_ = result.moved
        self.log_odds_ = prior_to_restore(options.recipe, train)
        return self

    def _prepare(self, backbone: ImageBackbone, tensors: Mapping[str, Tensor] | None) -> tuple[Strategy, list]:
        """The model with its strategy's modules in place and, where told, the tensors of an earlier fit."""
        import torch

        from core.learners.image_model import ImageModel, put_tensors, statistics_of

        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            options = self.options
            self.model_: ImageModel = ImageModel(
                backbone, dropout=options.dropout, keep_statistics=options.keep_statistics
            )
            self.first_ = statistics_of(self.model_)
            strategy = self._make_strategy()
            groups = strategy.prepare(self.model_)
            self.frozen_stages_ = strategy.frozen_stages
        if tensors is not None:
            self.moved_ = put_tensors(self.model_, groups, tensors, self.first_)
            strategy.restart()
        self.model_.eval()
        return strategy, groups

    def _inputs(
        self, backbone: ImageBackbone, images: list[Image], views: str, *, needs_pixels: bool = False
    ) -> ImageInputs:
        """Pooled features of a frozen backbone, activations after its frozen stages, or pixels."""
        from core.learners.activation_cache import ActivationCache
        from core.learners.image_inputs import PixelInputs, kept_activations, kept_features

        if needs_pixels:
            return PixelInputs(images, backbone, views, self.options.jitter)
        if self.frozen_stages_ == len(backbone.stages()):
            return kept_features(images, backbone, views)
        if self.frozen_stages_ and self.options.keep_activations:
            kept = kept_activations(images, backbone, views, self.frozen_stages_, ActivationCache())
            if kept is not None:
                return kept
        return PixelInputs(images, backbone, views, self.options.jitter)

    def _read(self, samples: Samples) -> list[Image]:
        """The pictures, all of the shape that the model is for."""
        images = images_of(samples)
        for image, name in zip(images, samples.sample_ids, strict=True):
            shape = getattr(getattr(image, "pixels", None), "shape", None)
            if shape is None or tuple(shape) != tuple(self.shape_):
                raise BadInputError(
                    f"The picture of row '{name}' has shape {shape}, expected {tuple(self.shape_)}.",
                    repair="Give all domains the same image settings (size_px, colour, num_tiles) in domain.yaml.",
                )
        return images

    def _targets(self, labelled: Samples) -> np.ndarray:
        """(N, 2) target probabilities."""
        positive = labelled.target_probability if self.options.use_soft_labels else labelled.targets.astype(float)
        return np.column_stack([1.0 - positive, positive])

    def _moved_tensors(self) -> dict[str, Tensor]:
        from core.learners.image_model import moved_tensors

        return moved_tensors(self.model_, self.moved_, self.first_)

    def _make_strategy(self) -> Strategy:
        return STRATEGIES[self.options.strategy](self.options.strategy_options)

    def _load_backbone(self, name: str) -> ImageBackbone:
        """A fresh copy, since it is trained in place; from scratch it needs no weights."""
        from core.backbones.image import ImageBackbone

        is_scratch = self.options.strategy == "scratch"
        return ImageBackbone.load(name, scratch_seed=self.seed if is_scratch else None)

    def _save_backbone(self, folder: Path) -> None:
        """Where the pretrained weights are; those that moved are in TENSORS."""
        self.model_.backbone.save_reference(folder)

    def _load_saved_backbone(self, folder: Path) -> ImageBackbone:
        from core.backbones.image import ImageBackbone

        return ImageBackbone.load_reference(folder)
