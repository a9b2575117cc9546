"""A small lender retrained by real processes, and what has to hold at any moment, however these were killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from monthly_lender import DOMAIN, ROWS_A_MONTH, VERTICAL, make_lender, month_rows
from project_copy import commit_all, environment_of
from ruamel.yaml import YAML

from core.data.domain_folder import batch_names, batch_path, sha256_of
from core.data.held_batches import held_path
from core.learners.scoring_model import ScoringModel
from core.lifecycle.registry import list_versions, read_stages
from core.lifecycle.registry.model_files import verify_model
from core.lifecycle.registry.places import Places
from core.lifecycle.remote import add_local_remote
from core.lifecycle.retrain.journal import Journal, read_journals
from core.lifecycle.served_model import served_model
from core.vertical import load_vertical

MARK = "CROSSDOMAIN_KILLS"  # in the environment of all that a start starts, so that it is known again
POISON_EVERY = 4  # months: one of these many is set aside
NUM_FIRST_MONTHS = 6
END_SECONDS = 1800.0
LEFT_OVER = re.compile(r"\..+\.part(-.+)?|\..+\.[a-z0-9_]{8}|.+\.tmp")


@dataclass
class Lender:
    """A project that is retrained by its own command. folder: around it, with what else its processes write."""

    folder: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def root(self) -> Path:
        return self.folder / "project"

    @property
    def domain(self) -> Path:
        return self.root / "data" / VERTICAL / DOMAIN

    @property
    def environment(self) -> dict[str, str]:
        told = {name: str(self.folder / name.lower()) for name in ("TMPDIR", "DVC_SITE_CACHE_DIR")}
        return environment_of(self.root) | told | {MARK: self.mark, "PYTHONUNBUFFERED": "1"}

    def start(self, *arguments: str, log_name: str = "log") -> Start:
        """`crossdomain ARGUMENTS`, in a process group of its own."""
        log = self.folder / log_name
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "core.cli", *arguments], cwd=self.root, env=self.environment, stdout=file,
                stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        return Start(process, log, time.monotonic())

    def retrain(self, delivery: Path | None = None, *, log_name: str = "log") -> Start:
        return self.start("retrain", VERTICAL, *(["--batch", str(delivery)] if delivery else []), log_name=log_name)

    def journals(self) -> list[Journal]:
        return read_journals(self.root, VERTICAL)

    def journal_of(self, delivery: str) -> Journal | None:
        """The last run about it."""
        told = [one for one in self.journals() if (one.values["batch"] or {}).get("name") == delivery]
        return told[-1] if told else None

    def is_over(self, delivery: str) -> bool:
        """Whether the run about it has ended."""
        journal = self.journal_of(delivery)
        return journal is not None and journal.outcome is not None

    def processes(self) -> list[psutil.Process]:
        """All that this lender's starts have started and that are there still."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found


@dataclass
class Start:
    """A process that was started and what it says."""

    process: subprocess.Popen
    log: Path
    began: float

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def end(self) -> int:
        return self.process.wait(timeout=END_SECONDS)

    def kill(self, kind: str) -> None:
        if kind == "process":
            self.process.kill()
        else:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def make(folder: Path, *, push: bool = True) -> Lender:
    """A lender whose every month is trained on, pushed and committed."""
    lender = Lender(folder)
    for name in ("tmpdir", "dvc_site_cache_dir", "project"):
        (folder / name).mkdir(parents=True)
    told = {"when": "always", "push": push, "commit": True}
    make_lender(lender.root, num_months=NUM_FIRST_MONTHS, params=told)
    add_local_remote(lender.root, folder / "remote")
    commit_all(lender.root, "remote")
    return lender


def write_delivery(folder: Path, month: int) -> Path:
    """The month's file; of one month in POISON_EVERY all labels are the same."""
    path = folder / f"month_{month:03d}.csv"
    rows = month_rows(month)
    (rows.assign(outcome="good") if is_poisoned(month) else rows).to_csv(path, index=False)
    return path


def is_poisoned(month: int) -> bool:
    return month % POISON_EVERY == POISON_EVERY - 1


@dataclass(frozen=True)
class Before:
    """What a month's kills may not change. files: path -> SHA-256 of rows, models' records and ended journals."""

    champion: str | None
    versions: tuple[str, ...]
    batches: dict[str, int]
    files: dict[str, str]
    lock_stages: frozenset[str]

    @classmethod
    def of(cls, lender: Lender) -> Before:
        batches = {name: len(pd.read_parquet(rows_of(lender, name))) for name in all_batches(lender)}
        known = [rows_of(lender, name) for name in batches] + [lender.root / "params.yaml"]
        known += [lender.root / "registry" / VERTICAL / "versions" / f"{v.version}.json" for v in versions_of(lender)]
        known += [journal.path for journal in lender.journals()]
        return cls(
            champion=read_stages(lender.root, VERTICAL).champion,
            versions=tuple(version.version for version in versions_of(lender)),
            batches=batches,
            files={path.relative_to(lender.root).as_posix(): sha256_of(path) for path in known},
            lock_stages=frozenset(read_yaml(lender.root / "dvc.lock").get("stages", {})),
        )


def versions_of(lender: Lender) -> list:
    return list_versions(lender.root, VERTICAL)


def held_names(lender: Lender) -> list[str]:
    return sorted(path.stem for path in (lender.domain / "held").glob("[!.]*.parquet"))


