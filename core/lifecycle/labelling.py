"""Which case a person should look at next, and people's labels as a batch that the next run learns from."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.errors import BadInputError, did_you_mean

if TYPE_CHECKING:
    from core.lifecycle.delivery import Delivery
    from core.lifecycle.store import Store

SMALLEST = 1e-9  # of a probability, so that log-odds stay finite
QUEUE_COLUMNS = ("sample_id", "probability", "log_odds_to_threshold", "label", "is_second_opinion")


def label_queue(
    predictions: pd.DataFrame,
    *,
    positive_class: str,
    threshold: float,
    labelled: Collection[str] = (),
    done: Collection[str] = (),
    diverse_by: str | None = None,
) -> pd.DataFrame:
    """Rows of evaluate's predictions.parquet in the order in which they should be labelled, the doubtful ones first.

    Doubt is the distance of a row's log-odds from the threshold's. Rows without a label come before rows that have
    one, in the data or in `labelled` (sample ids); of those a further label is a second opinion. Rows in `done` are
    left out. diverse_by: a column (a group, a camera); the most doubtful row of each of its values comes before the
    second of any. Equal doubt is ordered by sample id: the same predictions always give the same queue.

    Shape: N rows in; out M <= N rows of sample_id, probability (of the positive class), log_odds_to_threshold (below 0:
    under the threshold), label (float, NaN = none), is_second_opinion.

    Raises:
        BadInputError: a column is missing, or the threshold is no probability.
    """
    column = f"probability_{positive_class}"
    for name in ("sample_id", "label", column, *([diverse_by] if diverse_by else [])):
        if name not in predictions:
            raise BadInputError(f"The predictions have no column '{name}'.", repair=did_you_mean(name, predictions))
    if not 0 <= threshold <= 1:
        raise BadInputError(f"A threshold of {threshold} is no probability.", repair="Give 0 to 1.")
    probability = predictions[column].to_numpy(dtype=float)
    queue = pd.DataFrame(
        {
            "sample_id": predictions["sample_id"].astype(str),
            "probability": probability,
            "log_odds_to_threshold": _log_odds(probability) - _log_odds(np.array([threshold])),
            "label": predictions["label"].to_numpy(dtype=float),
            "is_second_opinion": predictions["label"].notna() | predictions["sample_id"].isin(list(labelled)),
            "doubt_rank": 0,
        }
    )
    queue = queue.assign(
        distance=queue["log_odds_to_threshold"].abs(), by=predictions[diverse_by] if diverse_by else ""
    )
    queue = queue[~queue["sample_id"].isin(list(done))].sort_values(["is_second_opinion", "distance", "sample_id"])
    if diverse_by:
        queue["doubt_rank"] = queue.groupby(["is_second_opinion", "by"], dropna=False).cumcount()
    order = ["is_second_opinion", "doubt_rank", "distance", "sample_id"]
    return queue.sort_values(order, ignore_index=True)[list(QUEUE_COLUMNS)]


def labels_to_batch(
    store: Store, root: Path, vertical: str, domain: str, batch: str, who: str, *, role: str = ""
) -> Delivery:
    """Write what labellers agree on as `data/<vertical>/<domain>/labels/<batch>.parquet`; nothing half-written.

    Of one labeller the label is taken; samples on which labellers differ are left out and named. Only what is new since
    the batches before is written: labels, changed ones, and those that were taken back (they become what they were
    before the first batch). Without anything new no batch is made, and the result says so.

    Raises:
        BadInputError: the batch exists, a sample is not of the domain, or a label is not in its words.
        MissingArtifactError: there is no such domain.
    """
    from core.lifecycle.delivery import deliver_labels  # the queue needs no database

    folder = Path(root) / "data" / vertical / domain
    return deliver_labels(store, folder, vertical=vertical, batch=batch, who=who, role=role)


def _log_odds(probability: np.ndarray) -> np.ndarray:
    clipped = np.clip(probability, SMALLEST, 1 - SMALLEST)
    return np.log(clipped) - np.log1p(-clipped)
