"""A bundle run as any MONAI user runs it, in a process of its own, and compared with the model it came from."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from core.data.samples import Samples
from core.errors import MissingArtifactError, VerificationError
from core.images.image import images_of
from core.learners.scoring_model import ScoringModel
from core.pictures.onnx_files import parity
from verticals.chest_xray.medical.bundle import PREDICTIONS

NEEDED_MODULES = {"monai": "monai", "fire": "fire", "ignite": "pytorch-ignite", "onnxruntime": "onnxruntime"}
NUM_COMPARED = 16
MAX_SECONDS = 600


def run_bundle(
    bundle: Path, pictures: Path, output: Path, *, blocked: tuple[str, ...] = ("core", "verticals")
) -> dict[str, float]:
    """File name -> probability, by `python -m monai.bundle run`. blocked: modules that cannot be imported meanwhile.

    The name is relative to `pictures`.

    Raises:
        MissingArtifactError: MONAI, fire, ignite or ONNX Runtime is not installed.
        VerificationError: the bundle does not run.
    """
    missing = [package for module, package in NEEDED_MODULES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise MissingArtifactError(
            f"To run a bundle, {', '.join(missing)} must be installed.", repair=f"pip install {' '.join(missing)}"
        )
    told = {
        "config_file": "configs/inference.json",
        "meta_file": "configs/metadata.json",
        "bundle_root": str(bundle.resolve()),
        "dataset_dir": str(pictures.resolve()),
        "output_dir": str(output.resolve()),
    }
    arguments = [part for name, value in told.items() for part in (f"--{name}", value)]
    start = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({blocked!r})); "
        "sys.argv[0] = 'monai.bundle'; runpy.run_module('monai.bundle', run_name='__main__', alter_sys=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", start, "run", *arguments],
        cwd=bundle,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=MAX_SECONDS,
        check=False,
    )
    if done.returncode or not (output / PREDICTIONS).exists():
        raise VerificationError(f"The bundle does not run: {done.stderr.strip()[-800:]}")
    return read_predictions(output / PREDICTIONS, pictures)


def read_predictions(path: Path, pictures: Path) -> dict[str, float]:
    """File name, relative to `pictures` -> probability. MONAI's saver quotes nothing: the last comma divides."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.rsplit(",", 1) for line in lines if line)
    return {Path(name).relative_to(pictures.resolve()).as_posix(): float(value) for name, value in pairs}


def bundle_parity(model: ScoringModel, test: Samples, bundle: Path, tolerance: float) -> dict[str, Any]:
    """The bundle on pictures of the test set, written as PNG, against the learner in fp32; keys are `bundle_...`."""
    test = test.take(np.arange(min(NUM_COMPARED, len(test))))
    with tempfile.TemporaryDirectory() as temporary:
        pictures, output = Path(temporary) / "pictures", Path(temporary) / "out"
        pictures.mkdir()
        for row, image in enumerate(images_of(test)):
            pixels = np.asarray(image.pixels)
            pixels = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
            PillowImage.fromarray(pixels).save(pictures / f"{row:04d}.png")
        try:
            found = run_bundle(bundle, pictures, output)
        except MissingArtifactError as error:
            return {"bundle_is_run": False, "bundle_reason": str(error)}
    in_order = np.array([found[f"{row:04d}.png"] for row in range(len(test))])
    compared: Mapping[str, Any] = parity(model, test, lambda pixels: in_order, tolerance)
    return {
        "bundle_is_run": True,
        "bundle_rows_compared": len(test),
        "bundle_largest_difference": compared["largest_difference"],
        "bundle_is_equal": compared["is_equal"],
    }


def _environment() -> dict[str, str]:
    """This process's, without paths to this project's code; nothing compiled is left in the bundle."""
    told = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**told, "PYTHONDONTWRITEBYTECODE": "1"}
