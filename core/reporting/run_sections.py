"""The sections that every vertical's report has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from core.artifacts import Artifacts
from core.data.domain import DomainSpec
from core.evaluation.intervals import Interval
from core.evaluation.ledger_plot import plot_ledger
from core.evaluation.metrics import METRICS
from core.evaluation.plots import plot_calibration, plot_roc
from core.evaluation.release import FOUR_FIFTHS
from core.learners.scoring_model import ScoringModel
from core.params import VerticalParams
from core.reporting.sections import Section
from core.vertical import Vertical

SLICE_COLUMNS = (
    "attribute", "value", "rows", "prevalence", "mean_probability", "auc", "auc_low", "auc_high", "adverse_rate",
    "true_positive_rate", "false_positive_rate", "is_flagged", "note",
)  # fmt: skip


@dataclass(frozen=True)
class RunFacts:
    """What the stages of one run wrote, read once."""

    vertical: Vertical
    params: VerticalParams
    artifacts: Artifacts
    model: ScoringModel
    specs: Mapping[str, DomainSpec]
    train: Mapping[str, Any]
    metrics: Mapping[str, Any]
    fairness: Mapping[str, Any]
    ledger: Mapping[str, Any]
    export: Mapping[str, Any]
    data: Mapping[str, Any]
    predictions: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]

    @property
    def leakage_suspects(self) -> list[dict[str, Any]]:
        """What the leakage guard found in the target domain."""
        return list(self.data.get("leakage_suspects", []))

    @property
    def four_fifths_ratios(self) -> dict[str, float]:
        """Protected attribute -> lowest selection rate over highest."""
        found = self.fairness.get("fairness") or {}
        ratios = {name: values["four_fifths_ratio"] for name, values in found.items()}
        return {name: ratio for name, ratio in ratios.items() if ratio is not None}

    @property
    def fairness_note(self) -> str:
        """What the fairness figures come to in a sentence."""
        ratios = self.four_fifths_ratios
        if not ratios:
            return "No protected attribute is declared for this domain, so none was examined."
        worst = min(ratios, key=ratios.get)
        held = "met" if ratios[worst] >= FOUR_FIFTHS else "NOT met"
        use = "are features" if self.params.prepare.use_protected else "are excluded from the features"
        return (
            f"Protected attributes ({', '.join(ratios)}) {use}. Four-fifths rule on favourable decisions {held}: "
            f"lowest ratio {ratios[worst]:.2f}, by {worst}. Groups below "
            f"{self.params.evaluate.min_slice_rows} rows are not judged."
        )


def metrics_section(facts: RunFacts) -> Section:
    """All metrics with intervals, ROC and calibration."""
    table = pd.DataFrame(
        [
            {
                "metric": METRICS[name].title,
                "value": facts.metrics[name]["value"],
                "95% from": facts.metrics[name]["low"],
                "to": facts.metrics[name]["high"],
            }
            for name in facts.vertical.metrics
        ]
    )
    found = facts.metrics["auc"]
    auc = Interval(found["value"], found["low"], found["high"], facts.params.evaluate.confidence)
    return Section(
        title="How good is it?",
        text=f"On {facts.metrics['rows']} test rows that no choice has seen. Intervals: bootstrap over test rows.",
        tables=(("Metrics", table),),
        figures=(
            ("ROC curve", plot_roc(facts.tables["roc"], auc=auc, threshold=facts.model.threshold)),
            ("Calibration: what was said against what came", plot_calibration(facts.tables["calibration"])),
        ),
    )


def transfer_section(facts: RunFacts) -> Section:
    """The ledger: did the move help?"""
    columns = ["budget", "method", "mean", "low", "high", "difference", "difference_low", "difference_high", "verdict"]
    table = pd.DataFrame(facts.ledger["entries"])[columns].rename(
        columns={"budget": "labels", "mean": facts.ledger["metric"], "difference": "gain"}
    )
    table = table.rename(columns={"difference_low": "gain from", "difference_high": "gain to"})
    return Section(
        title="Did transfer help?",
        text=(
            f"Every method got the same labels and was scored on the same test rows; gain is against "
            f"{facts.ledger['baseline']}. Intervals and verdicts come from resampling label draws and test rows "
            "together."
        ),
        tables=(("Transfer ledger", table),),
        figures=(("Learning curves over label budgets", plot_ledger(facts.ledger)),),
    )


def fairness_section(facts: RunFacts) -> Section:
    """Slices, fairness figures and proxies of protected attributes."""
    slices = facts.tables["slices"]
    shown = [name for name in SLICE_COLUMNS if name in slices]
    tables = [("Slices", slices[shown])] if len(slices) else []
    fairness = facts.fairness.get("fairness") or {}
    if fairness:
        tables.append(("Fairness of favourable decisions", _flat(_without_lists(fairness))))
        groups = [{"attribute": name, **group} for name, found in fairness.items() for group in found["groups"]]
        tables.append(("Decisions by group", _flat(groups)))
    if proxies := facts.fairness.get("proxies"):
        rows = [
            {
                "attribute": name,
                "AUC from the other features": found["auc"],
                "strength": found["strength"],
                "strongest columns": ", ".join(f"{c['column']} {c['auc']:.2f}" for c in found["columns"][:3]),
            }
            for name, found in proxies.items()
        ]
        tables.append(("How well the other features tell a protected attribute", pd.DataFrame(rows)))
    return Section(title="For whom does it work?", text=facts.fairness_note, tables=tuple(tables))


def model_section(facts: RunFacts) -> Section:
    """What was chosen, and from what."""
    selection = facts.train.get("selection")
    tables = [("Candidates out of fold", _flat(selection))] if isinstance(selection, list) and selection else []
    rows = pd.DataFrame(
        [{"split": key, "rows": v["rows"], "labelled": v["labelled"]} for key, v in facts.train["rows"].items()]
    )
    tables.append(("Rows that training saw", rows))
    return Section(
        title="What is the model?",
        text=(
            f"Transfer {facts.params.train.transfer}, learner {facts.params.train.learner}, fitted in "
            f"{facts.train['fit_seconds']:.0f} s. Calibrated on {facts.train['calibrated_on']} rows; cases from "
            f"probability {facts.model.threshold:.3f} upwards are adverse."
        ),
        tables=tuple(tables),
    )


def data_section(facts: RunFacts) -> Section:
    """Domains, quality, leakage suspects, shift."""
    domains = pd.DataFrame(
        [
            {"domain": spec.name, "title": spec.title, "licence": spec.licence, "source": spec.source}
            for spec in facts.specs.values()
        ]
    )
    tables = [("Domains", domains)]
    for key, caption in (
        ("splits", "Rows and label rate by domain and split"),
        ("ties", "Columns of the target that each source has"),
        ("leakage_suspects", "Leakage suspects"),
        ("shift", "Shift against the target's training rows (PSI; above 0.25 is large)"),
        ("problems", "Values that could not be read, by reason"),
    ):
        if facts.data.get(key):
            tables.append((caption, _flat(facts.data[key])))
    if columns := facts.data.get("columns"):
        shown = ["kind", "use", "missing_fraction", "distinct", "unit", "meaning"]
        rows = [{"column": name, **{key: found.get(key) for key in shown}} for name, found in columns.items()]
        tables.append(("Columns of the target domain", pd.DataFrame(rows)))
    return Section(title="What went in?", tables=tuple(tables))


def export_section(facts: RunFacts) -> Section:
    """Exported files, parity and latency."""
    table = pd.DataFrame(
        [
            {"what": key.replace("_", " "), "value": value}
            for key, value in facts.export.items()
            if not isinstance(value, (dict, list))
        ]
    )
    return Section(title="What runs elsewhere?", tables=(("Export", table.astype({"value": object})),))


def _flat(rows: Any) -> pd.DataFrame:
    """Dictionaries as a table; nested values become short texts."""
    if isinstance(rows, Mapping):
        rows = [
            {"name": key, **(value if isinstance(value, Mapping) else {"value": value})} for key, value in rows.items()
        ]
    table = pd.DataFrame(list(rows))
    for name in table.columns:
        if table[name].map(lambda v: isinstance(v, (dict, list))).any():
            table[name] = table[name].map(_short)
    return table


def _without_lists(values: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Each entry without the fields that hold a table of their own."""
    return {name: {k: v for k, v in entry.items() if not isinstance(v, list)} for name, entry in values.items()}


def _short(value: Any) -> Any:
    """A list or dictionary in at most 60 characters."""
    if isinstance(value, Mapping):
        value = ", ".join(f"{k}: {v}" for k, v in value.items())
    elif isinstance(value, list):
        value = ", ".join(map(str, value))
    return value if not isinstance(value, str) or len(value) <= 60 else value[:57] + "..."
