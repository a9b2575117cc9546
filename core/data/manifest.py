"""The manifest: one row a sample, and the checks it must pass before a learner sees anything."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.errors import BadInputError

REGRESSION = "regression"  # rows that stay out of training and test for good, to judge every later model on
LEARNED_SPLITS = ("train", "valid")  # what a model, its calibration and its threshold are made of
SPLITS = (*LEARNED_SPLITS, "test", REGRESSION)
# Where a domain tells them: the delivery that a row came with, the labellers' grade, the label's own word, and the
# split that came with the data.
OPTIONAL_COLUMNS = ("batch", "label_probability", "kind", "given_split")
# Slice attributes follow these as `slice_<column>`.
MANIFEST_COLUMNS = ("sample_id", "domain", "label", "group", "time", "split", "is_masked")
SLICE_PREFIX = "slice_"
# Findings are `finding_<column>`: 1.0 present, 0.0 absent, NaN unknown or masked.
FINDING_PREFIX = "finding_"


def finding_columns(manifest: pd.DataFrame) -> list[str]:
    """The manifest's columns of findings, in its order."""
    return [str(name) for name in manifest.columns if str(name).startswith(FINDING_PREFIX)]


def check_manifest(manifest: pd.DataFrame, *, num_classes: int | None = 2, temporal_domain: str | None = None) -> None:
    """Refuse a manifest that would let a result lie; all problems are named in one error.

    `num_classes`: None where labels are numbers. `temporal_domain`: the domain that was split by time; its test rows
    must be later than its other rows. A group counts with its first row, because a group that straddles the cut stays
    whole, in training.

    Raises:
        BadInputError: missing columns, ids that repeat or are empty, unknown splits, labels out of range, masked labels
            that are still there, masked test rows, groups in two splits, a test set that is not later than training.
    """
    absent = [name for name in MANIFEST_COLUMNS if name not in manifest.columns]
    if absent:
        raise BadInputError(f"The manifest lacks the columns {absent}.", repair=f"It needs {list(MANIFEST_COLUMNS)}.")
    problems = [
        *_id_problems(manifest),
        *_label_problems(manifest, num_classes),
        *_split_problems(manifest),
        *_group_problems(manifest),
    ]
    if temporal_domain is not None:
        problems += _time_problems(manifest[manifest["domain"] == temporal_domain], temporal_domain)
    if problems:
        raise BadInputError(
            f"The manifest has {len(problems)} problem(s): " + "; ".join(problems) + ".",
            repair="Correct the domain's rows or its split, then run prepare again.",
        )


def _some(values: pd.Series) -> str:
    """The first three of the values, for an error message."""
    shown = [str(value) for value in values.unique()[:3]]
    return ", ".join(shown) + (", ..." if values.nunique() > 3 else "")


def _id_problems(manifest: pd.DataFrame) -> list[str]:
    problems = []
    ids = manifest["sample_id"]
    is_empty = ids.isna() | (ids.astype(str) == "")
    if is_empty.any():
        problems.append(f"{int(is_empty.sum())} rows have no sample_id")
    repeated = ids[ids.duplicated(keep=False) & ~is_empty]
    if len(repeated):
        problems.append(f"{len(repeated)} rows share a sample_id ({_some(repeated)})")
    for name in ("domain", "group"):
        if manifest[name].isna().any():
            problems.append(f"{int(manifest[name].isna().sum())} rows have no {name}")
    return problems


def _label_problems(manifest: pd.DataFrame, num_classes: int | None) -> list[str]:
    problems = []
    known = manifest["label"].dropna()
    strange = known[~np.isfinite(known) if num_classes is None else ~known.isin(range(num_classes))]
    if len(strange):
        wanted = "finite numbers" if num_classes is None else f"in 0..{num_classes - 1}"
        problems.append(f"{len(strange)} labels are not {wanted} ({_some(strange)}); no label is NaN")
    is_masked = manifest["is_masked"].astype(bool)
    for name in ("label_probability", "kind", *finding_columns(manifest)):
        told = manifest[name].notna() & (manifest[name] != "") if name in manifest else is_masked & False
        if (is_masked & told).any():
            problems.append(f"{int((is_masked & told).sum())} masked rows still carry their {name}")
    if (is_masked & manifest["label"].notna()).any():
        count = int((is_masked & manifest["label"].notna()).sum())
        problems.append(f"{count} masked rows still carry their label")
    if (is_masked & (manifest["split"] == "test")).any():
        problems.append("test rows are masked; the label budget is for training rows only")
    return problems


def _split_problems(manifest: pd.DataFrame) -> list[str]:
    strange = manifest.loc[~manifest["split"].isin(SPLITS), "split"]
    if len(strange):
        return [f"{len(strange)} rows have a split other than {', '.join(SPLITS)} ({_some(strange)})"]
    return []


def _group_problems(manifest: pd.DataFrame) -> list[str]:
    num_splits = manifest.groupby("group", sort=False)["split"].nunique()
    straddling = num_splits[num_splits > 1]
    if len(straddling):
        names = _some(pd.Series(straddling.index))
        return [f"{len(straddling)} groups are in more than one split ({names})"]
    return []


def _time_problems(manifest: pd.DataFrame, domain: str) -> list[str]:
    first_of_group = manifest["time"].groupby(manifest["group"]).transform("min")
    is_test = manifest["split"] == "test"
    test_start = manifest.loc[is_test, "time"].min()
    train_end = first_of_group[manifest["split"].isin(LEARNED_SPLITS)].max()
    if pd.notna(test_start) and pd.notna(train_end) and train_end >= test_start:
        return [
            f"the test set of '{domain}' starts {test_start:%Y-%m-%d},"
            f" not later than its training rows, which reach {train_end:%Y-%m-%d}"
        ]
    return []
