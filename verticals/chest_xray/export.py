"""`export` of chest_xray: ONNX of the whole scoring path with its parity, and a MONAI bundle that is run once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.data.samples import Samples
from core.learners.scoring_model import ScoringModel
from core.params import VerticalParams
from core.pictures.onnx_files import MODEL, export_model
from verticals.chest_xray.medical.bundle import image_spec, write_bundle
from verticals.chest_xray.medical.bundle_run import bundle_parity

BUNDLE = "bundle"


def export(model: ScoringModel, opened: dict[str, Samples], params: VerticalParams, folder: Path) -> dict[str, Any]:
    """Write what `core.pictures.onnx_files.export_model` writes, and `bundle/` where the whole path has a graph.

    The result's `is_equal` holds for both: the graph and, where MONAI is installed to run it, the bundle.

    Raises:
        MissingArtifactError: onnx or onnxruntime is not installed.
        VerificationError: the bundle was written, but does not run.
    """
    result = export_model(model, opened, params, folder)
    if result["exported"] != MODEL:
        return {**result, "bundle": "nothing", "bundle_reason": "A bundle needs a graph from pixels to probability."}
    image = image_spec(model)
    if (image.crop, image.harmonise) != ("none", "none"):
        reason = "The bundle's transforms neither crop to the lungs nor harmonise; use the ONNX file after `fit`."
        return {**result, "bundle": "nothing", "bundle_reason": reason}
    write_bundle(model, folder / MODEL, folder / BUNDLE)
    compared = bundle_parity(model, opened["test"], folder / BUNDLE, params.export.parity_tolerance)
    is_equal = bool(result["is_equal"] and compared.get("bundle_is_equal", True))
    return {**result, "bundle": BUNDLE, **compared, "is_equal": is_equal}
