"""Smaller graphs of one model: int8, channels pruned, a student; each is kept only where faster and about as good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from core.data.samples import Samples
from core.errors import CrossdomainError
from core.evaluation.calibration import CALIBRATORS
from core.evaluation.metrics import METRICS
from core.images.image import Image, images_of, stack_pixels
from core.pictures.graph_scores import Score, latency, session_score
from core.pictures.int8 import write_int8

INT8_MODEL, PRUNED_MODEL, STUDENT_MODEL = "model_int8.onnx", "model_pruned.onnx", "model_student.onnx"
MAX_AUC_LOSS = 0.005
NUM_MOMENT_PICTURES = 32  # times some hundred places each: enough for the covariance of a thousand channels
NUM_CENTRE_PICTURES = 64
CALIBRATION = "platt"  # of a student, on validation, as for its teacher


@dataclass(frozen=True)
class Judge:
    """Compares smaller graphs with the full one.

    graph: probabilities of the full graph. valid: labelled rows that no smaller model learns from. pixels: pictures on
    which the time is taken. threshold: of the probability, from which on a picture is positive.
    """

    graph: Score
    valid: Samples
    pixels: np.ndarray
    threshold: float

    @property
    def has_both_classes(self) -> bool:
        """Whether validation tells an AUC."""
        return len(np.unique(self.valid.targets)) > 1

    @cached_property
    def valid_pixels(self) -> np.ndarray:
        """(N, S, S, C) uint8."""
        return stack_pixels(images_of(self.valid))

    @cached_property
    def full_probability(self) -> np.ndarray:
        """(N,) of validation by the full graph."""
        return self.graph(self.valid_pixels)

    def judge(self, name: str, path: Path) -> dict[str, Any]:
        """Figures of the graph at `path`, their names led by `name`; it is removed unless faster and about as good."""
        small = session_score(path)
        speed = latency({"full": self.graph, name: small}, self.pixels)
        result: dict[str, Any] = {f"{name}_megabytes": round(path.stat().st_size / 1e6, 2)}
        result |= {key: value for key, value in speed.items() if key.startswith(f"{name}_")}
        gain = speed[f"{name}_pictures_a_second"] / speed["full_pictures_a_second"]
        loss = None
        if self.has_both_classes:
            found = small(self.valid_pixels)
            auc = [_auc(self.valid, probability) for probability in (self.full_probability, found)]
            loss = auc[0] - auc[1]
            flips = (found >= self.threshold) != (self.full_probability >= self.threshold)
            result |= {"fp32_valid_auc": auc[0], f"{name}_valid_auc": auc[1]}
            result |= {f"{name}_valid_decisions_that_differ": int(flips.sum())}
        is_kept = gain > 1 and loss is not None and loss <= MAX_AUC_LOSS
        if not is_kept:
            path.unlink()
        told = "unknown" if loss is None else f"{loss:.4f}"
        return result | {
            f"{name}_times_as_fast": round(gain, 3),
            f"{name}_is_kept": is_kept,
            f"{name}_reason": f"{gain:.2f} times as fast as fp32, AUC loss on validation {told} "
            f"(allowed {MAX_AUC_LOSS})",
        }


def try_int8(full: Path, pixels: np.ndarray, judge: Judge) -> dict[str, Any]:
    """model_int8.onnx beside the full graph, with ranges from training pictures (N, S, S, C)."""
    path = full.with_name(INT8_MODEL)
    return _try("int8", path, lambda: write_int8(full, path, pixels), judge)


def try_pruned(module: Any, train: Samples, fractions: Sequence[float], judge: Judge, folder: Path) -> dict[str, Any]:
    """model_pruned.onnx with the largest of those fractions of the inner channels less that may be kept.

    module: the whole scoring path. Of its head changes only the centre of a probe's descriptors (no label is read).
    """
    from core.images.onnx_export import ProbeLogits, write_onnx
    from core.pictures.pruning import channel_moments, num_parameters, pruned_copy, recentre

    if not fractions:
        return {}
    result: dict[str, Any] = {}
    images, pixels = _spread(train, NUM_CENTRE_PICTURES), stack_pixels(_spread(train, NUM_MOMENT_PICTURES))
    moments = cache(lambda: channel_moments(module, pixels))
    for fraction in sorted(set(fractions), reverse=True):
        name = f"pruned_{round(100 * fraction)}_percent"

        def write(fraction: float = fraction) -> dict[str, Any]:
            pruned = pruned_copy(module, moments(), fraction)
            if isinstance(module.logits, ProbeLogits):
                recentre(pruned.logits, module.logits, images)
            write_onnx(pruned, pixels[:2], folder / PRUNED_MODEL)
            return {"weights_fraction": round(num_parameters(pruned) / num_parameters(module), 4)}

        result |= _try(name, folder / PRUNED_MODEL, write, judge)
        if result[f"{name}_is_kept"]:
            return result | {"pruned_fraction": fraction}
    return result | {"pruned_fraction": None}


def try_student(
    backbone: Any, train: Samples, seconds: float, judge: Judge, folder: Path, *, seed: int
) -> dict[str, Any]:
    """model_student.onnx, taught by the full graph on the training pictures; calibrated on validation."""
    from core.images.onnx_export import CalibratedProbability, write_onnx
    from core.pictures.graph_scores import eager_score
    from core.pictures.pruning import num_parameters
    from core.pictures.student import make_student, train_student

    if not seconds:
        return {}
    if not judge.has_both_classes:
        return {"student_is_kept": False, "student_reason": "not made: validation has one class, which tells no AUC"}

    def write() -> dict[str, Any]:
        pixels = stack_pixels(images_of(train))
        student = make_student(backbone, pixels.shape[1], seed=seed)
        told = train_student(student, pixels, train.labels, judge.graph, seconds=seconds, seed=seed)
        raw = eager_score(CalibratedProbability(student, "none", {}))(judge.valid_pixels)
        calibrator = CALIBRATORS[CALIBRATION]().fit(np.column_stack([1 - raw, raw]), judge.valid.targets)
        module = CalibratedProbability(student, CALIBRATION, calibrator.to_dict())
        write_onnx(module, pixels[:2], folder / STUDENT_MODEL)
        return {**told, "weights": num_parameters(student)}

    return _try("student", folder / STUDENT_MODEL, write, judge)


def _try(name: str, path: Path, write: Callable[[], dict[str, Any] | None], judge: Judge) -> dict[str, Any]:
    """What `write` and the judge tell; what cannot be made is no failure of the export, but is told."""
    print(f"export: {name}", flush=True)
    try:
        made = write() or {}
    except Exception as error:
        path.unlink(missing_ok=True)
        told = error.message if isinstance(error, CrossdomainError) else str(error)
        return {f"{name}_is_kept": False, f"{name}_reason": f"not made: {told[:160]}"}
    return {f"{name}_{key}": value for key, value in made.items()} | judge.judge(name, path)


def _spread(samples: Samples, num: int) -> list[Image]:
    """At most `num` pictures, evenly spaced over the rows."""
    return images_of(samples.take(np.linspace(0, len(samples) - 1, min(num, len(samples))).astype(int)))


def _auc(samples: Samples, score: np.ndarray) -> float:
    return METRICS["auc"].function(samples.targets, np.column_stack([1 - score, score]).clip(0, 1), 1)
