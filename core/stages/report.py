"""Stage `report`: one self-contained HTML report, a model card and the release decision, from what the run wrote."""

from __future__ import annotations

from typing import Any

import pandas as pd

from core.artifacts import Artifacts, read_json, write_json, write_text
from core.cases.sections import case_sections
from core.data.domain import DomainSpec
from core.data.prepared import read_specs
from core.evaluation.metrics import METRICS
from core.evaluation.release import decide_release, standard_gates
from core.learners.scoring_model import ScoringModel
from core.params import VerticalParams
from core.reporting.provenance import domain_row
from core.reporting.render import render
from core.reporting.run_sections import (
    RunFacts,
    data_section,
    export_section,
    fairness_section,
    metrics_section,
    model_section,
    transfer_section,
)
from core.vertical import Vertical

LIMITS = (
    "The figures hold for the test rows of the target domain; another population needs its own evaluation.",
    "The probability's interval covers the uncertainty of the calibration map, not that of the model's form.",
    "Reasons are the model's own contributions: they say what moved the score, not what caused the outcome.",
)


def report(vertical: Vertical, params: VerticalParams, artifacts: Artifacts, *, seed: int) -> None:
    """Write `report.html`, `MODEL_CARD.md` and `release_metrics.json`."""
    facts = read_facts(vertical, params, artifacts)
    release = decide_release(_gates(facts))
    write_json(artifacts.path("report", "release_metrics.json"), release)
    sections = [
        metrics_section(facts),
        transfer_section(facts),
        *(vertical.report_sections or case_sections)(facts),
        fairness_section(facts),
        model_section(facts),
        data_section(facts),
        export_section(facts),
    ]
    context = _context(facts, release)
    write_text(artifacts.path("report", "report.html"), render("report.html.j2", {**context, "sections": sections}))
    write_text(artifacts.path("report", "MODEL_CARD.md"), render("model_card.md.j2", context))
    print(f"report {vertical.name}: {release['headline']}", flush=True)


def read_facts(vertical: Vertical, params: VerticalParams, artifacts: Artifacts) -> RunFacts:
    """Everything that earlier stages wrote and a report shows."""
    return RunFacts(
        vertical=vertical,
        params=params,
        artifacts=artifacts,
        model=ScoringModel.load(artifacts.require("train", "model")),
        specs=read_specs(artifacts),
        train=read_json(artifacts.require("train", "train_metrics.json")),
        metrics=read_json(artifacts.require("evaluate", "metrics.json")),
        fairness=read_json(artifacts.require("evaluate", "fairness.json")),
        ledger=read_json(artifacts.require("compare", "ledger_metrics.json")),
        export=read_json(artifacts.require("export", "export_metrics.json")),
        data=read_json(artifacts.require("prepare", "data_report.json")),
        predictions=pd.read_parquet(artifacts.require("evaluate", "predictions.parquet")),
        tables={
            name: pd.read_csv(artifacts.require("evaluate", f"{name}.csv"))
            for name in ("slices", "cutoffs", "roc", "calibration", "gains")
        },
    )


def _gates(facts: RunFacts) -> list[Any]:
    """The standard gates, and the export's parity."""
    used = set(facts.model.schema.names())
    return standard_gates(
        facts.metrics,
        facts.ledger,
        facts.params.train.transfer,
        four_fifths_ratios=facts.four_fifths_ratios,
        suspects_used=[s["column"] for s in facts.leakage_suspects if s["is_strong"] and s["column"] in used],
        is_export_equal=facts.export.get("is_equal"),
    )


def _context(facts: RunFacts, release: dict[str, Any]) -> dict[str, Any]:
    """What both templates show."""
    target = facts.specs[facts.params.prepare.target_domain]
    sources = [facts.specs[name] for name in facts.params.prepare.source_domains]
    cards = [
        {
            "name": METRICS[name].title,
            "value": f"{facts.metrics[name]['value']:.3f}",
            "note": f"{facts.metrics[name]['low']:.3f} to {facts.metrics[name]['high']:.3f}",
        }
        for name in facts.vertical.metrics
    ]
    organisation = f"{facts.params.report.organisation}: " if facts.params.report.organisation else ""
    return {
        "title": f"{organisation}{facts.vertical.title}, {target.title or target.name}",
        "subtitle": _subtitle(facts, target, sources),
        "is_synthetic": any(spec.is_synthetic for spec in [target, *sources]),
        "release": release,
        "cards": cards[:6],
        "metric_rows": cards,
        "intended_use": facts.params.report.intended_use or "Not stated. Set report.intended_use in params.yaml.",
        "domains": [domain_row(target, "target"), *(domain_row(spec, "source") for spec in sources)],
        "made": _how_made(facts),
        "fairness_note": facts.fairness_note,
        "limits": [*LIMITS, *target.caveats],
        "footer": "Made by the report stage from the run's own files; `dvc repro` makes it again. "
        + "; ".join(f"{k} {v}" for k, v in facts.model.provenance.get("versions", {}).items()),
    }


def _subtitle(facts: RunFacts, target: DomainSpec, sources: list[DomainSpec]) -> str:
    """One line: how many rows, which outcome, which sources."""
    from_where = ", ".join(spec.title or spec.name for spec in sources) or "no source domain"
    outcome = target.outcome or f"class '{facts.vertical.positive_class}'"
    return (
        f"Probability of: {outcome}. {facts.metrics['rows']} test rows, "
        f"{facts.metrics['prevalence']:.1%} positive. Sources: {from_where}."
    )


def _how_made(facts: RunFacts) -> str:
    """Transfer, learner, calibration and threshold in a sentence each."""
    params = facts.params.train
    return (
        f"Transfer: {params.transfer}; learner: {params.learner}; calibration: {params.calibration}, "
        f"fitted on {facts.train['calibrated_on']} validation rows only. Threshold {facts.model.threshold:.3f}: the "
        f"cheapest on validation at {params.cost_false_negative:g} to {params.cost_false_positive:g} for a missed "
        "positive against a false alarm. Test rows were scored once, after all choices were made."
    )
