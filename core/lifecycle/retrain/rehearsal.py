"""`--dry-run`: the delivery taken in, prepared and watched in a copy; what a run would do, and nothing is changed."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from pathlib import Path

from core.artifacts import Artifacts
from core.learners.scoring_model import ScoringModel
from core.lifecycle.registry import champion_folder, read_stages, read_version
from core.lifecycle.retrain.batch_source import BatchSource
from core.lifecycle.retrain.journal import unfinished_run
from core.lifecycle.retrain.prepared_rows import open_target_rows
from core.lifecycle.retrain.retrain_params import retrain_params
from core.lifecycle.retrain.taking_in import take_in
from core.lifecycle.retrain.training import NONE, kind_of_training, learns_unlabelled
from core.lifecycle.retrain.watching import watch_target
from core.params import load_params
from core.stages.prepare import prepare
from core.vertical import load_vertical


def rehearse(root: Path, vertical_name: str, source: BatchSource | None) -> list[str]:
    """Lines that say what a run would do up to training; the rest depends on the challenger.

    Raises:
        CrossdomainError: what would stop the run before training.
    """
    vertical, params = load_vertical(vertical_name), load_params(root / "params.yaml", vertical_name)
    told = retrain_params(params, vertical_name)
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
        taken = take_in(data, vertical, target, source)
        if taken["batch"] is not None:
            lines.append(f"take_in: {taken['rows']} rows of '{taken['batch']}', {taken['quarantined']} quarantined.")
            lines += [f"  note: {note}" for note in taken["notes"]]
        with contextlib.redirect_stdout(io.StringIO()) as said:
            prepare(vertical, params, artifacts, seed=params.prepare.seed, data_folder=data)
        lines += said.getvalue().splitlines()
        folder = champion_folder(root, vertical_name)
        if folder is None:
            return [*lines, "watch: there is no champion yet.", "train: the pipeline would run."]
        version = read_version(root, vertical_name, read_stages(root, vertical_name).champion)
        is_target = taken["domain"] == target
        watched = watch_target(
            ScoringModel.load(folder),
            open_target_rows(vertical, params, artifacts),
            folder=data / vertical_name / target,
            known_batches=version.lineage.batches.get(target, ()),
            batch_order=taken["batches"] if is_target else (),
            newest=taken["batch"] if is_target else None,
            params=told,
        )
    advice = watched.recommendation
    lines.append(f"watch: {advice.action}: {' '.join(advice.reasons)}")
    if watched.batch_problems:
        return [*lines, f"The delivery would be set aside, and {version.version} stay the champion."]
    kind, reason = kind_of_training(
        advice.action,
        told,
        num_new_labels=watched.num_new_labels,
        learns_unlabelled=learns_unlabelled(params),
    )
    return [*lines, f"train: {'nothing' if kind == NONE else kind}. {reason}"]