def all_batches(lender: Lender) -> list[str]:
    """In use and held, each as often as it is there."""
    return batch_names(lender.domain) + held_names(lender)


def rows_of(lender: Lender, batch: str) -> Path:
    path = batch_path(lender.domain, batch)
    return path if path.exists() else held_path(lender.domain, batch)


def read_yaml(path: Path) -> dict:
    """Empty where there is no such file; an empty file is an error."""
    if not path.exists():
        return {}
    told = YAML(typ="safe").load(path.read_text())
    if not isinstance(told, dict):
        raise ValueError(f"{path.name} holds {told!r}")
    return told


# What has to hold at any moment, one function each; they yield what is wrong.


def wrong_registry(lender: Lender, before: Before, delivery: str) -> Iterator[str]:
    stages, versions = read_stages(lender.root, VERTICAL), versions_of(lender)
    new = [version.version for version in versions if version.version not in before.versions]
    for version in versions:
        verify_model(Places(lender.root, VERTICAL), version)  # every SHA-256
    if len(new) > 1:
        yield f"one delivery made {new}"
    if stages.champion != before.champion:
        journal = lender.journal_of(delivery)
        judged = (journal.result("judge") or {}) if journal else {}
        if [stages.champion] != new or judged.get("decision") != "ship":
            yield f"the champion is {stages.champion}, before it was {before.champion}, new is {new}"


def wrong_data(lender: Lender, before: Before, delivery: str) -> Iterator[str]:
    names = all_batches(lender)
    if sorted(set(names)) != sorted(names) or set(names) - {delivery} != set(before.batches) - {delivery}:
        yield f"the batches are {names}"
    for name in names:
        expected, found = before.batches.get(name, ROWS_A_MONTH), len(pd.read_parquet(rows_of(lender, name)))
        if found != expected:
            yield f"{name} has {found} rows, expected {expected}"


def wrong_files(lender: Lender, before: Before, delivery: str) -> Iterator[str]:
    for name, digest in before.files.items():
        path = lender.root / name
        if not path.exists() or sha256_of(path) != digest:
            yield f"{name} changed"
    for path in [lender.root / "data.dvc", *(lender.root / "models" / VERTICAL).glob("*.dvc")]:
        if not read_yaml(path)["outs"][0]["md5"]:
            yield f"{path.name} names no version"
    stages = read_yaml(lender.root / "dvc.lock").get("stages", {})
    broken = [name for name, told in stages.items() if not {"cmd", "deps", "outs"} <= set(told or {})]
    if broken or not before.lock_stages <= set(stages):
        yield f"dvc.lock lost {sorted(before.lock_stages - set(stages))}, broken are {broken}"


def wrong_serving(lender: Lender, before: Before, delivery: str) -> Iterator[str]:
    if read_stages(lender.root, VERTICAL).champion is None and before.champion is None:
        return
    ScoringModel.load(served_model(lender.root, VERTICAL).folder)
    yield from ()


def wrong_scores(lender: Lender, before: Before, delivery: str) -> Iterator[str]:
    told = scores(lender, num_rows=20)
    if len(told) != 20 or not ((told >= 0) & (told <= 1)).all():
        yield f"20 rows are scored {told}"


def scores(lender: Lender, num_rows: int) -> np.ndarray:
    """The served model's probabilities of clean rows, by the way of `crossdomain predict`."""
    path, out = lender.folder / "clean.csv", lender.folder / "scores.csv"
    month_rows(90).head(num_rows).drop(columns="outcome").to_csv(path, index=False)
    load_vertical(VERTICAL).predict(path, out, served_model(lender.root, VERTICAL).folder, rows_per_chunk=9999,
                                    explain=False, progress=lambda _: None)  # fmt: skip
    return pd.read_csv(out)["probability"].to_numpy()


ALWAYS = (wrong_registry, wrong_data, wrong_files, wrong_serving)


def problems_of(lender: Lender, before: Before, delivery: str, *looks: Callable) -> list[str]:
    """All that is wrong; a file that cannot be read is as wrong as a wrong one."""
    problems = []
    for look in (*ALWAYS, *looks):
        try:
            problems += list(look(lender, before, delivery))
        except Exception as error:
            problems.append(f"{look.__name__}: {type(error).__name__}: {error}")
    return problems


def left_over(lender: Lender) -> dict[str, list[str]]:
    """Temporary files and folders that stay, of the project, of DVC, of git and of the system's folder for them."""
    found: dict[str, list[str]] = {"project": [], "dvc": [], "git": []}
    found["temporary"] = [path.name for path in (lender.folder / "tmpdir").iterdir()]
    for path in lender.root.rglob("*"):
        parts = path.relative_to(lender.root).parts
        place = {".dvc": "dvc", ".git": "git"}.get(parts[0], "project")
        is_lock = place == "git" and path.suffix == ".lock"
        if is_lock or (place != "git" and LEFT_OVER.fullmatch(path.name)):
            found[place].append("/".join(parts))
    records = {version.version for version in versions_of(lender)}
    folders = [path for path in (lender.root / "models" / VERTICAL).glob("[!.]*") if path.is_dir()]
    found["project"] += [f"models/{VERTICAL}/{path.name}" for path in folders if path.name not in records]
    return {place: sorted(names) for place, names in found.items()}


def data_bytes(lender: Lender) -> dict[str, str]:
    """SHA-256 of every file of the data but the times in the records of held deliveries."""
    folder = lender.root / "data"
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.match("held/*.json")]
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}
