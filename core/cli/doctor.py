"""`crossdomain doctor`: is this machine ready, and is what lies here what it claims to be?"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

from core.cli.project import project_root
from core.errors import CrossdomainError
from core.threads import num_threads
from core.vertical import Vertical, load_vertical, vertical_names

HELP = """Check versions, threads, bf16, weights, DVC state, domains, models and disk.

Example: crossdomain doctor
"""
PACKAGES = (
    "numpy",
    "pandas",
    "scikit-learn",
    "xgboost",
    "torch",
    "transformers",
    "timm",
    "onnxruntime",
    "dvc",
    "optbinning",
)
MIN_FREE_GB = 5.0


def doctor() -> None:
    """Print a line a check; exit code 1 when one failed."""
    root = project_root()
    failed = 0
    checks = [_versions, _processor, _weights, _disk, _dvc, _domains, _models]
    for check in checks:
        for is_good, text in check(root):
            failed += not is_good
            typer.echo(f"{'ok  ' if is_good else 'FAIL'}  {text}")
    if failed:
        typer.echo(f"{failed} of the checks failed.")
        raise typer.Exit(1)


def _versions(root: object) -> Iterator[tuple[bool, str]]:
    """Python and the packages that decide the figures."""
    yield sys.version_info >= (3, 11), f"Python {platform.python_version()} (3.11 or later is needed)"
    for name in PACKAGES:
        try:
            yield True, f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            yield False, f"{name} is not installed: pip install -e ."


def _processor(root: object) -> Iterator[tuple[bool, str]]:
    """Threads and bf16."""
    yield True, f"threads: {num_threads()} of {os.cpu_count()} cores (set OMP_NUM_THREADS to change)"
    if importlib.util.find_spec("torch"):
        import torch

        has_bf16 = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        device = "CUDA" if torch.cuda.is_available() else "CPU only"
        yield True, f"torch: {device}; bf16 on the processor: {'yes' if has_bf16 else 'no, fp32 is used'}"


def _weights(root: object) -> Iterator[tuple[bool, str]]:
    """Backbone weights by SHA-256; absent ones are no failure, wrong ones are."""
    from core.backbones.weights import weights_status

    for status in weights_status():
        yield status.is_good, status.text


def _disk(root: object) -> Iterator[tuple[bool, str]]:
    """Free space where the project lies."""
    free = shutil.disk_usage(str(root)).free / 1e9
    yield free >= MIN_FREE_GB, f"disk: {free:.1f} GB free ({MIN_FREE_GB:.0f} GB wanted)"


def _dvc(root: object) -> Iterator[tuple[bool, str]]:
    """What DVC would do next."""
    command = [sys.executable, "-m", "dvc", "status", "-q"]
    state = subprocess.run(command, cwd=str(root), capture_output=True, text=True, check=False)
    if state.returncode == 0:
        yield True, "DVC: data and pipelines are up to date"
    elif "ERROR" in state.stderr:
        yield False, "DVC: " + state.stderr.strip().splitlines()[0]
    else:
        yield True, "DVC: something has changed; `dvc status` says what, `dvc repro` brings it up to date"


def _domains(root: object) -> Iterator[tuple[bool, str]]:
    """Each domain folder's domain.yaml parses."""
    from core.data.domain import read_domain_spec

    for vertical in vertical_names():
        folders = sorted((root / "data" / vertical).glob("*/domain.yaml"))
        if not folders:
            yield True, f"{vertical}: no domains yet; crossdomain fetch {vertical}"
        for path in folders:
            try:
                spec = read_domain_spec(path.parent)
                yield (
                    True,
                    f"{vertical}/{spec.name}: {len(spec.columns)} columns, licence: {spec.licence or '?'}",
                )
            except CrossdomainError as error:
                yield False, f"{vertical}/{path.parent.name}: {error}"


def _models(root: object) -> Iterator[tuple[bool, str]]:
    """Saved models verify."""
    for vertical in vertical_names():
        folder = root / "artifacts" / vertical / "train" / "model"
        if folder.exists():
            try:
                _load_model(load_vertical(vertical), folder)
                yield True, f"{vertical}: the saved model verifies"
            except CrossdomainError as error:
                yield False, f"{vertical}: {error}"


def _load_model(vertical: Vertical, folder: Path) -> None:
    """Read a saved model as what its vertical saves."""
    from core.forecasting.forecaster import load_forecaster
    from core.learners.scoring_model import ScoringModel
    from core.regression.regression_model import RegressionModel

    load = RegressionModel.load if vertical.predicts_number else ScoringModel.load
    (load_forecaster if vertical.forecasts else load)(folder)
