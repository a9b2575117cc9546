"""Stage `report` of a vertical that predicts a number: one HTML report, a model card and the release decision."""

from __future__ import annotations

from typing import Any

from core.artifacts import Artifacts, write_json, write_text
from core.evaluation.release import decide_release
from core.regression.metrics import REGRESSION_METRICS
from core.regression.params import RegressionParams
from core.regression.quantity import in_unit, metric_text
from core.regression.release_gates import value_gates
from core.regression.report_facts import RegressionFacts
from core.regression.report_sections import (
    accuracy_section,
    band_section,
    export_section,
    model_section,
    transfer_section,
    transfer_words,
)
from core.regression.slice_section import fairness_note, slices_section
from core.reporting.provenance import domain_row
from core.reporting.render import render
from core.reporting.run_sections import data_section
from core.vertical import Vertical

CARDS = ("mae", "median_absolute_error", "rmse", "r2", "coverage")
LIMITS = (
    "The figures hold for the test rows of the target domain; another population needs its own evaluation.",
    "The band holds on average over rows like those that it was fitted on, not for each kind of row.",
    "Contributions are the model's own: they say what moved the value, not what caused the outcome.",
)


def value_report(vertical: Vertical, params: RegressionParams, artifacts: Artifacts, *, seed: int) -> None:
    """Write `report.html`, `MODEL_CARD.md` and `release_metrics.json`."""
    facts = RegressionFacts.read(vertical, params, artifacts)
    gates = value_gates(
        facts.metrics,
        facts.ledger,
        params.train.transfer,
        params.train.regressor,
        flagged_protected=facts.flagged_protected,
        num_judged_groups=facts.num_judged_groups,
        suspects_used=facts.suspects_used,
        is_export_equal=facts.export["is_equal"],
    )
    release = decide_release(gates)
    write_json(artifacts.path("report", "release_metrics.json"), release)
    sections = [
        accuracy_section(facts),
        transfer_section(facts),
        band_section(facts),
        *(vertical.report_sections(facts) if vertical.report_sections else []),
        slices_section(facts),
        model_section(facts),
        data_section(facts),
        export_section(facts),
    ]
    context = _context(facts, release)
    write_text(artifacts.path("report", "report.html"), render("report.html.j2", {**context, "sections": sections}))
    write_text(artifacts.path("report", "MODEL_CARD.md"), render("model_card.md.j2", context))
    print(f"report {vertical.name}: {release['headline']}", flush=True)


def _context(facts: RegressionFacts, release: dict[str, Any]) -> dict[str, Any]:
    """What both templates show."""
    report, target, sources = facts.params.report, facts.target, facts.sources
    cards = _cards(facts)
    organisation = f"{report.organisation}: " if report.organisation else ""
    from_where = ", ".join(spec.title or spec.name for spec in sources) or "no source domain"
    versions = facts.model.provenance.get("versions", {})
    return {
        "title": f"{organisation}{facts.vertical.title}, {target.title or target.name}",
        "subtitle": f"Predicted: {facts.quantity}. {facts.metrics['rows']:,} test rows. Sources: {from_where}.",
        "is_synthetic": any(spec.is_synthetic for spec in (target, *sources)),
        "release": release,
        "cards": cards,
        "metric_rows": cards,
        "intended_use": report.intended_use or "Not stated. Set report.intended_use in params.yaml.",
        "domains": [domain_row(target, "target"), *(domain_row(spec, "source") for spec in sources)],
        "made": _how_made(facts),
        "fairness_note": fairness_note(facts),
        "limits": [*LIMITS, *target.caveats],
        "footer": "Made by the report stage from the run's own files; `dvc repro` makes it again. "
        + "; ".join(f"{name} {version}" for name, version in versions.items()),
    }


def _cards(facts: RegressionFacts) -> list[dict[str, str]]:
    """The metrics that the page opens with, and the gain over one number for all rows."""
    cards = []
    for name in CARDS:
        if name in facts.metrics:
            told, unit = facts.metrics[name], facts.unit
            note = f"{metric_text(name, told['low'], '')} to {metric_text(name, told['high'], unit)}"
            value = metric_text(name, told["value"], unit)
            cards.append({"name": REGRESSION_METRICS[name].title, "value": value, "note": note})
    if naive := facts.metrics["naive"]:
        gain, unit = naive["gain"], facts.unit
        note = f"{in_unit(gain['low'], '')} to {in_unit(gain['high'], unit)}"
        name = "Error saved against the training median"
        cards.append({"name": name, "value": in_unit(gain["value"], unit), "note": note})
    return cards


def _how_made(facts: RegressionFacts) -> str:
    """Transfer, regressor and band in a sentence each."""
    train, band = facts.train, facts.train["band_note"]
    if train["band"] is not None:
        band += ", which the regressor did not see"
    return (
        f"Transfer: {transfer_words(train)}; regressor: {train['regressor']}; {band}."
        " Test rows were predicted once, after all choices were made."
    )
