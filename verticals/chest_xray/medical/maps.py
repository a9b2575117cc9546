"""Where the exported prediction saw its evidence: MONAI's Grad-CAM, Grad-CAM++ and occlusion sensitivity."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from core.data.samples import Samples
from core.errors import BadParamsError
from core.explain.heat_maps import enlarge, picture_learner
from core.images.image import images_of, stack_pixels
from core.images.views import apply_view, num_views, undo_view
from core.learners.scoring_model import ScoringModel
from core.pictures.onnx_files import build_module

MapMethod = Literal["grad_cam", "grad_cam_plus_plus", "occlusion", "descriptor_cam"]
GRADIENT_METHODS = ("grad_cam", "grad_cam_plus_plus")
BRIGHT_QUANTILE = 0.99
OCCLUDED_FRACTION = 0.25  # of the side
OCCLUSION_OVERLAP = 0.5
OCCLUSION_BATCH_ROWS = 16


def medical_maps(model: ScoringModel, samples: Samples, method: MapMethod) -> np.ndarray:
    """(N, S, S) float32 in 0..1, 1 where a picture's evidence for the positive class is strongest; all 0: it has none.

    Every picture has its own scale, so maps tell places, not how sure the model is. The gradient methods read the maps
    after the last stage that the learner uses and explain the log-odds before calibration, which only rises with them;
    they are the mean over the learner's views, each brought back upright. `descriptor_cam` (image_probe) is the
    project's own: it follows every stage and every pooled statistic, while Grad-CAM's mean gradient of a map is zero
    for a standard deviation.

    Source: Selvaraju et al. 2017; Chattopadhay et al. 2018; Zeiler & Fergus 2014, by `monai.visualize`.

    Raises:
        BadParamsError: there is no such map of this model.
    """
    learner = picture_learner(model.learner)
    offered = methods_of(learner)
    if method not in offered:
        raise BadParamsError(
            f"{type(learner).__name__} gives no map by '{method}'.",
            repair=f"Choose from: {', '.join(offered) or 'none; it has no torch module'}.",
        )
    if not len(samples):
        return np.zeros((0, 1, 1), dtype=np.float32)
    pixels = stack_pixels(images_of(samples))
    if method == "descriptor_cam":
        from core.explain.descriptor_cam import descriptor_activation

        evidence = descriptor_activation(learner, samples)
    else:
        logits = build_module(replace(model, learner=learner)).logits
        compute = _occlusion if method == "occlusion" else _gradient_map
        evidence = np.stack([compute(logits, one[None], method) for one in pixels])
    return scaled(enlarge(np.maximum(np.nan_to_num(evidence), 0.0), pixels.shape[1]))


def methods_of(learner: Any) -> tuple[MapMethod, ...]:
    """The methods that a fitted picture learner can give, the one to prefer first."""
    if hasattr(learner, "descriptor_slopes"):
        own: tuple[MapMethod, ...] = () if learner.options.head == "cosine" else ("descriptor_cam",)
        gradients = GRADIENT_METHODS if learner.options.num_tiles == 1 else ()
        return () if learner.map_.min_group_rows else (*own, *gradients, "occlusion")
    return (*GRADIENT_METHODS, "occlusion") if hasattr(learner, "model_") else ()


def scaled(maps: np.ndarray) -> np.ndarray:
    """(N, S, S) float32 in 0..1 of maps >= 0, divided by each picture's 99th percentile, cut at 1; zeros stay so.

    The percentile, as a single cell in a corner else makes all others invisible; the largest value where it is zero.
    """
    high = np.quantile(maps, BRIGHT_QUANTILE, axis=(1, 2), keepdims=True)
    high = np.where(high > 0, high, maps.max(axis=(1, 2), keepdims=True))
    return np.minimum(np.divide(maps, high, out=np.zeros(maps.shape), where=high > 0), 1.0).astype(np.float32)


class _WatchedBackbone(nn.Module):
    """A backbone whose last maps pass through `target`, where MONAI hooks in; what is before needs no gradient."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.inner, self.target = backbone, nn.Identity()
        self.mean, self.std = backbone.mean, backbone.std

    def run(self, x: Tensor, start: int = 0) -> Tensor:
        """The activations after the last stage."""
        with torch.no_grad():
            maps = self.inner.run(x, start)
        return self._watch(maps)

    def maps(self, x: Tensor, after: Sequence[int]) -> list[Tensor]:
        """Those after the last of the stages are watched."""
        with torch.no_grad():
            found = list(self.inner.maps(x, after))
        last = int(np.argmax(after))
        found[last] = self._watch(found[last])
        return found

    def pool(self, maps: Tensor) -> Tensor:
        """As the backbone does."""
        return self.inner.pool(maps)

    def _watch(self, maps: Tensor) -> Tensor:
        seen = self.target(maps.detach().requires_grad_(True))
        # The slope of a square root at zero is infinite: such a channel is silent, and tells nothing.
        seen.register_hook(lambda gradient: torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0))
        return seen


