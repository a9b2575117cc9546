"""The lender's scorer: points, band and decision beside the default probability."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.tables.scorer import TableScorer
from core.tables.words import TableWords
from verticals.credit_risk.decisions import APPROVE, DECLINE, REFER, bands_from_probability, decide
from verticals.credit_risk.options import CreditOptions
from verticals.credit_risk.points import points_from_probability


class CreditScorer(TableScorer):
    """A loaded scoring model with everything that is made once, not once for each row.

    explain: also give reasons (`options.num_reasons` of them).
    """

    options_type = CreditOptions
    words = TableWords(negative=APPROVE, positive=DECLINE, doubtful=REFER)
    whole_columns = ("score",)

    def own_columns(self, positive: np.ndarray) -> dict[str, np.ndarray]:
        """Points and bands of (N,) default probabilities."""
        return {
            "score": np.rint(points_from_probability(positive, self.options)),
            "band": bands_from_probability(positive, self.options),
        }

    def decide(self, positive: np.ndarray) -> np.ndarray:
        """(N,) approve, refer or decline."""
        return decide(positive, self.model.threshold, self.options)


def open_scorer(model_folder: Path) -> CreditScorer:
    """The scorer of a saved model, with reasons.

    Raises:
        MissingArtifactError: there is no model.
        VerificationError: the model's files were changed.
    """
    return CreditScorer.load(model_folder)
