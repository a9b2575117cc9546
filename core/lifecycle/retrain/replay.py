"""A history played through the loop, delivery by delivery, beside two rivals: never retrain, and always retrain.

Every month is scored before its labels are seen by anything: by the loop's champion of that day, by the first champion,
and by the model that would serve if every month's challenger were promoted unjudged.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from core.artifacts import Artifacts, read_json, write_json, write_table
from core.data.domain_folder import batch_path
from core.data.held_batches import held_path, take_back
from core.data.late_labels import add_late_labels, late_batch_names
from core.errors import CrossdomainError
from core.learners.scoring_model import ScoringModel
from core.lifecycle.registry import champion_folder, read_stages
from core.lifecycle.registry.records import utc_now
from core.lifecycle.retrain.batch_source import BatchSource
from core.lifecycle.retrain.journal import Journal, read_journals, unfinished_run
from core.lifecycle.retrain.loop import retrain
from core.lifecycle.retrain.prepared_rows import open_target_rows, probability_of
from core.lifecycle.retrain.training import PIPELINE, RECALIBRATED
from core.params import load_params, read_params_file
from core.stages.prepare import prepare
from core.stages.train import train
from core.vertical import load_vertical

LOOP, NEVER, ALWAYS = "loop", "never", "always"
WAYS = (NEVER, LOOP, ALWAYS)
TRAINED = (PIPELINE, RECALIBRATED)
IDENTITY = ("-c", "user.name=replay", "-c", "user.email=replay@localhost")


@dataclass(frozen=True)
class Delivery:
    """What comes in one month. path: as `crossdomain import` reads it. labels: those that come late with it.

    truth: sample id -> 1 positive, 0 negative, of the delivery's own rows; nothing but the scoring reads it.
    """

    name: str
    path: Path
    truth: pd.Series
    labels: pd.DataFrame | None = None


@dataclass(frozen=True)
class Replay:
    """A project of its own below `folder`. first: deliveries before the first champion, with their import options."""

    folder: Path
    vertical: str
    domain: str
    section: dict[str, Any]
    first: Sequence[Delivery]
    deliveries: Sequence[Delivery]
    import_options: dict[str, Any] = field(default_factory=dict)


def play(plan: Replay, root: Path, *, report: Callable[[str], None] = print) -> tuple[pd.DataFrame, list[dict]]:
    """(scores, months): a row a scored case with each way's probability and threshold; a record a month.

    What a killed replay has finished is kept: a month is done when its record is there.

    Raises:
        CrossdomainError: a step of the loop fails, or the project has changes in no commit.
    """
    project = plan.folder / "project"
    if not (plan.folder / "started.json").exists():
        _start(plan, root, project)
    scores, months = [], []
    for number, delivery in enumerate(plan.deliveries, start=1):
        record, table = (plan.folder / f"month_{number:03d}{ending}" for ending in (".json", ".parquet"))
        if not record.exists():
            told, scored = _month(plan, project, delivery)
            write_table(table, scored)
            write_json(record, told)
        months.append(read_json(record))
        scores.append(pd.read_parquet(table))
        last = months[-1]
        report(f"{number}/{len(plan.deliveries)} {delivery.name}: {last['outcome']}, champion {last['champion']}")
    return pd.concat(scores, ignore_index=True), months


def _start(plan: Replay, root: Path, project: Path) -> None:
    """The project with its first data, and the first champion."""
    if plan.folder.exists():
        shutil.rmtree(plan.folder)
    plan.folder.mkdir(parents=True)
    _git(root, "clone", "--quiet", "--no-hardlinks", str(root), str(project))
    path = project / "params.yaml"
    sections = {**read_params_file(path), plan.vertical: plan.section}
    with path.open("w", encoding="utf-8") as file:
        YAML().dump(sections, file)
    load_params(path, plan.vertical)
    take_in = load_vertical(plan.vertical).import_domain
    for delivery in plan.first:
        take_in(delivery.path, project / "data", plan.domain, batch=delivery.name, **plan.import_options)
    for name in ("dvc.lock", "data.dvc"):
        (project / name).unlink(missing_ok=True)
    for folder in ("artifacts", "registry", "models"):
        shutil.rmtree(project / folder, ignore_errors=True)
    command = [sys.executable, "-m", "dvc", "add", "--quiet", "data"]
    subprocess.run(command, cwd=project, check=True, env={**os.environ, "DVC_NO_ANALYTICS": "1"})
    _git(project, *IDENTITY, "add", "-A")
    _git(project, *IDENTITY, "commit", "--quiet", "-m", "start of a replay")
    journal = retrain(project, plan.vertical)
    champion = champion_folder(project, plan.vertical)
    if champion is None:
        reason = journal.result("decide")["reason"]
        raise CrossdomainError(f"The first model of the replay was not promoted: {reason}")
    for way in (NEVER, ALWAYS):
        shutil.copytree(champion, plan.folder / way, dirs_exist_ok=True)
    write_json(plan.folder / "started.json", {"champion": read_stages(project, plan.vertical).champion})


def _month(plan: Replay, project: Path, delivery: Delivery) -> tuple[dict[str, Any], pd.DataFrame]:
    """The loop's run, then the month's cases scored by the models that served before it."""
    before = plan.folder / "before"  # the champion of the month's first day, also after a stop in its middle
    is_begun = unfinished_run(project, plan.vertical) is not None or _has(plan, project, delivery.name)
    if not is_begun:
        shutil.rmtree(before, ignore_errors=True)
        shutil.copytree(champion_folder(project, plan.vertical), before)
    folder = project / "data" / plan.vertical / plan.domain
    if delivery.labels is not None and f"labels_{delivery.name}" not in late_batch_names(folder):
        add_late_labels(folder, delivery.labels, f"labels_{delivery.name}")
    journal = _run(plan, project, delivery)
    aside = journal.result("decide")["set_aside"]
    if held_path(folder, delivery.name).exists():
        take_back(folder, delivery.name, who="replay", reason="a look found real cases", at=utc_now())
    artifacts = _prepared(plan, project, journal, is_changed=bool(aside))
    rows = open_target_rows(
        load_vertical(plan.vertical), load_params(project / "params.yaml", plan.vertical), artifacts
    )
    rows = rows.take((rows.manifest["batch"] == delivery.name).to_numpy())
    scored = pd.DataFrame({"month": delivery.name, "sample_id": rows.samples.sample_ids})
    scored["group"] = rows.samples.groups.astype(str)
    scored["is_positive"] = delivery.truth.reindex(rows.samples.sample_ids).to_numpy(dtype=float)
    for way, place in {NEVER: plan.folder / NEVER, LOOP: before, ALWAYS: plan.folder / ALWAYS}.items():
        model = ScoringModel.load(place)
        scored[f"probability_{way}"], scored[f"threshold_{way}"] = probability_of(model, rows), model.threshold
    _renew_always(plan, project, journal, artifacts)
    advice = journal.result("watch")["recommendation"] or {}
    stages = read_stages(project, plan.vertical)
    record = {
        "month": delivery.name,
        "rows": len(scored),
        "positives": int(scored["is_positive"].sum()),
        "outcome": journal.outcome,
        "action": advice.get("action"),
        "reasons": advice.get("reasons", []),
        "alarms": _alarms(journal),
        "trained": trained if (trained := (journal.result("train") or {}).get("kind")) in TRAINED else "none",
        "failed_gates": [g["name"] for g in (journal.result("judge") or {}).get("gates", []) if not g["is_passed"]],
        "champion": stages.champion,
        "set_aside": aside,
        "seconds": {name: step["seconds"] for name, step in journal.values["steps"].items()},
    }
    return record, scored


def _has(plan: Replay, project: Path, batch: str) -> bool:
    folder = project / "data" / plan.vertical / plan.domain
    return batch_path(folder, batch).exists() or held_path(folder, batch).exists()


def _run(plan: Replay, project: Path, delivery: Delivery) -> Journal:
    """The loop's run of this delivery; one that is over already is not done again."""
    over = [
        one for one in read_journals(project, plan.vertical) if (one.values["batch"] or {}).get("name") == delivery.name
    ]
    if over and over[-1].outcome is not None:
        return over[-1]
    source = BatchSource(delivery.path, delivery.name, plan.domain)
    return retrain(project, plan.vertical, source=source, report=lambda _: None)


