"""How well each finding is told, on the test rows where it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.data.samples import Samples
from core.errors import BadInputError
from core.evaluation.intervals import bootstrap_interval
from core.evaluation.metrics import METRICS
from core.evaluation.scored_rows import ScoredRows
from core.learners.finding_model import rows_that_know

if TYPE_CHECKING:
    from core.stages.evaluate import EvaluationFacts


COLUMNS = ("finding", "rows", "positives", "auc", "low", "high", "average_precision", "ece", "note")


def finding_table(facts: EvaluationFacts) -> pd.DataFrame:
    """A line a finding: rows that know it, figures with the AUC's interval over groups, and why figures are missing."""
    model, told = facts.model.findings, facts.model.findings.predict(facts.test)
    lines = []
    for name in (*model.names, *model.left_out):
        values = facts.test.findings_of((name,))[:, 0]
        known = rows_that_know(facts.test, name)
        line = {"finding": name, "rows": len(known), "positives": int(known.labels.sum())}
        if name in model.left_out:
            line["note"] = f"left out: {model.left_out[name]}"
        else:
            score = told[~np.isnan(values), model.names.index(name)]
            line |= _figures(facts, known, score)
        lines.append(line)
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    figures = table.columns.difference(["finding", "rows", "positives", "note"])
    return table.astype(dict.fromkeys(figures, float)).fillna({"note": ""})


def macro_auc(table: pd.DataFrame) -> float | None:
    """Mean of the AUCs that could be measured, every finding counting once; None where there is none."""
    measured = table["auc"].dropna()
    return float(measured.mean()) if len(measured) else None


def _figures(facts: EvaluationFacts, known: Samples, score: np.ndarray) -> dict[str, Any]:
    """AUC with its interval, average precision and calibration error; a note where the rows allow none."""
    has_groups = len(np.unique(known.groups)) < len(known)
    try:
        interval = bootstrap_interval(
            METRICS["auc"],
            known.labels,
            np.column_stack([1 - score, score]),
            1,
            num_bootstrap=facts.params.evaluate.num_bootstrap,
            confidence=facts.params.evaluate.confidence,
            seed=facts.seed,
            groups=known.groups if has_groups else None,
        )
    except BadInputError as error:
        return {"note": error.message}
    rows = ScoredRows.of_score(known.labels == 1, score)
    return {
        "auc": interval.value,
        "low": interval.low,
        "high": interval.high,
        "average_precision": METRICS["pr_auc"].of_rows(rows),
        "ece": METRICS["ece"].of_rows(rows),
    }
