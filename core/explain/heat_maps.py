"""One surface for all heat maps: where in a picture the defect is, whatever the way it was found."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy.ndimage import binary_erosion, zoom

from core.data.samples import Samples
from core.errors import BadParamsError
from core.explain.picture_occlusion import occlusion_maps
from core.images.image import images_of, stack_pixels

HeatMethod = Literal["auto", "distance", "descriptor_cam", "grad_cam", "grad_cam_plus_plus", "layer_cam", "occlusion"]
WRAPPED = ("inner_", "describer_")  # domain_tagged; aligned, anomaly_guided
CAM_METHODS = ("grad_cam", "grad_cam_plus_plus", "layer_cam")
CAM_BATCH_SIZE = 8
SMALLEST_PEAK = 1e-6  # in log-odds
CONTOUR = (0, 255, 255)  # cyan is the one bright colour that inferno lacks


def heat_maps(learner: Any, samples: Samples, method: HeatMethod = "auto", *, stage: int | None = None) -> np.ndarray:
    """(N, S, S) float32 in 0..1; from 0.5 on a pixel is called defective.

    `distance` (one-class learners): d / (d + level), the level that few good pictures reach. The class activation
    methods (learners with a `model_` of backbone and head), `descriptor_cam` (image_probe) and `occlusion` (any
    learner): the evidence as a share of the picture's own peak, times the learner's probability of class 1. Evidence
    itself cannot be compared between pictures: a good one has as much for as against. `auto`: the first of them that
    the learner can give.
    stage: number of stages after which activation maps are read; None: the last whose maps are at least 14 a side.

    Raises:
        BadParamsError: the learner cannot give maps of this method.
    """
    learner = picture_learner(learner)
    methods = methods_of(learner)
    chosen = methods[0] if method == "auto" else method
    if chosen not in methods:
        raise BadParamsError(
            f"{type(learner).__name__} gives no heat map by '{method}'.", repair=f"Choose from: {', '.join(methods)}."
        )
    size = images_of(samples)[0].pixels.shape[0] if len(samples) else 1
    if chosen == "distance":
        evidence = np.maximum(enlarge(learner.heat_maps(samples) / learner.level_, size), 0.0)
        return (evidence / (1.0 + evidence)).astype(np.float32)
    if chosen == "descriptor_cam":
        from core.explain.descriptor_cam import descriptor_activation

        evidence = descriptor_activation(learner, samples)
    elif chosen == "occlusion":
        evidence = occlusion_maps(learner, samples)
    else:
        evidence = _activation_maps(learner.model_, samples, chosen, stage)
    return _scaled(np.maximum(enlarge(evidence, size), 0.0), learner, samples)


def _scaled(evidence: np.ndarray, learner: Any, samples: Samples) -> np.ndarray:
    """(N, S, S) float32: shares of each picture's peak times its probability; zero where there is no evidence."""
    if not len(samples):
        return evidence.astype(np.float32)
    peak = np.maximum(evidence.max(axis=(1, 2), keepdims=True), SMALLEST_PEAK)
    return (evidence / peak * learner.predict_probability(samples)[:, 1][:, None, None]).astype(np.float32)


def picture_learner(learner: Any) -> Any:
    """What looks at the picture inside a learner that wraps another; a blend is told by its heaviest part."""
    for name in WRAPPED:
        inner = getattr(learner, name, None)
        if inner is not None:
            return picture_learner(inner)
    parts = getattr(learner, "parts_", None)
    if isinstance(parts, list) and parts:
        return picture_learner(parts[int(np.argmax(learner.mix_))])
    return learner


def methods_of(learner: Any) -> list[str]:
    """The methods that a fitted learner can give, the best first."""
    methods = ["distance"] if getattr(learner, "is_one_class", False) else []
    model = getattr(learner, "model_", None)
    if hasattr(model, "backbone") and hasattr(model, "head"):
        methods += CAM_METHODS
    if hasattr(learner, "descriptor_slopes") and getattr(learner.options, "head", "") != "cosine":
        methods.append("descriptor_cam")
    return [*methods, "occlusion"]


def enlarge(maps: np.ndarray, size_px: int) -> np.ndarray:
    """(N, S, S) float32 of maps (N, h, w), linear between the centres of cells."""
    maps = np.asarray(maps, dtype=np.float32)
    if not len(maps):
        return np.zeros((0, size_px, size_px), dtype=np.float32)
    factors = (1.0, size_px / maps.shape[1], size_px / maps.shape[2])
    return zoom(maps, factors, order=1, grid_mode=True, mode="nearest")


def overlay(pixels: np.ndarray, heat: np.ndarray, level: float = 0.5, *, opacity: float = 0.55) -> np.ndarray:
    """(S, S, 3) uint8: the picture (S, S) or (S, S, C) under its heat (S, S) in 0..1, with a line at the level.

    The colours (inferno) rise evenly in brightness, so they are read without colour vision; cool pixels stay clear.
    """
    from matplotlib import colormaps

    picture = np.asarray(pixels)
    picture = picture[:, :, None] if picture.ndim == 2 else picture
    picture = np.broadcast_to(picture, (*picture.shape[:2], 3)).astype(np.float32)
    heat = np.clip(np.asarray(heat, dtype=np.float32), 0.0, 1.0)
    cover = (opacity * heat)[:, :, None]
    mixed = picture * (1.0 - cover) + 255.0 * colormaps["inferno"](heat)[:, :, :3] * cover
    is_hot = heat >= level
    thickness = max(1, round(heat.shape[0] / 256))
    mixed[is_hot & ~binary_erosion(is_hot, iterations=thickness)] = CONTOUR
    return np.clip(mixed.round(), 0, 255).astype(np.uint8)


def _activation_maps(model: Any, samples: Samples, method: str, stage: int | None) -> np.ndarray:
    """(N, h, w) of a model with a backbone and a head."""
    from core.explain.class_activation import class_activation

    model.eval()
    backbone, pixels = model.backbone, stack_pixels(images_of(samples))
    stage = stage or _late_stage(backbone, pixels[:1])
    found = []
    for start in range(0, len(pixels), CAM_BATCH_SIZE):
        inputs = backbone.normalise(pixels[start : start + CAM_BATCH_SIZE])
        found.append(class_activation(model, inputs, stage=stage, method=method).numpy())
    return np.concatenate(found)


def _late_stage(backbone: Any, pixels: np.ndarray, *, smallest_side: int = 14) -> int:
    """The last stage whose maps are at least so large; of small pictures the last one with the side of their middle."""
    import torch

    with torch.no_grad():
        x, sides = backbone.normalise(pixels), []
        for place in range(len(backbone.stages())):
            x = backbone.run(x, place, place + 1)
            sides.append(min(x.shape[-2:]))
    enough = min(smallest_side, sides[len(sides) // 2])
    return max(place for place, side in enumerate(sides, start=1) if side >= enough)
