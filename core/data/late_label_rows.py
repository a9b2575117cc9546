"""Late labels put in the place of those that the rows came with, each change counted with its batch."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.data.domain import DomainSpec
from core.data.labels import label_word, read_labels
from core.data.manifest import finding_columns

PROBLEM_COLUMNS = ("batch", "row", "column", "value", "reason", "count")


def apply_late_labels(
    manifest: pd.DataFrame, spec: DomainSpec, late: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(manifest with the late labels and their kinds, one problem a batch, label and sort of change).

    A row whose label changes loses the grade that labellers gave it (`label_probability`), and one that had another
    class or has none any more its findings. `late` is what `read_late_labels` gives.
    """
    if not len(late):
        return manifest, _problem_frame(late.assign(reason=""), spec)
    changed = manifest.copy()
    late = late.assign(place=pd.Index(manifest["sample_id"]).get_indexer(late["sample_id"]))
    late["word"] = late["label"].map(label_word)
    late["value"] = read_labels(late["label"], spec).values
    found = late[late["place"] >= 0]
    place = found["place"].to_numpy()
    old, new = manifest["label"].to_numpy(dtype=float)[place], found["value"].to_numpy(dtype=float)
    is_other_class = ~((old == new) | (np.isnan(old) & np.isnan(new)))
    is_other = is_other_class
    labels = manifest["label"].to_numpy(dtype=float).copy()
    labels[place] = new
    changed["label"] = labels
    if len(spec.positive) > 1:
        kinds = (manifest["kind"] if "kind" in manifest else pd.Series("", index=manifest.index)).astype(object)
        kinds = kinds.fillna("").to_numpy(dtype=object).copy()
        words = np.where(np.isnan(new), "", found["word"].to_numpy(dtype=object))
        is_other = is_other | (kinds[place] != words)
        kinds[place] = words
        changed["kind"] = kinds
    changed = _without_evidence(changed, place[is_other_class], place[is_other_class & ~np.isnan(old)])
    told = found.assign(reason=_reasons(found, old, new, spec))[is_other]
    strays = late[late["place"] < 0]
    strays = strays.assign(
        reason=[f"late label of a row that is not there, batch {batch}" for batch in strays["batch"]]
    )
    return changed, _problem_frame(pd.concat([told, strays]), spec)


def _without_evidence(manifest: pd.DataFrame, turned: np.ndarray, overruled: np.ndarray) -> pd.DataFrame:
    """The grades of rows `turned` to another class and the findings of rows `overruled` in theirs, taken away."""
    names = {name: overruled for name in finding_columns(manifest)}
    names |= {"label_probability": turned} if "label_probability" in manifest else {}
    for name, places in names.items():
        values = manifest[name].to_numpy(dtype=float).copy()
        values[places] = np.nan
        manifest = manifest.assign(**{name: values})
    return manifest


def _reasons(late: pd.DataFrame, old: np.ndarray, new: np.ndarray, spec: DomainSpec) -> list[str]:
    """Why each label is another one than before."""
    no_label = "is no allowed number" if spec.has_number_label else "neither positive nor negative"
    reasons = []
    for batch, label, before, after in zip(late["batch"], late["label"], old, new, strict=True):
        if np.isnan(after):
            why = "label withdrawn" if label == "" else f"late label {no_label}: unlabelled"
            reasons.append(f"{why}, batch {batch}")
        else:
            reasons.append(f"unlabelled until batch {batch}" if np.isnan(before) else f"label came late, batch {batch}")
    return reasons


def _problem_frame(told: pd.DataFrame, spec: DomainSpec) -> pd.DataFrame:
    """The changes counted, in the columns that a domain's problems have."""
    counts = told.groupby(["batch", "label", "reason"], sort=True).size()
    rows = [
        (batch, None, spec.label_column or "label", label, reason, count)
        for (batch, label, reason), count in counts.items()
    ]
    frame = pd.DataFrame(rows, columns=list(PROBLEM_COLUMNS))
    return frame.astype({"row": "Int64", "value": object, "count": "int64"})
