"""The whole scoring path of a picture, pixels to calibrated probability, as one torch module that ONNX can hold."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.backbones.image import ImageBackbone
from core.errors import BadParamsError
from core.evaluation.calibrators.base import SMALLEST_PROBABILITY
from core.images.views import VIEWS, num_views

OPSET = 17
INPUT, OUTPUT = "pixels", "probability"
LARGEST_LOGIT = float(np.log1p(-SMALLEST_PROBABILITY) - np.log(SMALLEST_PROBABILITY))


class ProbeLogits(nn.Module):
    """(N,) log-odds of `image_probe` for (N, S, S, C) uint8 pixels, each picture by itself; the head in float64.

    Raises:
        BadParamsError: a picture's score depends on the other pictures of its group.
    """

    def __init__(self, learner: Any) -> None:
        super().__init__()
        if learner.map_.min_group_rows:
            raise BadParamsError(
                "With normalise: group a score depends on the pictures that are scored with it; no graph holds that.",
                repair="Train with normalise: none to export.",
            )
        self.backbone, self.options, self.gamma = learner.backbone_, learner.options, float(learner.map_.gamma)
        self.has_unit_length = learner.map_.has_unit_length
        for name in ("centre", "scale", "rotation", "landmarks"):
            values = learner.map_.arrays.get(name)
            self.register_buffer(name, None if values is None else torch.tensor(values, dtype=torch.float64))
        self.register_buffer("coefficients", torch.tensor(np.asarray(learner.coefficients_), dtype=torch.float64))

    def forward(self, pixels: Tensor) -> Tensor:
        """The mean descriptor over the views, placed, compared with landmarks, weighed."""
        views = range(num_views(self.options.views))
        described = [self._describe(_view(pixels, self.options.views, view)) for view in views]
        mean = torch.stack(described).double().mean(dim=0)
        if self.options.use_signed_root:
            mean = mean.sign() * mean.abs().sqrt()
        places = (mean - self.centre) / self.scale
        if self.rotation is not None:
            places = places @ self.rotation
        if self.has_unit_length:
            places = places / places.square().sum(dim=1, keepdim=True).sqrt().clamp(min=1e-12)
        if self.landmarks is not None:
            squares = places.square().sum(dim=1, keepdim=True) + self.landmarks.square().sum(dim=1)
            distances = (squares - 2.0 * places @ self.landmarks.T).clamp(min=0.0)
            places = torch.exp(-self.gamma * distances)
        return self.coefficients[0] + places @ self.coefficients[1:]

    def _describe(self, pixels: Tensor) -> Tensor:
        """(N, P) pooled statistics of one view; all tiles of a picture are one area."""
        from core.learners.image_descriptors import pooled_statistics

        tiles, num_each = _tiles(pixels, self.options.num_tiles), self.options.num_tiles**2
        pooled = []
        for maps in self.backbone.maps(_normalise(self.backbone, tiles), self.options.stages):
            area = maps.flatten(2)
            if num_each > 1:
                area = area.reshape(-1, num_each, *area.shape[1:]).transpose(1, 2).flatten(2)
            told = self.options
            pooled.append(pooled_statistics(area, told.statistics, top_fraction=told.top_fraction))
        return torch.cat(pooled, dim=1)


class ClassifierLogits(nn.Module):
    """(N,) log-odds of `image_classifier`, the mean over its test views."""

    def __init__(self, learner: Any) -> None:
        super().__init__()
        self.model, self.views = learner.model_, learner.options.test_views
        self.log_odds = float(learner.log_odds_)

    def forward(self, pixels: Tensor) -> Tensor:
        """Class 1 less class 0."""
        logits = [
            self.model(_normalise(self.model.backbone, _view(pixels, self.views, view)))
            for view in range(num_views(self.views))
        ]
        mean = torch.stack(logits).mean(dim=0)
        return mean[:, 1] - mean[:, 0] + self.log_odds


class BackboneMaps(nn.Module):
    """The maps that a one-class learner compares, one output a stage."""

    def __init__(self, backbone: ImageBackbone, stages: Sequence[int]) -> None:
        super().__init__()
        self.backbone, self.stages = backbone, tuple(stages)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """(N, C, h, w) after each of the stages."""
        return tuple(self.backbone.maps(_normalise(self.backbone, pixels), self.stages))


class CalibratedProbability(nn.Module):
    """(N,) calibrated probability of class 1, of a module of log-odds and a fitted calibrator.

    Raises:
        BadParamsError: a calibrator that has no graph.
    """

    def __init__(self, logits: nn.Module, name: str, state: dict[str, Any]) -> None:
        super().__init__()
        self.logits, self.name = logits, name
        self.slope, self.intercept = 1.0, 0.0
        if name == "platt":
            self.slope, self.intercept = map(float, state["curves"][0])
        elif name == "temperature":
            self.slope = 1.0 / float(state["temperature"])
        elif name == "isotonic":
            raw, calibrated = (torch.tensor(values, dtype=torch.float64) for values in state["knots"][0])
            self.register_buffer("knots", raw)
            self.register_buffer("steps", (calibrated[1:] - calibrated[:-1]) / (raw[1:] - raw[:-1]).clamp(min=1e-300))
            self.first = float(calibrated[0])
        elif name != "none":
            raise BadParamsError(f"There is no graph of the calibration '{name}'.")

    def forward(self, pixels: Tensor) -> Tensor:
        """Probability, in the precision of the log-odds."""
        logits = self.logits(pixels)
        if self.name == "isotonic":
            raw = torch.sigmoid(logits.double())[:, None]
            rises = torch.minimum(torch.maximum(raw, self.knots[:-1]), self.knots[1:]) - self.knots[:-1]
            return self.first + (rises * self.steps).sum(dim=1)
        if self.name != "none":
            logits = logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
        return torch.sigmoid(self.slope * logits + self.intercept)


def write_onnx(module: nn.Module, pixels: np.ndarray, path: Path, *, outputs: Sequence[str] = (OUTPUT,)) -> None:
    """Trace the module on (N, S, S, C) uint8 pixels; the batch stays free.

    Raises:
        BadParamsError: an operator that ONNX lacks.
    """
    module.eval()
    axes = {name: {0: "pictures"} for name in (INPUT, *outputs)}
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the tracer: sizes are constants here, and are meant to be
            torch.onnx.export(
                module,
                (torch.as_tensor(np.ascontiguousarray(pixels)),),
                str(path),
                input_names=[INPUT],
                output_names=list(outputs),
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise BadParamsError(f"The model cannot be written as ONNX: {error}") from None


def _view(pixels: Tensor, views: str, index: int) -> Tensor:
    """As `apply_view` of (N, S, S, C), by mirrors and transposition, for ONNX has no rotation."""
    turns, is_mirrored = VIEWS[views][index]
    if is_mirrored:
        pixels = pixels.flip(2)
    if turns == 2:
        return pixels.flip(1, 2)
    return pixels if turns == 0 else pixels.transpose(1, 2).flip(1 if turns == 1 else 2)


def _normalise(backbone: ImageBackbone, pixels: Tensor) -> Tensor:
    """As `ImageBackbone.normalise`, without its checks, which a trace cannot hold."""
    planes = pixels.permute(0, 3, 1, 2).float()
    if planes.shape[1] == 1:
        planes = planes.repeat(1, 3, 1, 1)
    return (planes - backbone.mean) / backbone.std


def _tiles(pixels: Tensor, num_tiles: int) -> Tensor:
    """(N * T * T, s, s, C) of (N, T * s, T * s, C), a picture's tiles one after the other, row by row."""
    if num_tiles == 1:
        return pixels
    side, channels = pixels.shape[1] // num_tiles, pixels.shape[3]
    cut = pixels.reshape(-1, num_tiles, side, num_tiles, side, channels)
    return cut.transpose(2, 3).reshape(-1, side, side, channels)
