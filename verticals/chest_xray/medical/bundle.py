"""A MONAI bundle of an exported scoring graph: metadata, inference configuration, weights, code and a note."""

from __future__ import annotations

import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import core
from core.artifacts import write_json, write_text
from core.images.spec import ImageSpec
from core.learners.base import LEARNERS
from core.learners.scoring_model import ScoringModel

SCRIPTS = Path(__file__).parent / "bundle_scripts"
SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
PICTURES = (".png", ".jpg", ".jpeg", ".bmp")
NEEDED = ("onnxruntime", "pytorch-ignite", "fire", "pillow")
PREDICTIONS = "predictions.csv"
INTENDED_USE = (
    "Research and evaluation of domain adaptation on frontal chest radiographs. "
    "Not a medical device; not for diagnosis."
)
SYNTHETIC = "SYNTHETIC: learned from generated pictures; no clinical statement follows from it."


def write_bundle(model: ScoringModel, graph: Path, folder: Path) -> None:
    """Write configs/, models/model.onnx, scripts/ and docs/README.md. No pickle: the weights are inside the graph.

    graph: the ONNX file of the whole scoring path, uint8 pixels to calibrated probability.

    Source: MONAI Bundle Specification. It asks for models/model.pt, a pickle; the ONNX file takes its place here.
    """
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(graph, folder / "models" / "model.onnx")
    shutil.copytree(SCRIPTS, folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    write_json(folder / "configs" / "metadata.json", metadata(model))
    write_json(folder / "configs" / "inference.json", inference_config(image_spec(model)))
    write_text(folder / "docs" / "README.md", readme(model))


def image_spec(model: ScoringModel) -> ImageSpec:
    """How the model's pictures are fitted."""
    column = model.spec.image_column if model.spec is not None else None
    return column.image if column is not None and column.image is not None else ImageSpec()


def metadata(model: ScoringModel) -> dict[str, Any]:
    """metadata.json, in the fields of MONAI's schema; organisations only, no person is named."""
    spec, image = model.spec, image_spec(model)
    is_synthetic = bool(spec and spec.is_synthetic)
    channels = 1 if image.colour == "grey" else 3
    told = f"{SYNTHETIC} " if is_synthetic else ""
    return {
        "schema": SCHEMA,
        "version": core.__version__,
        "changelog": {core.__version__: "exported by Crossdomain"},
        "monai_version": _version("monai"),
        "pytorch_version": _version("torch").split("+")[0],
        "numpy_version": _version("numpy"),
        "required_packages_version": {name: _version(name) for name in NEEDED},
        "supported_apps": {},
        "name": f"Chest radiograph: {model.positive_class} or not",
        "task": "Binary classification of frontal chest radiographs",
        "description": f"{told}Calibrated probability of {model.positive_class}; one graph from pixels to probability.",
        "authors": "Crossdomain",
        "copyright": "Copyright (c) Crossdomain",
        "data_source": (spec.source or spec.title or spec.name) if spec else "not told",
        "data_type": "PNG or JPEG",
        "image_classes": f"{channels} channel(s) of 0..255, {image.side_px} x {image.side_px}",
        "label_classes": ", ".join(f"{place}: {name}" for place, name in enumerate(model.classes)),
        "pred_classes": f"one probability, of {model.positive_class}",
        "eval_metrics": {},
        "intended_use": INTENDED_USE,
        "references": [],
        "threshold": float(model.threshold),
        "learner": LEARNERS.name_of(type(model.learner)),
        "is_synthetic": is_synthetic,
        "network_data_format": _data_format(model, image, channels),
    }


def _data_format(model: ScoringModel, image: ImageSpec, channels: int) -> dict[str, Any]:
    """Tensors in and out."""
    names = {"0": "grey level"} if channels == 1 else {"0": "red", "1": "green", "2": "blue"}
    return {
        "inputs": {
            "image": {
                "type": "image",
                "format": "magnitude",
                "modality": "XR",
                "num_channels": channels,
                "spatial_shape": [image.side_px, image.side_px],
                "dtype": "float32",
                "value_range": [0, 255],
                "is_patch_data": False,
                "channel_def": names,
            }
        },
        "outputs": {
            "pred": {
                "type": "probabilities",
                "format": "classes",
                "num_channels": 1,
                "spatial_shape": [],
                "dtype": "float32",
                "value_range": [0, 1],
                "is_patch_data": False,
                "channel_def": {"0": model.positive_class},
            }
        },
    }


def inference_config(image: ImageSpec) -> dict[str, Any]:
    """inference.json, with the names that MONAI asks of an inference workflow."""
    found = "$[str(p) for p in sorted(pathlib.Path(@dataset_dir).rglob('*')) if p.suffix.lower() in @suffixes]"
    reader = {"_target_": "PILReader", "converter": "$scripts.as_eight_bits", "reverse_indexing": False}
    return {
        "imports": ["$import pathlib", "$import monai", "$import scripts"],
        "bundle_root": ".",
        "dataset_dir": ".",
        "output_dir": "$@bundle_root + '/eval'",
        "suffixes": list(PICTURES),
        "batch_size": 8,
        "device": "$torch.device('cpu')",
        "datalist": found,
        "network_def": {"_target_": "scripts.OnnxNetwork", "path": "$@bundle_root + '/models/model.onnx'"},
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image", "reader": reader, "image_only": True},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {
                    "_target_": "scripts.FitPixelsd",
                    "keys": "image",
                    "size_px": image.side_px,
                    "colour": image.colour,
                    "fit": image.fit,
                },
            ],
        },
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': path} for path in @datalist]",
            "transform": "@preprocessing",
        },
        "dataloader": {
            "_target_": "DataLoader",
            "dataset": "@dataset",
            "batch_size": "@batch_size",
            "shuffle": False,
            "num_workers": 0,
        },
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {"_target_": "Compose", "transforms": [{"_target_": "ToTensord", "keys": "pred"}]},
        "handlers": [
            {
                "_target_": "ClassificationSaver",
                "output_dir": "@output_dir",
                "filename": PREDICTIONS,
                "batch_transform": "$lambda batch: [one['image'].meta for one in batch]",
                "output_transform": "$monai.handlers.from_engine(['pred'])",
            }
        ],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
        "run": ["$@evaluator.run()"],
    }


