"""ONNX of the whole scoring path, proven equal on test pictures, measured against PyTorch, and int8 where it pays."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from core.artifacts import write_json
from core.data.samples import Samples
from core.errors import BadParamsError, MissingArtifactError
from core.evaluation.calibration import CALIBRATORS
from core.evaluation.metrics import METRICS
from core.images.image import images_of, stack_pixels
from core.learners.base import LEARNERS
from core.learners.scoring_model import ScoringModel
from core.params import VerticalParams
from core.pictures.int8 import write_int8
from core.threads import num_threads

Score = Callable[[np.ndarray], np.ndarray]
MODEL, INT8_MODEL, MAPS_MODEL, CARD = "model.onnx", "model_int8.onnx", "backbone_maps.onnx", "onnx.json"
BATCH_SIZE = 16
NUM_SINGLE = 30
NUM_COMPARED_MAPS = 16
MAX_AUC_LOSS = 0.005


def export_model(
    model: ScoringModel, opened: dict[str, Samples], params: VerticalParams, folder: Path
) -> dict[str, Any]:
    """Write model.onnx (pixels to probability), onnx.json (how to feed it) and, where it pays, model_int8.onnx.

    Of a one-class learner the backbone's maps are written; its bank of good parts is compared outside of the graph.
    Equal means: no probability differs by the tolerance from the learner in fp32, and no decision differs.

    Raises:
        MissingArtifactError: onnx or onnxruntime is not installed.
    """
    _require_onnx()
    name = LEARNERS.name_of(type(model.learner))
    tolerance, num_rows = params.export.parity_tolerance, params.export.num_latency_rows
    test = opened["test"].take(np.arange(min(num_rows, len(opened["test"]))))
    if model.learner.is_one_class:
        return _export_maps(model, name, test, tolerance, folder)
    try:
        module = build_module(model)
    except BadParamsError as error:
        return {"exported": "nothing", "learner": name, "reason": error.message}
    from core.images.onnx_export import write_onnx

    pixels = stack_pixels(images_of(test))
    write_onnx(module, pixels[:2], folder / MODEL)
    write_json(folder / CARD, _card(model, pixels.shape[1:]))
    eager, graph = eager_score(module), session_score(folder / MODEL)
    result = {"exported": MODEL, "learner": name, **parity(model, test, graph, tolerance)}
    result |= {"file_megabytes": round((folder / MODEL).stat().st_size / 1e6, 2), "threads": num_threads()}
    result |= latency({"pytorch_eager_fp32": eager, "onnx_runtime": graph}, pixels)
    try:
        write_int8(folder / MODEL, folder / INT8_MODEL, stack_pixels(images_of(opened["train"])))
    except Exception as error:
        (folder / INT8_MODEL).unlink(missing_ok=True)
        return {**result, "int8_is_kept": False, "int8_reason": f"not made: {str(error)[:160]}"}
    return result | _judge_int8(folder, opened["valid"].labelled(), pixels, graph)


def build_module(model: ScoringModel) -> Any:
    """The torch module of the whole scoring path.

    Raises:
        BadParamsError: there is none for this learner, calibration or order of classes.
    """
    from core.images.onnx_export import CalibratedProbability, ClassifierLogits, ProbeLogits

    kinds = {"image_probe": ProbeLogits, "image_classifier": ClassifierLogits}
    name = LEARNERS.name_of(type(model.learner))
    if name not in kinds or model.positive_index != 1:
        raise BadParamsError(f"There is no graph of the learner '{name}'.", repair=f"There is of {', '.join(kinds)}.")
    calibrator = model.calibrator
    return CalibratedProbability(
        kinds[name](model.learner), CALIBRATORS.name_of(type(calibrator)), calibrator.to_dict()
    ).eval()


def parity(model: ScoringModel, test: Samples, graph: Score, tolerance: float) -> dict[str, Any]:
    """The graph against the learner, which is run in fp32 as the graph is; its own precision is told apart."""
    plain = copy.copy(model.learner)
    if hasattr(plain, "precision_"):
        plain.precision_ = "fp32"
    expected = model.calibrator.transform(plain.predict_probability(test))[:, 1]
    found = graph(stack_pixels(images_of(test)))
    difference = np.abs(found - expected)
    flips = (found >= model.threshold) != (expected >= model.threshold)
    served = model.predict_probability(test)[:, 1]
    return {
        "rows_compared": len(test),
        "largest_difference": float(difference.max()),
        "tolerance": tolerance,
        "decisions_that_differ": int(flips.sum()),
        "pictures_within_tolerance_of_threshold": int((np.abs(expected - model.threshold) < tolerance).sum()),
        "is_equal": bool(difference.max() < tolerance and not flips.any()),
        "learner_precision": getattr(model.learner, "precision_", "fp32"),
        "largest_difference_to_that_precision": float(np.abs(found - served).max()),
    }


def latency(scores: dict[str, Score], pixels: np.ndarray) -> dict[str, float]:
    """Milliseconds for one picture (p50, p95) and pictures a second, the ways in turn so that load hits all alike."""
    single: dict[str, list[float]] = {name: [] for name in scores}
    batch: dict[str, list[float]] = {name: [] for name in scores}
    for score in scores.values():
        score(pixels[:BATCH_SIZE])
    for turn in range(NUM_SINGLE):
        one = pixels[turn % len(pixels)][None]
        for name, score in scores.items():
            single[name].append(_seconds(score, one))
    for _ in range(3):
        for name, score in scores.items():
            batch[name].append(_seconds(score, pixels) / len(pixels))
    result = {}
    for name in scores:
        result[f"{name}_p50_milliseconds"] = round(1000 * float(np.quantile(single[name], 0.5)), 3)
        result[f"{name}_p95_milliseconds"] = round(1000 * float(np.quantile(single[name], 0.95)), 3)
        result[f"{name}_pictures_a_second"] = round(1 / min(batch[name]), 2)
    return result


def eager_score(module: Any) -> Score:
    """Probabilities by PyTorch eager in fp32."""
    import torch

    torch.set_num_threads(num_threads())

    def score(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            parts = [module(torch.from_numpy(part)).numpy() for part in _batches(pixels)]
        return np.concatenate(parts).astype(float)

    return score


def session_score(path: Path) -> Score:
    """Probabilities by ONNX Runtime on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def score(pixels: np.ndarray) -> np.ndarray:
        parts = [session.run(None, {session.get_inputs()[0].name: part})[0] for part in _batches(pixels)]
        return np.concatenate(parts).astype(float)

    return score


