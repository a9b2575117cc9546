"""What a credit report shows beyond the common sections: bands, cut-offs, reasons, the points table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.data.prepared import open_prepared
from core.evaluation.plots import plot_score_bands
from core.evaluation.score_bands import score_band_table
from core.params import parse_section
from core.reporting.run_sections import RunFacts
from core.reporting.sections import Section
from verticals.credit_risk.decisions import bands_from_probability
from verticals.credit_risk.options import CreditOptions
from verticals.credit_risk.points import points_from_probability
from verticals.credit_risk.reasons import make_reason_writer

NUM_EXAMPLES = 5


def report_sections(facts: RunFacts) -> list[Section]:
    """Bands and cut-offs, example decisions with reasons, the scorecard."""
    options = parse_section(CreditOptions, facts.params.options, where="credit_risk.options")
    return [_bands_section(facts, options), _reasons_section(facts, options), _scorecard_section(facts)]


def _bands_section(facts: RunFacts, options: CreditOptions) -> Section:
    """Observed default rates by band, and what each cut-off would mean."""
    labelled = facts.predictions[facts.predictions["label"].notna()]
    probability = labelled[f"probability_{facts.vertical.positive_class}"].to_numpy()
    is_positive = (labelled["label"] == facts.vertical.positive_index).to_numpy()
    table = score_band_table(is_positive, probability, bands_from_probability(probability, options))
    shown = table[
        ["band", "rows", "row_fraction", "mean_probability", "observed_rate", "observed_low", "observed_high"]
    ]
    cutoffs = facts.tables["cutoffs"][
        ["threshold", "approval_rate", "bad_rate_approved", "bad_rate_low", "bad_rate_high", "cost_per_applicant"]
    ]
    lowest, highest = np.round(points_from_probability(np.array([0.5, 0.02]), options)).astype(int)
    return Section(
        title="Bands and cut-offs",
        text=(
            f"Scores: {options.base_points:g} points at odds {options.base_odds:g} to 1, "
            f"{options.points_to_double_odds:g} points double the odds; {highest} points are a default probability of "
            f"2 %, {lowest} points of 50 %. The cut-off used is a probability of {facts.model.threshold:.3f}, the "
            "cheapest on validation; the table shows the test rows."
        ),
        tables=(("Score bands, told against observed", shown), ("Cut-offs", cutoffs)),
        figures=(("Default rate by band", plot_score_bands(table)),),
    )


def _reasons_section(facts: RunFacts, options: CreditOptions) -> Section:
    """The riskiest test cases with the reasons an applicant would be told."""
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


def _scorecard_section(facts: RunFacts) -> Section:
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