def _prepared(plan: Replay, project: Path, journal: Journal, *, is_changed: bool) -> Artifacts:
    """The prepared rows with the month: the loop's own, or made anew where it had set the month aside."""
    if not is_changed:
        return Artifacts(project / "artifacts", plan.vertical)
    artifacts = Artifacts(plan.folder / "looked_at", plan.vertical)
    vertical, params = load_vertical(plan.vertical), load_params(project / "params.yaml", plan.vertical)
    with contextlib.redirect_stdout(io.StringIO()):
        prepare(vertical, params, artifacts, seed=params.prepare.seed, data_folder=project / "data")
    return artifacts


def _renew_always(plan: Replay, project: Path, journal: Journal, artifacts: Artifacts) -> None:
    """The model of all data so far: the loop's challenger where it trained one, else the same training without it."""
    trained = journal.result("train") or {}
    if trained.get("kind") == PIPELINE:
        model = Artifacts(project / "artifacts", plan.vertical).path("train", "model")
    else:
        own = Artifacts(plan.folder / "always_artifacts", plan.vertical)
        shutil.rmtree(own.root, ignore_errors=True)
        shutil.copytree(artifacts.path("prepare"), own.path("prepare"))
        params = load_params(project / "params.yaml", plan.vertical)
        train(load_vertical(plan.vertical), params, own, seed=params.train.seed)
        model = own.path("train", "model")
    shutil.rmtree(plan.folder / ALWAYS)
    shutil.copytree(model, plan.folder / ALWAYS)


def _alarms(journal: Journal) -> list[str]:
    """Names of what alarmed, with their kind."""
    return [
        f"{test['kind']}: {test['name']}"
        for told in journal.result("watch")["reports"]
        for test in told["report"]["tests"]
        if test["is_alarm"]
    ]


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
