"""ONNX of the whole scoring path, proven equal on test pictures, measured against PyTorch; smaller where that pays."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np

from core.artifacts import write_json
from core.data.samples import Samples
from core.errors import BadParamsError, MissingArtifactError
from core.evaluation.calibration import CALIBRATORS
from core.images.image import images_of, stack_pixels
from core.images.spec import ImageSpec
from core.learners.base import LEARNERS
from core.learners.scoring_model import ScoringModel
from core.params import VerticalParams
from core.pictures.graph_scores import Score, eager_score, latency, session_score
from core.pictures.smaller_models import Judge, try_int8, try_pruned, try_student
from core.threads import num_threads

MODEL, MAPS_MODEL, CARD = "model.onnx", "backbone_maps.onnx", "onnx.json"
NUM_COMPARED_MAPS = 16


def export_model(
    model: ScoringModel, opened: dict[str, Samples], params: VerticalParams, folder: Path
) -> dict[str, Any]:
    """Write model.onnx (pixels to probability), onnx.json (how to feed it) and the smaller graphs that pay.

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
    judge = Judge(graph, opened["valid"].labelled(), pixels, model.threshold)
    return result | _smaller(model, module, opened["train"], params, judge, folder)


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


def _smaller(
    model: ScoringModel, module: Any, train: Samples, params: VerticalParams, judge: Judge, folder: Path
) -> dict[str, Any]:
    """Figures of int8, of pruned channels and of a student; all are fed as the full graph is."""
    pixels, backbone = stack_pixels(images_of(train)), backbone_of(model.learner)
    seed = params.train.seed
    return (
        try_int8(folder / MODEL, pixels, judge)
        | try_pruned(module, train, params.export.pruned_fractions, judge, folder)
        | try_student(backbone, train, params.export.student_seconds, judge, folder, seed=seed)
    )


def backbone_of(learner: Any) -> Any:
    """The network of `image_probe` or of `image_classifier`."""
    return learner.backbone_ if hasattr(learner, "backbone_") else learner.model_.backbone


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
        "fitting": {} if image is None else _fitting(image),
        "resampling": "bilinear with antialias; a padded border is the median of the picture's own border",
    }


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise MissingArtifactError(f"{error.name} is not installed.", repair="pip install onnx onnxruntime") from None


def _fitting(image: ImageSpec) -> dict[str, Any]:
    """How a picture becomes the graph's input."""
    told = {"size_px": image.side_px, "colour": image.colour, "fit": image.fit}
    return told | {"crop": image.crop, "harmonise": image.harmonise}
