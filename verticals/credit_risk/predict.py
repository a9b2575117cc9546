"""`predict`: ten million rows in a file or one record, scored with the saved model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from core.learners.scoring_model import ScoringModel
from core.tables import predicting
from verticals.credit_risk.scoring import CreditScorer

predict_file = partial(predicting.predict_table, CreditScorer)


def predict_record(model: ScoringModel | CreditScorer, record: Mapping[str, Any]) -> dict[str, Any]:
    """One record (a JSON object) scored; the same columns as a file's row, None where a cell would be empty.

    A caller with many records hands in the same `CreditScorer` each time, which saves its set-up.

    Raises:
        BadInputError: the record is no object, or lacks a key that the model reads; the nearest is named.
    """
    return predicting.predict_record(model if isinstance(model, CreditScorer) else CreditScorer(model), record)
