"""From a default probability to a band (A best) and a decision (approve, refer, decline)."""

from __future__ import annotations

import numpy as np

from verticals.credit_risk.options import BAND_LETTERS, CreditOptions
from verticals.credit_risk.points import points_from_probability

APPROVE, REFER, DECLINE = "approve", "refer", "decline"

# Where the equally wide bands begin and end: safer than 2 % is A, riskier than an even bet is the last
# letter.
SAFEST_EDGE_PROBABILITY, RISKIEST_EDGE_PROBABILITY = 0.02, 0.5


def band_edges(options: CreditOptions) -> np.ndarray:
    """Rising default probabilities between the bands, (bands - 1,).

    A number of bands gives edges at equal steps of log odds, hence of points, from 2 % to 50 %.
    """
    if isinstance(options.bands, tuple):
        return np.asarray(options.bands, dtype=float)
    edges = np.array([SAFEST_EDGE_PROBABILITY, RISKIEST_EDGE_PROBABILITY])
    log_odds = np.linspace(*np.log(edges / (1 - edges)), max(options.bands - 1, 0))
    return 1.0 / (1.0 + np.exp(-log_odds))


def bands_from_probability(probability: np.ndarray, options: CreditOptions) -> np.ndarray:
    """(N,) letters, A the safest; None where the probability is NaN."""
    probability = np.asarray(probability, dtype=float)
    letters = np.array(list(BAND_LETTERS), dtype=object)
    bands = letters[np.searchsorted(band_edges(options), probability, side="right").clip(max=6)]
    bands[np.isnan(probability)] = None
    return bands


def decide(probability: np.ndarray, threshold: float, options: CreditOptions) -> np.ndarray:
    """(N,) `approve`, `refer` or `decline`.

    Declined from the threshold upwards; referred where the score is less than `options.referral_points` from
    the threshold's; a row without a probability is referred, for a person has to look at it.
    """
    probability = np.asarray(probability, dtype=float)
    decisions = np.where(probability >= threshold, DECLINE, APPROVE).astype(object)
    points = points_from_probability(probability, options)
    cut_off_points = points_from_probability(np.array([threshold]), options)[0]
    decisions[np.abs(points - cut_off_points) < options.referral_points] = REFER
    decisions[np.isnan(probability)] = REFER
    return decisions
