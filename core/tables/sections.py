"""What a table vertical's report shows beyond the common sections: cut-offs, reasons, the points table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.data.prepared import open_prepared
from core.reporting.run_sections import RunFacts
from core.reporting.sections import Section
from core.tables.options import TableOptions
from core.tables.reasons import make_reason_writer

NUM_EXAMPLES = 5
CUT_OFF_COLUMNS = (
    "threshold", "approval_rate", "bad_rate_approved", "bad_rate_low", "bad_rate_high", "cost_per_applicant",
)  # fmt: skip


def cut_offs_table(facts: RunFacts) -> pd.DataFrame:
    """What each cut-off would mean on the test rows, as evaluate wrote it."""
    return facts.tables["cutoffs"][list(CUT_OFF_COLUMNS)]


def cut_offs_section(facts: RunFacts) -> Section:
    """What each cut-off would mean, beside the one that is used."""
    return Section(
        title="Cut-offs",
        text=f"The cut-off used is a probability of {facts.model.threshold:.3f}; the table shows the test rows.",
        tables=(("Cut-offs", cut_offs_table(facts)),),
    )


def reasons_section(facts: RunFacts, options: TableOptions) -> Section:
    """The riskiest test cases with the reasons that `predict` would give."""
    test = open_prepared(facts.vertical, facts.params, facts.artifacts, splits=("test",))["test"]
    probability = facts.model.predict_probability(test)[:, facts.vertical.positive_index]
    riskiest = np.argsort(-probability, kind="stable")[:NUM_EXAMPLES]
    rows = test.take(riskiest)
    reasons = make_reason_writer(facts.model, options).write(
        facts.model.contributions(rows), rows.inputs, min(options.num_reasons, 3)
    )
    table = pd.DataFrame({"case": rows.sample_ids, "probability": probability[riskiest]})
    for rank in range(reasons.shape[1]):
        table[f"reason {rank + 1}"] = reasons[:, rank]
    return Section(
        title="Reasons",
        text="The principal reasons of the riskiest test cases, as `crossdomain predict` writes them.",
        tables=(("Riskiest cases", table),),
    )


def scorecard_section(facts: RunFacts) -> Section:
    """The points table that export wrote."""
    points = pd.read_csv(facts.artifacts.require("export", "files") / "points.csv")
    return Section(
        title="Points scorecard",
        text=(
            f"Here the scorecard is {facts.export['scorecard_is']}. As SQL it scored {facts.export['rows_compared']} "
            f"test rows with a largest difference of {facts.export['largest_difference']:.1e} to the learner. "
            f"AUC on test: scorecard {facts.export['scorecard_test_auc']:.3f}, model "
            f"{facts.export['model_test_auc']:.3f}."
        ),
        tables=(("Points (higher is safer)", points[points["count"] > 0]),),
    )
