"""Where a run's curves go: DVCLive files by default, TensorBoard, W&B or MLflow by a parameter."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BadParamsError

if TYPE_CHECKING:
    from accelerate import Accelerator

INSTALLS = {
    "dvclive": "pip install dvclive",
    "tensorboard": "pip install 'crossdomain[tensorboard]'",
    "wandb": "pip install 'crossdomain[wandb]'",
    "mlflow": "pip install mlflow",
}
NEED_FOLDER = ("dvclive", "tensorboard")


def tracked_options(
    options: Mapping[str, Any], kind: type, trackers: Sequence[str], log_folder: str | Path
) -> dict[str, Any]:
    """Options of a learner with its training loop's trackers and log folder filled in where they are not told.

    The folder is told relative to the working directory: options are saved with the model.
    kind: the learner's Options; its loop's options are `training`, or `text.training` for a learner with a text part.
    """
    names = getattr(kind, "__dataclass_fields__", {})
    if "training" in names:
        told = {"trackers": tuple(trackers), "log_folder": os.path.relpath(log_folder), **options.get("training", {})}
        return {**options, "training": told}
    if "text" in names:
        text = options.get("text", {})
        told = {"trackers": tuple(trackers), "log_folder": os.path.relpath(log_folder), **text.get("training", {})}
        return {**options, "text": {**text, "training": told}}
    return dict(options)


def log_final_metrics(
    trackers: Sequence[str], log_folder: str | Path, metrics: Mapping[str, float], params: Mapping[str, str]
) -> None:
    """A run's last word in DVCLive; what a training loop has written to the folder stays."""
    if "dvclive" not in usable_trackers(trackers, log_folder):
        return
    from dvclive import Live

    with Live(str(log_folder), resume=True, dvcyaml=None, save_dvc_exp=False, monitor_system=False) as live:
        live.log_params(dict(params))
        live.summary.update({name: float(value) for name, value in metrics.items()})


def usable_trackers(names: Sequence[str], log_folder: str | Path | None) -> list[str]:
    """The trackers that will write: those that need a folder are left out when none is given.

    Raises:
        BadParamsError: a tracker's package is not installed; the repair names the extra.
    """
    wanted = [name for name in names if log_folder is not None or name not in NEED_FOLDER]
    for name in wanted:
        if importlib.util.find_spec(name) is None:
            raise BadParamsError(f"Tracker '{name}' is not installed.", repair=f"{INSTALLS[name]}, or drop it.")
    return wanted


def start_trackers(accelerator: Accelerator, log_folder: str | Path | None, config: dict[str, Any]) -> None:
    """Start what the accelerator was made with; `config` is shown as the run's parameters."""
    if not accelerator.log_with:
        return
    settings = {
        # No experiment commit and no dvc.yaml of its own: the pipeline declares its metrics itself.
        "dvclive": {"dir": str(log_folder), "save_dvc_exp": False, "dvcyaml": None, "monitor_system": False}
    }
    shown = {name: value for name, value in config.items() if isinstance(value, (bool, int, float, str))}
    accelerator.init_trackers("crossdomain", config=shown, init_kwargs=settings)
