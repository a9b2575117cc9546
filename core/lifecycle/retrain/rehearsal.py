"""`--dry-run`: the delivery taken in, prepared and watched in a copy; what a run would do, and nothing is changed."""

from __future__ import annotations

import contextlib
import importlib
import io
import shutil
import tempfile
from pathlib import Path

from core.artifacts import Artifacts
from core.lifecycle.retrain.batch_source import BatchSource
from core.lifecycle.retrain.journal import unfinished_run
from core.lifecycle.retrain.loop import run_type
from core.lifecycle.retrain.training import NONE
from core.params import load_params
from core.vertical import load_vertical


def rehearse(root: Path, vertical_name: str, source: BatchSource | None) -> list[str]:
    """Lines that say what a run would do up to training; the rest depends on the challenger.

    Raises:
        CrossdomainError: what would stop the run before training.
    """
    vertical = load_vertical(vertical_name)
    params = load_params(root / "params.yaml", vertical_name, vertical.params_type)
    kind = run_type(vertical)
    told = kind.parse(params, vertical_name)
    stopped = unfinished_run(root, vertical_name)
    lines = [f"Run {stopped.run} was stopped; the next call would go on with it."] if stopped else []
    target = params.prepare.target_domain
    with tempfile.TemporaryDirectory(prefix="crossdomain-") as name:
        data, artifacts = Path(name) / "data", Artifacts(Path(name) / "artifacts", vertical_name)
        for domain in {target, *params.prepare.source_domains, *([source.domain] if source else [])}:
            folder = root / "data" / vertical_name / domain
            if folder.exists():
                shutil.copytree(folder, data / vertical_name / domain)
        if source is not None:
            source.describe()
        run = kind(root, vertical, params, told, None, source, lines.append, data, artifacts)
        taken = run.take_in()
        if taken["batch"] is not None:
            lines.append(f"take_in: {taken['rows']} rows of '{taken['batch']}', {taken['quarantined']} quarantined.")
            lines += [f"  note: {note}" for note in taken["notes"]]
        with contextlib.redirect_stdout(io.StringIO()) as said:
            stage = vertical.stage_name("prepare")
            prepare = getattr(importlib.import_module(f"core.stages.{stage}"), stage)
            prepare(vertical, params, artifacts, seed=getattr(params.prepare, "seed", 0), data_folder=data)
        lines += said.getvalue().splitlines()
        if run.champion() is None:
            return [*lines, "watch: there is no champion yet.", "train: the pipeline would run."]
        watched = run.watch(taken)
    advice = watched["recommendation"]
    lines.append(f"watch: {advice['action']}: {' '.join(advice['reasons'])}")
    if watched["batch_problems"]:
        version = run.champion_version().version
        return [*lines, f"The delivery would be set aside, and {version} stay the champion."]
    training, reason = run.kind_of_training(watched)
    return [*lines, f"train: {'nothing' if training == NONE else training}. {reason}"]
