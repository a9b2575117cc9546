"""From a delivery to a promoted model or a reasoned refusal: the steps of one run, in their order.

Every step either leaves what it changes whole or is done again; what people use (champion, data in use, registry) is
changed by single renames. A run that was killed is taken up at the step that it was in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.artifacts import Artifacts, read_json, remove_leftovers
from core.data.held_batches import has_batch, held_path, set_aside
from core.errors import BadInputError, CrossdomainError
from core.learners.scoring_model import ScoringModel
from core.lifecycle.pipeline import reproduce
from core.lifecycle.registry import champion_folder, read_stages, read_version
from core.lifecycle.registry.mlflow_mirror import tell_mlflow
from core.lifecycle.registry.records import utc_now
from core.lifecycle.retrain.batch_source import BatchSource
from core.lifecycle.retrain.deciding import changed_code, commit_run, decide, push_version, register_challenger
from core.lifecycle.retrain.journal import HELD, KEPT, Journal, begin_run, read_journals, unfinished_run
from core.lifecycle.retrain.journal_facts import STEPS
from core.lifecycle.retrain.judging import judge
from core.lifecycle.retrain.notifying import message_of, notify
from core.lifecycle.retrain.prepared_rows import TargetRows, open_target_rows
from core.lifecycle.retrain.prometheus import write_prometheus
from core.lifecycle.retrain.retrain_params import RetrainParams, retrain_params
from core.lifecycle.retrain.retrain_report import write_report
from core.lifecycle.retrain.taking_in import take_in
from core.lifecycle.retrain.training import (
    LABELS_NEEDED,
    NONE,
    PIPELINE,
    kind_of_training,
    learns_unlabelled,
    train_challenger,
)
from core.lifecycle.retrain.watching import watch_target
from core.lifecycle.run_lock import exclusive
from core.params import VerticalParams, load_params
from core.vertical import Vertical, load_vertical

EXIT_CODES = {"promoted": 0, "kept": 0, "refused": 20, "held": 21}


def retrain(
    root: Path, vertical_name: str, *, source: BatchSource | None = None, report: Callable[[str], None] = print
) -> Journal:
    """One run, or the rest of one that was stopped; its journal, ended.

    source: a delivery that is not in the data yet; None: what is there, with labels that came since.

    Raises:
        CrossdomainError: another run is going on, or a step fails; the journal stays open, and a further call goes on
            at that step.
    """
    root = Path(root)
    vertical = load_vertical(vertical_name)
    params = load_params(root / "params.yaml", vertical_name)
    told = retrain_params(params, vertical_name)
    with exclusive(root, f"retrain-{vertical_name}"):
        journal = _journal_of(root, vertical_name, source)
        run = Run(root, vertical, params, told, journal, source, report)
        try:
            run.go()
        except CrossdomainError as error:
            run.tell_failure(error)
            raise
        return journal


def abandon(root: Path, vertical_name: str) -> Journal | None:
    """End a run that was stopped, without doing the rest of it; what it has taken in stays. None: there is none."""
    load_vertical(vertical_name)
    with exclusive(root, f"retrain-{vertical_name}"):
        journal = unfinished_run(root, vertical_name)
        if journal is not None:
            journal.end("abandoned")
        return journal


@dataclass(frozen=True)
class Run:
    """What every step of one run needs."""

    root: Path
    vertical: Vertical
    params: VerticalParams
    retrain: RetrainParams
    journal: Journal
    source: BatchSource | None
    report: Callable[[str], None]

    @property
    def name(self) -> str:
        """Of the vertical."""
        return self.vertical.name

    @property
    def target_folder(self) -> Path:
        """The target domain's data."""
        return self.root / "data" / self.name / self.params.prepare.target_domain

    @property
    def own_folder(self) -> Path:
        """What the run writes for people to read."""
        return self.root / "artifacts" / self.name / "retrain" / self.journal.run

    def go(self) -> None:
        """All steps, from the first that is not done."""
        remove_leftovers(self.own_folder)
        data = self.root / "data"
        target = self.params.prepare.target_domain
        taken = self.step("take_in", lambda: take_in(data, self.vertical, target, self.source))
        self.step("prepare", self.prepare)
        watched = self.step("watch", lambda: self.watch(taken))
        if watched["batch_problems"]:
            self.step("set_aside", lambda: self.set_aside(taken, watched))
            decision = self.step("decide", lambda: self.stay(HELD, watched["batch_problems"], [taken["batch"]]))
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
        registered = self.step(
            "register",
            lambda: register_challenger(self.root, self.name, self.params, trained, judgement, self.journal.run),
        )
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

    def prepare(self) -> dict[str, Any]:
        """Splits and checks of all deliveries in use."""
        reproduce(self.name, self.root, to="prepare", report=self.report)
        return {}

    def watch(self, taken: dict[str, Any]) -> dict[str, Any]:
        """What the monitor finds; nothing where there is no champion to watch."""
        champion = self.champion()
        if champion is None:
            return {"batches": taken["batches"], "batch_problems": [], "recommendation": None, "reports": []}
        version = read_version(self.root, self.name, read_stages(self.root, self.name).champion)
        target = self.params.prepare.target_domain
        newest = taken["batch"] if taken["domain"] == target else None
        watched = watch_target(
            champion,
            self.rows(),
            folder=self.target_folder,
            known_batches=version.lineage.batches.get(target, ()),
            batch_order=taken["batches"] if taken["domain"] == target else (),
            newest=newest,
            params=self.retrain,
        )
        self.report(f"    {watched.recommendation.action}: {' '.join(watched.recommendation.reasons)}")
        return watched.as_dict()

    def set_aside(self, taken: dict[str, Any], watched: dict[str, Any]) -> dict[str, Any]:
        """Take the delivery out of the data in use, and prepare what is left."""
        folder = self.root / "data" / self.name / taken["domain"]
        held = set_aside(folder, taken["batch"], reason=" ".join(watched["batch_problems"]), at=utc_now())
        self.prepare()
        return {"batch": held.batch, "path": held_path(folder, held.batch).relative_to(self.root).as_posix()}

    def train(self, watched: dict[str, Any]) -> dict[str, Any]:
        """The challenger, if one is asked for."""
        advice = watched["recommendation"]
        kind, reason = kind_of_training(
            advice["action"] if advice else None,
            self.retrain,
            num_new_labels=watched.get("num_new_labels", 0),
            learns_unlabelled=learns_unlabelled(self.params),
        )
        trained = train_challenger(
            kind,
            vertical=self.vertical,
            params=self.params,
            root=self.root,
            champion=self.champion(),
            read_rows=self.rows,
            own_folder=self.own_folder,
            report=self.report,
        )
        return {**trained, "reason": reason}

    def judge(self, trained: dict[str, Any]) -> dict[str, Any]:
        """Both models on the same rows."""
        champion = self.champion()
        is_pipeline = trained["kind"] == PIPELINE
        release = Artifacts(self.root / "artifacts", self.name).path("report", "release_metrics.json")
        return judge(
            ScoringModel.load(self.root / trained["model"]),
            champion,
            self.rows() if champion is not None else None,
            release=read_json(release) if is_pipeline else None,
            vertical=self.vertical,
            params=self.params,
            retrain=self.retrain,
            changed_code=changed_code(self.root),
        )

    def stay(self, outcome: str, reasons: list[str], aside: list[str]) -> dict[str, Any]:
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

    def champion(self) -> ScoringModel | None:
        """The model in use; None before the first promotion."""
        folder = champion_folder(self.root, self.name)
        return None if folder is None else ScoringModel.load(folder)

    def rows(self) -> TargetRows:
        """The prepared rows of the target."""
        return open_target_rows(self.vertical, self.params, Artifacts(self.root / "artifacts", self.name))


