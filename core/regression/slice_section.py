"""The section of a report that says for whom the predicted numbers are right."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from core.regression.metrics import MEAN_ERROR
from core.regression.quantity import number_text, range_text, with_unit
from core.regression.report_facts import RegressionFacts
from core.reporting.sections import Section


def slices_section(facts: RegressionFacts) -> Section:
    """Errors of each group of each attribute, and where they differ from the rest."""
    slices, unit = facts.tables["slices"], facts.unit
    if slices.empty:
        return Section("For whom does it work?", fairness_note(facts))
    table = pd.DataFrame(
        {
            "attribute": slices["attribute"],
            "value": slices["value"].astype(str),
            "rows": slices["rows"],
            with_unit("mean truth", unit): slices["mean_truth"].map(number_text),
            with_unit("mean absolute error", unit): [_measured(row, "mae") for row in slices.to_dict("records")],
            "gap to the rest": slices["mae_gap"].map(partial(number_text, sign=True)),
            with_unit("mean error", unit): [_measured(row, "mean_error") for row in slices.to_dict("records")],
            "its gap to the rest": slices["mean_error_gap"].map(partial(number_text, sign=True)),
            "inside the band": slices["coverage"].map(lambda share: None if np.isnan(share) else f"{share:.1%}"),
            "differs": [_told_gaps(row) for row in slices.to_dict("records")],
            "note": slices["note"].fillna(""),
        }
    )
    text = f"{fairness_note(facts)}\n\nA difference is told where its p-value, corrected for all groups, is small."
    return Section("For whom does it work?", text, (("Errors by group", table),))


def fairness_note(facts: RegressionFacts) -> str:
    """What the errors of protected groups come to in a sentence."""
    names = facts.target.protected
    if not names:
        return "No protected attribute is declared for this domain, so none was examined."
    used = set(facts.model.schema.names()) & set(names)
    use = f"{', '.join(sorted(used))} among the features" if used else "none is a feature"
    flagged = facts.flagged_protected
    found = (
        f"Errors differ from the rest beyond chance for: {'; '.join(flagged)}."
        if flagged
        else f"No difference beyond chance in {facts.num_judged_groups} groups that are large enough to judge."
    )
    return f"Protected attributes: {', '.join(names)} ({use}). {found}"


def _measured(row: dict, name: str) -> str | None:
    """A slice's measure, with its interval where there is one."""
    if np.isnan(row[name]):
        return None
    sign = name == MEAN_ERROR.name
    interval = "" if np.isnan(row[f"{name}_low"]) else f" {range_text(row, f'{name}_', sign=sign)}"
    return f"{number_text(row[name], sign=sign)}{interval}"


def _told_gaps(row: dict) -> str | None:
    """Which measures differ from the rest beyond chance, in words; none where nothing could be tested."""
    if row["is_flagged"]:
        return str(row["flagged_gaps"]).replace("mae", "absolute error").replace("_", " ")
    return None if np.isnan(row["mae_p"]) and np.isnan(row["mean_error_p"]) else "no"
