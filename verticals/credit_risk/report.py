"""What a credit report shows beyond the common sections: bands, cut-offs, reasons, the points table."""

from __future__ import annotations

import numpy as np

from core.cases.sections import case_sections
from core.evaluation.plots import plot_score_bands
from core.evaluation.score_bands import score_band_table
from core.params import parse_section
from core.reporting.run_sections import RunFacts
from core.reporting.sections import Section
from core.tables.sections import cut_offs_table, reasons_section, scorecard_section
from verticals.credit_risk.decisions import bands_from_probability
from verticals.credit_risk.options import CreditOptions
from verticals.credit_risk.points import points_from_probability


def report_sections(facts: RunFacts) -> list[Section]:
    """Bands and cut-offs, kinds and findings where the model tells them, decisions with reasons, the scorecard."""
    options = parse_section(CreditOptions, facts.params.options, where="credit_risk.options")
    return [
        _bands_section(facts, options),
        *case_sections(facts),
        reasons_section(facts, options),
        scorecard_section(facts),
    ]


def _bands_section(facts: RunFacts, options: CreditOptions) -> Section:
    """Observed default rates by band, and what each cut-off would mean."""
    labelled = facts.predictions[facts.predictions["label"].notna()]
    probability = labelled[f"probability_{facts.vertical.positive_class}"].to_numpy()
    is_positive = (labelled["label"] == facts.vertical.positive_index).to_numpy()
    table = score_band_table(is_positive, probability, bands_from_probability(probability, options))
    shown = table[
        ["band", "rows", "row_fraction", "mean_probability", "observed_rate", "observed_low", "observed_high"]
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
        tables=(("Score bands, told against observed", shown), ("Cut-offs", cut_offs_table(facts))),
        figures=(("Default rate by band", plot_score_bands(table)),),
    )