def readme(model: ScoringModel) -> str:
    """docs/README.md of the bundle."""
    spec = model.spec
    lines = [f"# Chest radiographs: probability of {model.positive_class}", ""]
    if spec is not None and spec.is_synthetic:
        lines += [f"**{SYNTHETIC}**", ""]
    packages = " ".join(["monai", *NEEDED])
    lines += [
        INTENDED_USE,
        "",
        "## Run",
        "",
        f"    pip install torch {packages}",
        "    python -m monai.bundle run --config_file configs/inference.json --meta_file configs/metadata.json \\",
        "        --bundle_root . --dataset_dir <folder of pictures> --output_dir <folder>",
        "",
        f"`{PREDICTIONS}` gets a line a picture ({', '.join(PICTURES)}; all below the folder): its path, a comma, the",
        f"calibrated probability of {model.positive_class}. From {model.threshold:.6g} on it is called",
        f"{model.positive_class}. The project that wrote this bundle is not needed to run it.",
        "",
        "## What is inside",
        "",
        "- models/model.onnx: the path from pixels to calibrated probability. There is no model.pt: that would be a",
        "  pickle, which can hold code.",
        "- scripts/: the picture fitted as in training, and the graph as a torch module.",
        "",
        "## What is not",
        "",
        "- The input gate (is this a frontal chest radiograph?), the abstention of the conformal sets, heat maps: they",
        "  are in the project's own `predict`.",
        "- DICOM. Convert to PNG first, with the window and the photometric interpretation applied.",
        "- A picture that cannot be read stops the run.",
        "",
        f"Data: {(spec.source or spec.title or spec.name) if spec else 'not told'}."
        + (f" Licence of the data: {spec.licence}." if spec and spec.licence else ""),
    ]
    return "\n".join(lines) + "\n"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed where it was exported"