def _journal_of(root: Path, vertical: str, source: BatchSource | None) -> Journal:
    """The run that was stopped, or a new one.

    Raises:
        BadInputError: the stopped run is about another delivery, or the new one's name is taken.
    """
    told = source.describe() if source is not None else None
    stopped = unfinished_run(root, vertical)
    if stopped is None:
        if source is not None and has_batch(root / "data" / vertical / source.domain, source.name):
            raise BadInputError(
                f"Domain '{source.domain}' has a batch '{source.name}' already; it is not overwritten.",
                repair="Leave --batch out to retrain on what is there, or name the new one with --name.",
            )
        return begin_run(root, vertical, told)
    own = stopped.values["batch"]
    if told is not None and (own is None or (own["name"], own["sha256"]) != (told["name"], told["sha256"])):
        about = f"batch '{own['name']}'" if own else "the data as it is"
        raise BadInputError(
            f"Run {stopped.run} of {vertical}, about {about}, was stopped and is not over.",
            repair=f"Finish it: `crossdomain retrain {vertical}`; or give it up: `crossdomain retrain {vertical}"
            " --abandon`. Then bring this batch.",
        )
    if told is None and own is not None and stopped.result("take_in") is None:
        raise BadInputError(
            f"Run {stopped.run} of {vertical} was stopped before batch '{own['name']}' was taken in.",
            repair="Give the file again with --batch, or give the run up with --abandon.",
        )
    return stopped