class _EvidenceNetwork(nn.Module):
    """(1, 1) log-odds of one view less their own value, of (1, C, S, S) float pixels: zero, with the true gradient.

    MONAI's Grad-CAM++ multiplies by exp(score), which overflows for a sure model; a map's scale is its own anyway.
    """

    def __init__(self, logits: nn.Module) -> None:
        super().__init__()
        self.logits = _of_one_view(logits)

    def forward(self, pixels: Tensor) -> Tensor:
        found = self.logits(pixels.permute(0, 2, 3, 1))
        return (found - found.detach())[:, None]


class _PixelScore(nn.Module):
    """(N, 1) log-odds as exported, of (N, C, S, S) float pixels, rounded to grey levels."""

    def __init__(self, logits: nn.Module) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, pixels: Tensor) -> Tensor:
        levels = torch.as_tensor(pixels).round().clamp(0, 255).to(torch.uint8)
        return self.logits(levels.permute(0, 2, 3, 1))[:, None].float()


def _of_one_view(logits: nn.Module) -> nn.Module:
    """A copy that looks once and whose backbone is watched; the weights are shared."""
    alone = copy.copy(logits)
    alone._modules = dict(logits._modules)
    if hasattr(alone, "model"):
        alone.views = "none"
        alone.model = copy.copy(logits.model)
        alone.model._modules = {**logits.model._modules, "backbone": _WatchedBackbone(logits.model.backbone)}
    else:
        alone.options = replace(logits.options, views="none")
        alone._modules["backbone"] = _WatchedBackbone(logits.backbone)
    return alone


def _gradient_map(logits: nn.Module, pixels: np.ndarray, method: str) -> np.ndarray:
    """(h, w) of one picture (1, S, S, C), the mean over the views."""
    from monai.visualize import GradCAM, GradCAMpp

    network = _EvidenceNetwork(logits).eval()
    name = next(name for name, module in network.named_modules() if name.endswith("backbone.target"))
    cam = (GradCAM if method == "grad_cam" else GradCAMpp)(network, target_layers=name)
    views = logits.views if hasattr(logits, "model") else logits.options.views
    found = []
    for view in range(num_views(views)):
        turned = torch.from_numpy(np.ascontiguousarray(apply_view(pixels, views, view)))
        with torch.enable_grad():
            maps = cam.compute_map(turned.permute(0, 3, 1, 2).float(), class_idx=0)
        found.append(undo_view(maps.detach().numpy(), views, view)[0, 0])
    return np.mean(found, axis=0)


def _occlusion(logits: nn.Module, pixels: np.ndarray, method: str) -> np.ndarray:
    """(S, S) fall of the log-odds of one picture (1, S, S, C) where a square of its mean grey covers it."""
    from monai.visualize import OcclusionSensitivity

    network = _PixelScore(logits).eval()
    x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
    occlude = OcclusionSensitivity(
        network,
        mask_size=max(1, round(OCCLUDED_FRACTION * x.shape[-1])),
        n_batch=OCCLUSION_BATCH_ROWS,
        verbose=False,
        mode="mean_img",
        overlap=OCCLUSION_OVERLAP,
        activate=False,
    )
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of indexing inside of MONAI
        covered, _ = occlude(x)
        fall = network(x) - torch.as_tensor(covered)[:, 0]
    return fall[0].numpy()
