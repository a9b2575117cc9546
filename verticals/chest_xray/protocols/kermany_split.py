"""How X1 divides the radiographs: the publisher's test split, validation by whole patients, and who is in both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from core.data.samples import Samples
from core.errors import BadInputError

VALID_FOLDS = 8  # one of eight parts of the patients is validation


@dataclass(frozen=True)
class Division:
    """Row positions. series (N,) str: the numbering that a patient belongs to, `IM-`, `NORMAL2-IM-`, `person virus`."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    num_shared_patients: int
    num_left_out: int


def divide(samples: Samples, columns: pd.DataFrame, *, is_patient_safe: bool, seed: int) -> Division:
    """The publisher's test rows; of the others, an eighth of the patients for validation.

    is_patient_safe: radiographs of patients who are also in the test split are left out of training and validation,
    so that both divisions are scored on the same test rows.

    Raises:
        BadInputError: the domain has no `split` column with the word `test`.
    """
    is_test = columns["split"].astype(str).to_numpy() == "test" if "split" in columns else np.zeros(len(columns), bool)
    if not is_test.any() or is_test.all():
        raise BadInputError(
            "The domain tells no test split.", repair="Import it with `--split split`, the publisher's column."
        )
    patients = samples.groups.astype(str)
    shared = np.intersect1d(patients[is_test], patients[~is_test])
    is_left_out = ~is_test & np.isin(patients, shared) if is_patient_safe else np.zeros(len(patients), bool)
    rows = np.flatnonzero(~is_test & ~is_left_out)
    folds = StratifiedGroupKFold(VALID_FOLDS, shuffle=True, random_state=seed)
    fit, held = next(folds.split(rows, samples.targets[rows], patients[rows]))
    return Division(rows[fit], rows[held], np.flatnonzero(is_test), len(shared), int(is_left_out.sum()))


def draw_patients(groups: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """Of the row positions `rows` those of whole patients, drawn until there are `count`; groups (N,) of all rows."""
    names, sizes = np.unique(groups[rows].astype(str), return_counts=True)
    order = np.random.default_rng(0).permutation(len(names))
    num_groups = int(np.searchsorted(np.cumsum(sizes[order]), count)) + 1
    return rows[np.isin(groups[rows].astype(str), names[order[:num_groups]])]


def series_of(columns: pd.DataFrame, samples: Samples) -> np.ndarray:
    """(N,) str: the letters before the patient's number, and the kind of pneumonia."""
    patient = pd.Series(samples.groups.astype(str)).str.split("/").str[-1].str.replace(r"\d+$", "", regex=True)
    subtype = columns["subtype"].fillna("").astype(str).to_numpy() if "subtype" in columns else ""
    return (patient + " " + subtype).str.strip().to_numpy(dtype=object)


def across_series(series: np.ndarray, rows: np.ndarray, targets: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """(fit rows, held rows): half of each class's series against the other half, both ways. Harder than a random cut,
    as the test split is: its patients are numbered apart from those of the training split.
    """
    is_first = np.zeros(len(series), dtype=bool)
    for label in (0, 1):
        names = np.unique(series[rows[targets[rows] == label]].astype(str))
        is_first |= np.isin(series.astype(str), names[: len(names) // 2])
    first, second = rows[is_first[rows]], rows[~is_first[rows]]
    if min(len(np.unique(targets[part])) if len(part) else 0 for part in (first, second)) < 2:
        return []
    return [(first, second), (second, first)]
