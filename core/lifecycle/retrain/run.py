"""What all retraining runs do, in the order of their steps; how a model is watched, fitted and judged is its kind's.

Every step either leaves what it changes whole or is done again; what people use (champion, data in use, registry) is
changed by single renames. A run that was killed is taken up at the step that it was in.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.artifacts import Artifacts, read_json, remove_leftovers
from core.data.domain_folder import batch_names
from core.data.held_batches import held_path, set_aside
from core.errors import CrossdomainError
from core.lifecycle.pipeline import reproduce
from core.lifecycle.registry import champion_folder, read_stages, read_version
from core.lifecycle.registry.mlflow_mirror import tell_mlflow
from core.lifecycle.registry.records import Version, utc_now
from core.lifecycle.retrain.batch_source import BatchSource
from core.lifecycle.retrain.deciding import commit_run, decide, push_version, register_challenger
from core.lifecycle.retrain.journal import HELD, KEPT, Journal, read_journals
from core.lifecycle.retrain.journal_facts import STEPS
from core.lifecycle.retrain.notifying import message_of, notify
from core.lifecycle.retrain.prometheus import write_prometheus
from core.lifecycle.retrain.retrain_params import RunParams
from core.lifecycle.retrain.retrain_report import write_report
from core.lifecycle.retrain.taking_in import take_in
from core.lifecycle.retrain.training import LABELS_NEEDED, NONE, PIPELINE
from core.vertical import Vertical


@dataclass(frozen=True)
class Run(abc.ABC):
    """What every step of one run needs.

    params: of the vertical's `params_type`. data, artifacts: where they lie; a rehearsal has copies of its own.
    """

    root: Path
    vertical: Vertical
    params: Any
    retrain: RunParams
    journal: Journal | None
    source: BatchSource | None
    report: Callable[[str], None]
    data: Path
    artifacts: Artifacts

    @classmethod
    @abc.abstractmethod
    def parse(cls, params: Any, vertical_name: str) -> RunParams:
        """The vertical's `retrain` subsection.

        Raises:
            BadParamsError: an unknown key or a value out of range.
        """

    @abc.abstractmethod
    def load(self, folder: Path) -> Any:
        """A saved model, verified."""

    @abc.abstractmethod
    def watch(self, taken: Mapping[str, Any]) -> dict[str, Any]:
        """`{batches, num_new_labels, batch_problems, recommendation: {action, reasons} | None, reports}`.

        batches: those since the champion, oldest first. batch_problems: why the newest is not to be believed; it is
        set aside then. recommendation: None where there is no champion.
        """

    @abc.abstractmethod
    def kind_of_training(self, watched: Mapping[str, Any]) -> tuple[str, str]:
        """(none, pipeline, recalibrated or labels needed; why)."""

    @abc.abstractmethod
    def fit(self, kind: str) -> dict[str, Any]:
        """`{kind, fit_seconds, model, model_digest}` of a challenger; no model where nothing is trained."""

    @abc.abstractmethod
    def judge(self, trained: Mapping[str, Any]) -> dict[str, Any]:
        """`{decision: ship|hold|refuse, headline, gates, comparisons}` of challenger and champion."""

    @abc.abstractmethod
    def metrics_of(self, trained: Mapping[str, Any], judgement: Mapping[str, Any]) -> dict[str, Any]:
        """The challenger's figures as the registry keeps them: metric -> {value, low, high}."""

    @abc.abstractmethod
    def learned_batches(self) -> list[str]:
        """The target's deliveries that the challenger has learned from."""

    @property
    def name(self) -> str:
        """Of the vertical."""
        return self.vertical.name

    @property
    def target(self) -> str:
        """Name of the target domain."""
        return self.params.prepare.target_domain

    @property
    def target_folder(self) -> Path:
        """The target domain's data."""
        return self.data / self.name / self.target

    @property
    def own_folder(self) -> Path:
        """What the run writes for people to read."""
        return self.artifacts.path("retrain", self.journal.run)

    def go(self) -> None:
        """All steps, from the first that is not done."""
        remove_leftovers(self.own_folder)
        taken = self.step("take_in", self.take_in)
        self.step("prepare", self.prepare)
        watched = self.step("watch", lambda: self.watch_and_tell(taken))
        if watched["batch_problems"]:
            aside = self.step("set_aside", lambda: self.set_aside(taken, watched))
            names = [aside["batch"]] if aside["batch"] else []
            decision = self.step("decide", lambda: self.stay(HELD, watched["batch_problems"], names))
        else:
            decision = self.train_and_decide(watched)
        if self.retrain.commit:
            self.step("commit", lambda: commit_run(self.root, self.name, decision["outcome"], self.journal.run))
        self.step("tell", lambda: self.tell(decision["outcome"]))
        self.journal.end(decision["outcome"])
        self.report(f"{self.name} {self.journal.run}: {decision['outcome']}. {decision['reason']}")

    def train_and_decide(self, watched: dict[str, Any]) -> dict[str, Any]:
        """Steps 3 to 5 of a delivery that is believed."""
        trained = self.step("train", lambda: self.train(watched))
        if trained["kind"] in (NONE, LABELS_NEEDED):
            outcome = KEPT if trained["kind"] == NONE else HELD
            reasons = [trained["reason"], *watched["recommendation"]["reasons"]]
            return self.step("decide", lambda: self.stay(outcome, reasons, []))
        judgement = self.step("judge", lambda: self.judge(trained))
        registered = self.step("register", lambda: self.register(trained, judgement))
        version = registered["version"]
        self.step("push", lambda: push_version(self.root, self.name, version, self.retrain))
        return self.step(
            "decide", lambda: decide(self.root, self.name, version, judgement, self.retrain, self.journal.run)
        )

    def step(self, name: str, action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The step's result, told as it begins."""
        if self.journal.result(name) is None:
            self.report(f"[{STEPS.index(name) + 1}/{len(STEPS)}] {name}")
        return self.journal.step(name, action)

    def take_in(self) -> dict[str, Any]:
        """The delivery into the domain's folder."""
        return take_in(self.data, self.vertical, self.target, self.source)

    def prepare(self) -> dict[str, Any]:
        """Splits and checks of all deliveries in use."""
        reproduce(self.name, self.root, to="prepare", report=self.report)
        return {}

    def watch_and_tell(self, taken: dict[str, Any]) -> dict[str, Any]:
        """What the monitor finds; nothing where there is no champion to watch."""
        if self.champion() is None:
            return {"batches": taken["batches"], "batch_problems": [], "recommendation": None, "reports": []}
        watched = self.watch(taken)
        advice = watched["recommendation"]
        self.report(f"    {advice['action']}: {' '.join(advice['reasons'])}")
        return watched

    def set_aside(self, taken: dict[str, Any], watched: dict[str, Any]) -> dict[str, Any]:
        """Take the delivery out of the data in use, and prepare what is left."""
        folder = self.data / self.name / taken["domain"]
        held = set_aside(folder, taken["batch"], reason=" ".join(watched["batch_problems"]), at=utc_now())
        self.prepare()
        return {"batch": held.batch, "path": held_path(folder, held.batch).relative_to(self.root).as_posix()}

    def train(self, watched: dict[str, Any]) -> dict[str, Any]:
        """The challenger, if one is asked for."""
        kind, reason = self.kind_of_training(watched)
        return {**self.fit(kind), "reason": reason}

    def register(self, trained: Mapping[str, Any], judgement: Mapping[str, Any]) -> dict[str, Any]:
        """The challenger with its lineage."""
        sources = {name: batch_names(self.data / self.name / name) for name in self.params.prepare.source_domains}
        return register_challenger(
            self.root,
            self.name,
            trained,
            batches={**sources, self.target: self.learned_batches()},
            metrics=self.metrics_of(trained, judgement),
            target_domain=self.target,
            run=self.journal.run,
        )

    def stay(self, outcome: str, reasons: Sequence[str], aside: list[str]) -> dict[str, Any]:
        """Nothing is trained or changed."""
        champion = read_stages(self.root, self.name).champion
        told = {"champion": champion, "previous": champion, "challenger": None, "set_aside": aside}
        return {"outcome": outcome, "reason": " ".join(reasons), **told}

    def tell(self, outcome: str) -> dict[str, Any]:
        """Report, messages and metrics for people and machines; a message that is not delivered stops nothing."""
        values = {**self.journal.values, "outcome": outcome, "ended_at": utc_now()}
        earlier = [one.values for one in read_journals(self.root, self.name) if one.run != self.journal.run]
        metric = self.vertical.metrics[0]
        write_report(self.own_folder, values, earlier, vertical_title=self.vertical.title, metric=metric)
        page = (self.own_folder / "report.html").relative_to(self.root).as_posix()
        if self.retrain.prometheus_file:
            journals = {**self.last_runs(), self.name: values}
            write_prometheus(self.root / self.retrain.prometheus_file, journals)
        mlflow = tell_mlflow(self.root, self.name, self.retrain.mlflow)
        if "error" in mlflow:
            self.report(f"MLflow was not told: {mlflow['error']}")
        return {
            "report": page,
            "sent": notify(self.retrain.notify, message_of(values, report=page)),
            "mlflow": mlflow,
        }

    def last_runs(self) -> dict[str, dict[str, Any]]:
        """vertical -> journal of its last ended run: a metrics file that several share keeps the others' figures."""
        told = {}
        for folder in sorted((self.root / "registry").glob("*/retrains")):
            ended = [one.values for one in read_journals(self.root, folder.parent.name) if one.outcome is not None]
            if ended:
                told[folder.parent.name] = ended[-1]
        return told

    def tell_failure(self, error: CrossdomainError) -> None:
        """A run that stopped is told as well; it will go on where it is."""
        notify(
            self.retrain.notify,
            message_of({**self.journal.values, "outcome": "failed", "error": str(error)}, report=""),
        )

    def champion(self) -> Any | None:
        """The model in use; None before the first promotion."""
        folder = champion_folder(self.root, self.name)
        return None if folder is None else self.load(folder)

    def champion_version(self) -> Version:
        """The registry's record of the champion, of which there is one."""
        return read_version(self.root, self.name, read_stages(self.root, self.name).champion)

    def news(self, taken: Mapping[str, Any]) -> tuple[tuple[str, ...], str | None]:
        """The target's deliveries since the champion, oldest first, and this run's own if it is the target's."""
        is_target = taken["domain"] == self.target
        known = set(self.champion_version().lineage.batches.get(self.target, ()))
        batches = tuple(name for name in (taken["batches"] if is_target else ()) if name not in known)
        return batches, taken["batch"] if is_target else None

    def release_of(self, trained: Mapping[str, Any]) -> dict[str, Any] | None:
        """The pipeline's own decision of a challenger that it made; None of one that it did not make."""
        path = self.artifacts.path("report", "release_metrics.json")
        return read_json(path) if trained["kind"] == PIPELINE else None
