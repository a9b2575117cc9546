"""Train, validation and test rows: stratified by label, whole groups, or by time."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from core.data.manifest import REGRESSION
from core.errors import BadInputError, BadParamsError
from core.params import SplitParams

# `auto` splits by time where nearly every row has one; rows without a time are then training rows.
MIN_KNOWN_TIME_FRACTION = 0.95
GIVEN_WORDS = {"training": "train", "validation": "valid", "val": "valid", "dev": "valid", "testing": "test"}
# scikit-learn's grouped folds weigh every group against every fold: 20 s for 15,000 groups. With this many, drawing
# groups by their highest label comes as near to the fractions.
MAX_WEIGHED_GROUPS = 2000


@dataclass(frozen=True)
class Split:
    """names: (N,) str, train / valid / test, row by row. report: counts and the cut, for the data report."""

    names: np.ndarray
    method: str
    report: dict[str, Any] = field(default_factory=dict)


def split_rows(manifest: pd.DataFrame, params: SplitParams, seed: int, *, has_test: bool = True) -> Split:
    """Split one domain's rows. Fractions are of all labelled rows; equal seeds give equal splits.

    Stratified and grouped: unlabelled rows are training rows (or follow their group). Temporal: the test rows are the
    latest, the validation rows the latest before them; a group that straddles a cut goes to train, and is counted.
    By batches: as SplitParams tells.
    `has_test=False` (sources): train and validation only, never by time. Regression rows are set apart before all else.

    Raises:
        BadParamsError: fractions that leave no training rows; `test_from` without a split by time or unreadable.
        BadInputError: too few rows, groups or days for the split.
    """
    if has_test and params.test_fraction + params.valid_fraction >= 1:
        raise BadParamsError(
            f"prepare.split: test_fraction {params.test_fraction} and valid_fraction {params.valid_fraction}"
            " leave no training rows.",
            repair="Their sum must be below 1.",
        )
    manifest = manifest.reset_index(drop=True)
    is_apart = in_regression_set(manifest["group"], params.regression_fraction) & has_test
    if not is_apart.any():
        return _split_rest(manifest, params, seed, has_test=has_test)
    rest = _split_rest(manifest[~is_apart].reset_index(drop=True), params, seed, has_test=has_test)
    names = np.full(len(manifest), REGRESSION, dtype=object)
    names[~is_apart] = rest.names
    counts = {**rest.report["rows"], REGRESSION: int(is_apart.sum())}
    return Split(names=names, method=rest.method, report={**rest.report, "rows": counts})


def in_regression_set(groups: pd.Series, fraction: float) -> np.ndarray:
    """(N,) bool: groups whose name's SHA-256, read as a number from 0 to 1, is below `fraction`.

    What else is in the data plays no part, so a group that is in once stays in with every later batch.
    """
    if not fraction:
        return np.zeros(len(groups), dtype=bool)
    codes, names = pd.factorize(groups.astype(str))
    digests = [hashlib.sha256(f"{REGRESSION}/{name}".encode()).digest()[:8] for name in names]
    places = np.array([int.from_bytes(digest, "big") / 2**64 for digest in digests])
    return (places < fraction)[codes] if len(names) else np.zeros(0, dtype=bool)


def _split_rest(manifest: pd.DataFrame, params: SplitParams, seed: int, *, has_test: bool) -> Split:
    method = _choose_method(manifest, params) if has_test else _choose_timeless(manifest)
    if method == "given":
        return _split_as_given(manifest, params, seed)
    if method == "good_only":
        return _split_good_only(manifest, params, seed)
    if method == "batches":
        return _split_by_batches(manifest, params, seed)
    names = np.full(len(manifest), "train", dtype=object)
    report: dict[str, Any] = {"method": method}
    rest = np.arange(len(manifest))
    steps = [("valid", params.valid_fraction, None)]
    if has_test:
        relative = params.valid_fraction / (1 - params.test_fraction)
        steps = [("test", params.test_fraction, params.test_from), ("valid", relative, None)]
    for name, fraction, first_day in steps:
        part = manifest.iloc[rest]
        # One day may be all that is left before the test period.
        step = method if name == "test" or method != "temporal" or _num_times(part) > 1 else _choose_timeless(part)
        held_out, details = _hold_out(part, step, fraction, seed, first_day)
        report[f"{name}_method"] = step
        names[rest[held_out]] = name
        report.update({f"{name}_{key}": value for key, value in details.items()})
        rest = rest[~held_out]
    report["rows"] = _count(names)
    return Split(names=names, method=method, report=report)


def _split_as_given(manifest: pd.DataFrame, params: SplitParams, seed: int) -> Split:
    """The split that came with the data; without validation rows, some are held out of the training rows."""
    told = manifest["given_split"].astype(object).where(manifest["given_split"].notna(), "train")
    names = told.astype(str).str.strip().str.lower().replace(GIVEN_WORDS).to_numpy(dtype=object)
    unknown = sorted(set(names) - {"train", "valid", "test"})
    if unknown:
        raise BadInputError(
            f"The split column holds {', '.join(map(repr, unknown[:5]))}.", repair="Use train, valid and test."
        )
    if not (names == "valid").any():
        rest = np.flatnonzero(names == "train")
        part = manifest.iloc[rest].reset_index(drop=True)
        held_out, _ = _hold_out(part, _choose_timeless(part), params.valid_fraction, seed, None)
        names[rest[held_out]] = "valid"
    return Split(names=names, method="given", report={"method": "given", "rows": _count(names)})


def _split_good_only(manifest: pd.DataFrame, params: SplitParams, seed: int) -> Split:
    """Train and validation of groups that hold negatives alone; the rest is test, with a share of the good groups."""
    labels = manifest["label"].to_numpy(dtype=float)
    has_other = pd.Series(labels != 0).groupby(manifest["group"].to_numpy(dtype=object)).transform("max").to_numpy()
    names = np.full(len(manifest), "test", dtype=object)
    good = np.flatnonzero(~has_other)
    if len(good) < 4:
        raise BadInputError(
            f"A good-only split needs groups of good rows alone; {len(good)} such rows are there.",
            repair="Add good rows, or choose another prepare.split.method.",
        )
    rest = good
    relative = params.valid_fraction / (1 - params.test_fraction)
    for name, fraction in (("test", params.test_fraction), ("valid", relative)):
        part = manifest.iloc[rest].reset_index(drop=True)
        held_out, _ = _hold_out(part, _choose_timeless(part), fraction, seed, None)
        names[rest[held_out]] = name
        rest = rest[~held_out]
    names[rest] = "train"
    return Split(names=names, method="good_only", report={"method": "good_only", "rows": _count(names)})


def _split_by_batches(manifest: pd.DataFrame, params: SplitParams, seed: int) -> Split:
    """Test rows are the newest deliveries with labels of both classes; groups that an earlier one knows stay in train.

    Deliveries come in the manifest's order. Newer ones without labels are training rows that a transfer may adapt to.
    """
    batch, label = manifest["batch"], manifest["label"]
    classes = label.groupby(batch, sort=False).nunique()
    able = [name for name in pd.unique(batch) if classes[name] > 1]
    if len(able) <= params.test_batches:
        raise BadInputError(
            f"A split by batches needs more than {params.test_batches} deliveries with labels of both classes; there"
            f" are {len(able)} of {batch.nunique()}.",
            repair="Bring further deliveries or labels, or choose another prepare.split.method.",
        )
    chosen = able[-params.test_batches :]
    is_chosen = batch.isin(chosen)
    is_known = manifest["group"].isin(manifest.loc[~is_chosen, "group"])
    names = np.where(is_chosen & ~is_known, "test", "train").astype(object)
    rest = np.flatnonzero(names == "train")
    part = manifest.iloc[rest].reset_index(drop=True)
    held_out, _ = _hold_out(part, _choose_timeless(part), params.valid_fraction, seed, None)
    names[rest[held_out]] = "valid"
    report = {
        "method": "batches",
        "test_batches": [str(name) for name in chosen],
        "rows_of_known_groups_kept_in_train": int((is_chosen & is_known).sum()),
        "rows": _count(names),
    }
    return Split(names=names, method="batches", report=report)


def _count(names: np.ndarray) -> dict[str, int]:
    return {name: int((names == name).sum()) for name in ("train", "valid", "test")}


def _has_groups(manifest: pd.DataFrame) -> bool:
    return manifest["group"].nunique() < len(manifest)


def _has_given(manifest: pd.DataFrame) -> bool:
    """Whether the data came with a split that has test rows."""
    return "given_split" in manifest and bool(
        manifest["given_split"].astype(str).str.lower().str.strip().eq("test").any()
    )


def _num_times(manifest: pd.DataFrame) -> int:
    """Different times among labelled rows."""
    return manifest.loc[manifest["label"].notna(), "time"].nunique()


def _choose_timeless(manifest: pd.DataFrame) -> str:
    return "grouped" if _has_groups(manifest) else "stratified"


def _choose_method(manifest: pd.DataFrame, params: SplitParams) -> str:
    """The method asked for, or the strictest one that the rows allow."""
    if params.method == "given" and not _has_given(manifest):
        raise BadParamsError(
            "prepare.split.method is 'given', but the target domain has no split column.",
            repair="Set `use: split` for a column of its domain.yaml, or choose another method.",
        )
    if params.method == "batches" and "batch" not in manifest:
        raise BadParamsError(
            "prepare.split.method is 'batches', but the rows do not tell their delivery.",
            repair="Choose another method.",
        )
    if params.method == "auto" and _has_given(manifest):
        return "given"
    if params.method == "auto":
        is_timed = manifest["time"].notna().mean() >= MIN_KNOWN_TIME_FRACTION
        if params.test_from is not None or (is_timed and _num_times(manifest) > 1):
            return "temporal"
        return _choose_timeless(manifest)
    if params.test_from is not None and params.method != "temporal":
        raise BadParamsError(
            f"prepare.split.test_from needs a split by time, but method is '{params.method}'.",
            repair="Set prepare.split.method to temporal, or test_from to null.",
        )
    if params.method == "stratified" and _has_groups(manifest):
        raise BadParamsError(
            "prepare.split.method 'stratified' would cut groups apart: rows of this domain share a group.",
            repair="Use grouped or auto, or take the group column out of domain.yaml.",
        )
    return params.method


def _hold_out(
    manifest: pd.DataFrame, method: str, fraction: float, seed: int, first_day: str | None
) -> tuple[np.ndarray, dict[str, Any]]:
    """(N,) bool of the rows held out, and what to report."""
    if method == "temporal":
        return _hold_out_latest(manifest, fraction, first_day)
    labels = manifest["label"].to_numpy(dtype=float)
    labelled = np.flatnonzero(~np.isnan(labels))
    counts = pd.Series(labels[labelled]).value_counts()
    if len(counts) == 0 or counts.min() < 2:
        raise BadInputError(
            f"A {method} split needs two labelled rows of every class; there are"
            f" { {int(label): int(count) for label, count in counts.items()} }.",
            repair="Add labelled rows.",
        )
    try:
        if method == "grouped":
            # Unlabelled rows follow their group.
            groups = manifest["group"].astype(str).to_numpy(dtype=object)
            drawn = _draw_groups(groups[labelled], labels[labelled].astype(int), fraction, seed)
            return np.isin(groups.astype(str), drawn.astype(str)), {}
        _, chosen = train_test_split(labelled, test_size=fraction, random_state=seed, stratify=labels[labelled])
    except ValueError as error:
        raise BadInputError(
            f"{len(labelled)} labelled rows are too few for a {method} split: {error}.",
            repair="Add labelled rows or change prepare.split's fractions.",
        ) from None
    return np.isin(np.arange(len(manifest)), chosen), {}


def _draw_groups(groups: np.ndarray, labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Names of the groups held out: k of n stratified group folds, k / n near `fraction`; many groups by their label.

    Raises:
        ValueError: too few groups or rows.
    """
    highest_label = pd.Series(labels).groupby(groups).max()
    if len(highest_label) > MAX_WEIGHED_GROUPS:
        names = highest_label.index.to_numpy(dtype=object)
        return train_test_split(names, test_size=fraction, random_state=seed, stratify=highest_label)[1]
    share = Fraction(fraction).limit_denominator(10) or Fraction(1, round(1 / fraction))
    if len(highest_label) < share.denominator:
        raise ValueError(f"{len(highest_label)} groups, but {share.denominator} are needed")
    folds = StratifiedGroupKFold(share.denominator, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class with fewer rows than folds is met by prepare's check that both classes are in the test set.
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = [part for _, part in folds.split(groups, labels, groups)]
    return np.unique(groups[np.concatenate(parts[: share.numerator])].astype(str))


def _hold_out_latest(
    manifest: pd.DataFrame, fraction: float, first_day: str | None
) -> tuple[np.ndarray, dict[str, Any]]:
    """Rows from a day on; the day is given, or it is the one that comes nearest to `fraction` of labelled rows."""
    time = manifest["time"]
    cut = _parse_day(first_day) if first_day is not None else _nearest_cut(manifest, fraction)
    if not (time.min() < cut <= time.max()):
        raise BadInputError(
            f"A test set from {cut} on leaves training or test rows empty: times reach from"
            f" {time.min()} to {time.max()}.",
            repair="Choose another prepare.split.test_from, or split method grouped or stratified.",
        )
    group_start = time.groupby(manifest["group"]).transform("min")
    held_out = (group_start >= cut).to_numpy()
    late_but_kept = ((time >= cut) & (group_start < cut)).to_numpy()
    return held_out, {
        "from": cut.isoformat(),
        "straddling_groups_kept_in_train": int(manifest.loc[late_but_kept, "group"].nunique()),
        "straddling_rows_kept_in_train": int(late_but_kept.sum()),
        "rows_without_time_kept_in_train": int(time.isna().sum()),
    }


def _parse_day(day: str) -> pd.Timestamp:
    try:
        return pd.to_datetime(day, format="%Y-%m-%d")
    except (ValueError, TypeError):
        raise BadParamsError(f"prepare.split.test_from: '{day}' is no day.", repair="Write it as YYYY-MM-DD.") from None


def _nearest_cut(manifest: pd.DataFrame, fraction: float) -> pd.Timestamp:
    """The time whose rows-from-then-on are nearest to `fraction` of the labelled rows with a time."""
    known = manifest.loc[manifest["label"].notna(), "time"].dropna()
    if known.nunique() < 2:
        raise BadInputError(
            f"A split by time needs two different times among labelled rows; there are {known.nunique()}.",
            repair="Set prepare.split.method to stratified or grouped, or name the time column in domain.yaml.",
        )
    counts = known.value_counts().sort_index()
    share_from = counts[::-1].cumsum()[::-1] / counts.sum()
    return (share_from.iloc[1:] - fraction).abs().idxmin()
