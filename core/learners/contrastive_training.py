"""Continued pre-training of an image backbone on pictures without labels (SimCLR), cheap enough for a processor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.artifacts import replacing_folder, write_json
from core.backbones.image_weights import CONFIG
from core.errors import BadInputError
from core.images.image import Image
from core.learners.activation_cache import ActivationCache
from core.learners.contrastive_loss import nt_xent
from core.learners.contrastive_options import ContrastiveOptions
from core.learners.image_inputs import ImageInputs, PixelInputs, kept_activations
from core.learners.image_tuning_options import JitterOptions
from core.learners.strong_views import StrongOptions, strong_images
from core.learners.torch_loop import LoopResult, LoopTask, run_loop
from core.strategies.base import ParameterGroup, Strategy, named_parameters_of, set_trainable

REPORT, TENSORS = "pretraining.json", "model.safetensors"
UNCHANGED = JitterOptions(brightness=0.0, contrast=0.0)


class ContrastiveModel(nn.Module):
    """(N, D) projections of pictures: stages up to number `stop`, their mean over the area, two layers.

    Batch norms use the statistics that they came with, so that what is kept of frozen stages stays true.
    """

    def __init__(self, backbone: Any, stop: int, projection_dim: int) -> None:
        super().__init__()
        self.backbone, self.stop = backbone, stop
        num_channels = self.describe(backbone.normalise(np.zeros((1, 64, 64, 3), dtype=np.uint8)), 0).shape[1]
        self.head = nn.Sequential(
            nn.Linear(num_channels, num_channels), nn.ReLU(), nn.Linear(num_channels, projection_dim)
        )

    def describe(self, inputs: Tensor, start: int) -> Tensor:
        """(N, channels) of the inputs of stage `start`."""
        maps = self.backbone.run(inputs, start, self.stop)
        return self.backbone.pool(maps) if self.stop == len(self.backbone.stages()) else maps.mean(dim=(2, 3))

    def forward(self, inputs: Tensor, start: int = 0) -> Tensor:
        """(N, D) projections."""
        return self.head(self.describe(inputs, start))

    def train(self, mode: bool = True) -> ContrastiveModel:
        """The backbone stays in inference mode; its weights can move all the same."""
        super().train(mode)
        self.backbone.eval()
        return self


class _StagesBefore(Strategy):
    """The last `num_stages` of the stages before number `stop` move, and the head."""

    def __init__(self, num_stages: int, stop: int) -> None:
        super().__init__()
        self.frozen_stages, self.stop = max(0, stop - num_stages), stop

    def prepare(self, model: ContrastiveModel) -> list[ParameterGroup]:
        """Freeze what stays."""
        set_trainable(model.backbone, is_trainable=False)
        moving = dict(named_parameters_of(model, model.head))
        for stage in model.backbone.stages()[self.frozen_stages : self.stop]:
            set_trainable(stage, is_trainable=True)
            moving |= named_parameters_of(model, stage)
        return [ParameterGroup(moving)]


def train_contrastive(
    backbone: Any,
    images: Sequence[Image],
    options: ContrastiveOptions,
    strong: StrongOptions,
    *,
    stop: int,
    seed: int,
    cache: ActivationCache | None = None,
) -> LoopResult:
    """Move the last stages before number `stop` of the backbone, in place.

    Source: Chen et al. 2020, "A simple framework for contrastive learning of visual representations", algorithm 1;
    continued from given weights as in Azizi et al. 2021, "Big self-supervised models advance medical image
    classification", section 3.1.

    Raises:
        BadInputError: fewer than two distinct pictures, or pictures of several sizes.
    """
    distinct = list({image.digest: image for image in images}.values())
    if len(distinct) < 2 or len({image.pixels.shape for image in distinct}) > 1:
        raise BadInputError(
            f"Contrastive pre-training needs two or more pictures of one size; got {len(distinct)} distinct ones.",
            repair="Import more pictures, and give all domains the same image settings in domain.yaml.",
        )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = ContrastiveModel(backbone, stop, options.projection_dim)
    strategy = _StagesBefore(options.num_stages, stop)
    copies = _copies(distinct, backbone, options.num_views, strong, strategy.frozen_stages, cache, seed)

    def collate(rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        chosen = np.stack([torch.randperm(len(copies))[:2].numpy() for _ in rows])
        return tuple(_gather(copies, rows, chosen[:, side]) for side in (0, 1))

    def compute_loss(wrapped: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        start = copies[0].start
        first, second = wrapped(torch.cat(batch), start).chunk(2)
        return nt_xent(first, second, temperature=options.temperature)

    result = run_loop(
        model, LoopTask(range(len(distinct)), collate, compute_loss), strategy, options.training, seed=seed
    )
    set_trainable(backbone, is_trainable=True)
    return result


def save_backbone(backbone: Any, folder: Path, report: Mapping[str, Any]) -> None:
    """A folder that `ImageBackbone.load` reads: tensors, the model's name, and how they came about."""
    from safetensors.torch import save_file

    with replacing_folder(folder) as temporary:
        tensors = {name: value.detach().cpu().contiguous() for name, value in backbone.model.state_dict().items()}
        save_file(tensors, temporary / TENSORS)
        write_json(temporary / CONFIG, {"architecture": backbone.model_name})
        write_json(temporary / REPORT, report)


def _copies(
    images: Sequence[Image],
    backbone: Any,
    num_views: int,
    strong: StrongOptions,
    cut: int,
    cache: ActivationCache | None,
    seed: int,
) -> list[ImageInputs]:
    """One set of inputs a strong copy: activations after the cut where there is room for them, else pixels."""
    found: list[ImageInputs] = []
    for number in range(num_views):
        changed = strong_images(images, strong, number=number, seed=seed)
        kept = kept_activations(changed, backbone, "none", cut, cache or ActivationCache()) if cut else None
        found.append(kept if kept is not None else PixelInputs(changed, backbone, "none", UNCHANGED))
    return found


def _gather(copies: Sequence[ImageInputs], rows: Sequence[int], chosen: np.ndarray) -> Tensor:
    """(n, ...) inputs of the rows, each from the copy chosen for it."""
    rows, found = np.asarray(rows), {}
    for number in np.unique(chosen):
        places = np.flatnonzero(chosen == number)
        found |= dict(zip(places.tolist(), copies[number].view(rows[places], 0), strict=True))
    return torch.stack([found[place] for place in range(len(rows))])
