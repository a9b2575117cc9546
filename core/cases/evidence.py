"""What `evaluate` adds of kinds and findings: of any vertical whose model tells them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.artifacts import write_table
from core.cases.findings import finding_table, macro_auc
from core.cases.kinds import kind_confusion, macro_f1_range, recall_by_kind

if TYPE_CHECKING:
    from core.stages.evaluate import EvaluationFacts


def evaluate_cases(facts: EvaluationFacts, folder: Path) -> dict[str, Any]:
    """Writes kinds, kind_confusion and findings as CSV, as far as the model tells them; nothing of other models.

    It is what `evaluate` does of a vertical without an `evaluate_more` of its own.
    """
    result: dict[str, Any] = {}
    if facts.model.kinds is not None:
        result |= write_recalls(facts, folder) | write_confusion(facts, folder)
        result["kind_macro_f1_low"], result["kind_macro_f1_high"] = macro_f1_range(facts)
    return result | write_findings(facts, folder)


def write_recalls(facts: EvaluationFacts, folder: Path) -> dict[str, Any]:
    """kinds.csv: how many of each kind are found."""
    kinds = recall_by_kind(facts)
    write_table(folder / "kinds.csv", kinds)
    return {"kinds": kinds.to_dict("records")}


def write_confusion(facts: EvaluationFacts, folder: Path) -> dict[str, Any]:
    """kind_confusion.csv and macro-F1; nothing where the model tells no kinds."""
    if facts.model.kinds is None:
        return {}
    confusion, macro_f1 = kind_confusion(facts)
    write_table(folder / "kind_confusion.csv", confusion.reset_index(names="true"))
    return {"kind_macro_f1": macro_f1}


def write_findings(facts: EvaluationFacts, folder: Path) -> dict[str, Any]:
    """findings.csv and the mean AUC; nothing where the model tells no findings."""
    if facts.model.findings is None:
        return {}
    table = finding_table(facts)
    write_table(folder / "findings.csv", table)
    return {"findings": table.to_dict("records"), "finding_macro_auc": macro_auc(table)}
