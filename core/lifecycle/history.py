"""The runs of a vertical as git kept them: what was measured, decided and set in each, and what differs between two."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from core.evaluation.ledger import champion_verdict
from core.forecasting.headline import headline_metrics
from core.lifecycle.git_files import Commit, commits_of, file_at
from core.lifecycle.plain_changes import Change, changes_between

MAX_RUNS = 50
NOW = "now"
METRICS_FILE = "evaluate/metrics.json"


@dataclass(frozen=True)
class Run:
    """One run, as a commit has it or (`commit` = now) as it lies in the working tree. Values are shared: do not edit.

    metrics: name -> value, low, high. facts: the other numbers of metrics.json (rows, prevalence, threshold, ...).
    verdict: of the champion in the transfer ledger. release: ship, hold or refuse. Empty where the commit lacks it.
    data_md5: of data.dvc. params: the vertical's section of params.yaml.
    """

    commit: str
    date: str
    subject: str
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    verdict: str = ""
    release: str = ""
    data_md5: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MetricChange:
    """A metric in two runs; difference: after - before, None where one lacks it."""

    name: str
    before: float | None
    after: float | None
    difference: float | None


@dataclass(frozen=True)
class Comparison:
    """From one run to another: params by dotted path, the data's versions where they differ, every metric."""

    params: tuple[Change, ...]
    data: tuple[str, str] | None
    metrics: tuple[MetricChange, ...]


def runs_of(root: Path, vertical: str, *, limit: int = MAX_RUNS) -> list[Run]:
    """The working tree first, then at most `limit` commits that changed the vertical's metrics.json, newest first.

    Without git, or outside a repository, only the working tree.
    """
    commits = commits_of(Path(root), f"artifacts/{vertical}/{METRICS_FILE}", limit=min(limit, MAX_RUNS))
    return [run_now(root, vertical), *(_run_at(str(Path(root).resolve()), vertical, commit) for commit in commits)]


def run_now(root: Path, vertical: str) -> Run:
    """The run that lies in the working tree; its date is that of metrics.json, empty where there is none."""
    root = Path(root)
    path = root / "artifacts" / vertical / METRICS_FILE
    date = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds") if path.exists() else ""
    return _read_run(partial(_text_in_tree, root), vertical, Commit(NOW, date, ""))


def compare_runs(before: Run, after: Run) -> Comparison:
    """What changed from one run to the other."""
    names = dict.fromkeys([*before.metrics, *after.metrics])
    return Comparison(
        params=tuple(changes_between(before.params, after.params)),
        data=(before.data_md5, after.data_md5) if before.data_md5 != after.data_md5 else None,
        metrics=tuple(_metric_change(name, before, after) for name in names),
    )


@lru_cache(maxsize=1024)
def _run_at(root: str, vertical: str, commit: Commit) -> Run:
    """A commit never changes, so it is read once."""
    return _read_run(partial(file_at, Path(root), commit.id), vertical, commit)


def _read_run(read: Callable[[str], str | None], vertical: str, commit: Commit) -> Run:
    """The run from its files; `read(path)` gives a file's text or None."""
    artifacts = f"artifacts/{vertical}"
    told = _json(read(f"{artifacts}/{METRICS_FILE}"))
    figures = headline_metrics(told) if "horizons" in told else told
    params = _yaml(read("params.yaml")).get(vertical)
    params = params if isinstance(params, dict) else {}
    data = _yaml(read("data.dvc")).get("outs") or [{}]
    return Run(
        commit=commit.id,
        date=commit.date,
        subject=commit.subject,
        metrics={name: value for name, value in figures.items() if isinstance(value, dict) and "value" in value},
        facts={name: value for name, value in told.items() if not isinstance(value, dict)},
        verdict=_verdict(_json(read(f"{artifacts}/compare/ledger_metrics.json")), params),
        release=str(_json(read(f"{artifacts}/report/release_metrics.json")).get("decision") or ""),
        data_md5=str(data[0].get("md5") or ""),
        params=params,
    )


def _verdict(ledger: dict[str, Any], params: Mapping[str, Any]) -> str:
    """The champion's verdict; empty where the ledger does not have the transfer that params name."""
    train = params.get("train") or {}
    if "horizons" in ledger:  # of forecasts: with the history that is used, the mean of all horizons
        wanted = (train.get("method"), train.get("history_days") or "all", "mean")
        told = [e for e in ledger["entries"] if (e.get("method"), e.get("budget"), e.get("horizon")) == wanted]
        return str(told[0].get("verdict") or "") if told else ""
    method = train.get("transfer")
    if not any(entry.get("method") == method for entry in ledger.get("entries") or []):
        return ""
    return champion_verdict(ledger, method)["verdict"]


def _metric_change(name: str, before: Run, after: Run) -> MetricChange:
    old, new = (run.metrics.get(name, {}).get("value") for run in (before, after))
    return MetricChange(name, old, new, None if old is None or new is None else new - old)


def _text_in_tree(root: Path, path: str) -> str | None:
    try:
        return (root / path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _json(text: str | None) -> dict[str, Any]:
    """A JSON object; empty where it is missing, damaged or something else."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _yaml(text: str | None) -> dict[str, Any]:
    try:
        value = YAML(typ="safe").load(text or "")
    except YAMLError:
        return {}
    return value if isinstance(value, dict) else {}