def _judge_int8(folder: Path, valid: Samples, pixels: np.ndarray, graph: Score) -> dict[str, Any]:
    """Figures of the int8 model, which is removed unless it is faster and about as good on validation."""
    int8, has_both = session_score(folder / INT8_MODEL), len(np.unique(valid.targets)) > 1
    speed = latency({"onnx_fp32_again": graph, "int8": int8}, pixels)
    result: dict[str, Any] = {"int8_megabytes": round((folder / INT8_MODEL).stat().st_size / 1e6, 2)}
    result |= {name: value for name, value in speed.items() if name.startswith("int8")}
    gain = speed["int8_pictures_a_second"] / speed["onnx_fp32_again_pictures_a_second"]
    loss = None
    if has_both:
        shown = stack_pixels(images_of(valid))
        auc = [_auc(valid, score(shown)) for score in (graph, int8)]
        loss = auc[0] - auc[1]
        result |= {"fp32_valid_auc": auc[0], "int8_valid_auc": auc[1]}
    is_kept = gain > 1 and loss is not None and loss <= MAX_AUC_LOSS
    if not is_kept:
        (folder / INT8_MODEL).unlink()
    told = "unknown" if loss is None else f"{loss:.4f}"
    return result | {
        "int8_times_as_fast": round(gain, 3),
        "int8_is_kept": is_kept,
        "int8_reason": f"{gain:.2f} times as fast as fp32, AUC loss on validation {told} (allowed {MAX_AUC_LOSS})",
    }


def _export_maps(model: ScoringModel, name: str, test: Samples, tolerance: float, folder: Path) -> dict[str, Any]:
    """The backbone's maps of a one-class learner; differences are relative to the maps' own root mean square."""
    backbone, stages = getattr(model.learner, "backbone_", None), getattr(model.learner.options, "stages", None)
    if backbone is None or not stages:
        return {"exported": "nothing", "learner": name, "reason": "It compares pixels and has no network to export."}
    import torch

    from core.images.onnx_export import BackboneMaps, write_onnx

    pixels = stack_pixels(images_of(test.take(np.arange(min(NUM_COMPARED_MAPS, len(test))))))
    outputs = [f"maps_after_{stage}" for stage in stages]
    module = BackboneMaps(backbone, stages).eval()
    write_onnx(module, pixels[:2], folder / MAPS_MODEL, outputs=outputs)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / MAPS_MODEL), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: pixels})
    with torch.inference_mode():
        expected = [maps.numpy() for maps in module(torch.from_numpy(pixels))]
    difference = max(
        float(np.abs(f - e).max() / max(np.sqrt(np.mean(e**2)), 1e-12)) for f, e in zip(found, expected, strict=True)
    )
    return {
        "exported": MAPS_MODEL,
        "learner": name,
        "reason": "The backbone's maps are in the graph; what good parts look like is compared outside of it.",
        "rows_compared": len(pixels),
        "largest_difference": difference,
        "tolerance": tolerance,
        "is_equal": bool(difference < tolerance),
    }


def _card(model: ScoringModel, shape: tuple[int, ...]) -> dict[str, Any]:
    """How another program feeds the graph and reads it."""
    image = model.spec.image_column.image if model.spec and model.spec.image_column else None
    return {
        "input": {"name": "pixels", "type": "uint8", "shape": ["pictures", *shape]},
        "output": {
            "name": "probability",
            "type": f"calibrated probability of {model.positive_class}",
            "shape": ["pictures"],
        },
        "threshold": model.threshold,
        "fitting": {} if image is None else {"size_px": image.side_px, "colour": image.colour, "fit": image.fit},
        "resampling": "bilinear with antialias; a padded border is the median of the picture's own border",
    }


def _auc(samples: Samples, score: np.ndarray) -> float:
    return METRICS["auc"].function(samples.targets, np.column_stack([1 - score, score]).clip(0, 1), 1)


def _batches(pixels: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(pixels[start : start + BATCH_SIZE]) for start in range(0, len(pixels), BATCH_SIZE)]


def _seconds(score: Score, pixels: np.ndarray) -> float:
    started = time.perf_counter()
    score(pixels)
    return time.perf_counter() - started


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise MissingArtifactError(f"{error.name} is not installed.", repair="pip install onnx onnxruntime") from None
