"""The data report: every column, missing values, duplicates, label rates, problems, and the shift between domains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from core.data.domain import ColumnSpec, DomainSpec
from core.data.domain_rows import DomainRows
from core.data.manifest import SPLITS
from core.data.repeated_rows import count_repeated_rows
from core.data.samples import Samples
from core.data.table_features import as_texts, feature_columns
from core.data.table_translation import link_columns

NUM_TOP_CATEGORIES = 10
NO_TIE = (
    "No column of the target is tied to this source: it can teach nothing. Give its columns the target's names, or the"
    " same `concept`, in domain.yaml."
)


def describe_domain(rows: DomainRows, manifest: pd.DataFrame) -> dict[str, Any]:
    """One domain's part of the report; `manifest` is its split and masked manifest."""
    spec = rows.spec
    features = [column.name for column in feature_columns(spec)]
    return {
        "title": spec.title,
        "outcome": spec.outcome,
        "licence": spec.licence,
        "source": spec.source,
        "is_synthetic": spec.is_synthetic,
        "caveats": list(spec.caveats),
        "rows": len(manifest),
        "labelled": int(manifest["label"].notna().sum()),
        "duplicates": count_repeated_rows(manifest, rows.columns[features]),
        "known_after_outcome": [c.name for c in spec.columns if c.is_after_outcome],
        "protected": list(spec.protected),
    }


def describe_columns(rows: DomainRows) -> dict[str, dict[str, Any]]:
    """Every column of a domain by its name; see `describe_column`."""
    return {column.name: describe_column(rows.columns[column.name], column) for column in rows.spec.columns}


def describe_splits(manifest: pd.DataFrame, *, is_number: bool = False) -> list[dict[str, Any]]:
    """One row a domain and split: rows, visible and masked labels, rate of positives or mean label, groups, times."""
    mean = "label_mean" if is_number else "positive_rate"
    described = []
    for domain in pd.unique(manifest["domain"]):
        for split in SPLITS:
            part = manifest[(manifest["split"] == split) & (manifest["domain"] == domain)]
            if len(part):
                described.append(
                    {
                        "domain": str(domain),
                        "split": split,
                        "rows": len(part),
                        "labelled": int(part["label"].notna().sum()),
                        "masked": int(part["is_masked"].sum()),
                        mean: float(part["label"].mean()) if part["label"].notna().any() else None,
                        "groups": int(part["group"].nunique()),
                        "first_time": _day(part["time"].min()),
                        "last_time": _day(part["time"].max()),
                    }
                )
    return described


def describe_problems(problems: pd.DataFrame) -> list[dict[str, Any]]:
    """Counts by domain, column and reason of the values that could not be used."""
    counts = problems.groupby(["domain", "column", "reason"], sort=True)["count"].sum()
    return [
        {"domain": domain, "column": column, "reason": reason, "count": int(count)}
        for (domain, column, reason), count in counts.items()
    ]


def describe_column(values: pd.Series, column: ColumnSpec) -> dict[str, Any]:
    """Kind, use, missing fraction, number of distinct values, and the values' range or commonest categories."""
    known = values.dropna()
    described = {
        "kind": column.kind,
        "use": column.use,
        "meaning": column.meaning,
        "unit": column.unit,
        "concept": column.concept,
        "missing_fraction": float(values.isna().mean()) if len(values) else None,
        "distinct": int(known.nunique()),
    }
    # A label's or key's values would tell in the report what the manifest masks.
    if not len(known) or column.use in ("label", "key", "group", "finding"):
        return described
    if column.kind == "number":
        numbers = known.to_numpy(dtype=float)
        low, median, high = np.percentile(numbers, [0, 50, 100])
        return {**described, "min": low, "median": median, "max": high, "mean": float(numbers.mean())}
    if column.kind == "date":
        return {**described, "min": _day(known.min()), "median": _day(known.median()), "max": _day(known.max())}
    if column.kind in ("image", "mask"):
        return described
    if column.kind == "text":
        sizes = as_texts(known).str.len()
        return {**described, "median_characters": float(sizes.median()), "max_characters": int(sizes.max())}
    top = known.value_counts().head(NUM_TOP_CATEGORIES)
    return {**described, "top": {str(name): float(count / len(known)) for name, count in top.items()}}


def describe_translation(
    specs: Mapping[str, DomainSpec], target_domain: str, *, use_protected: bool
) -> dict[str, dict[str, Any]]:
    """For each source, which of its columns each target feature comes from, and how."""
    chosen = feature_columns(specs[target_domain], use_protected=use_protected)
    described = {}
    for name, spec in specs.items():
        if name != target_domain:
            links = link_columns(spec, chosen, use_protected=use_protected)
            described[name] = {
                link.target.name: {
                    "from": link.source.name if link.source else None,
                    "how": link.how,
                    "is_quantile_mapped": link.is_quantile_mapped,
                }
                for link in links
            }
    return described


def describe_ties(translation: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each source, how many of the target's features it has a column for; which it lacks; what none of them means.

    translation: as `describe_translation` gives it.
    """
    described = []
    for source, links in translation.items():
        absent = [name for name, link in links.items() if link["from"] is None]
        note = "" if len(absent) < len(links) else NO_TIE
        told = {"source": source, "tied": len(links) - len(absent), "of": len(links)}
        described.append({**told, "absent": ", ".join(absent), "note": note})
    return described


def describe_shift(samples: Samples, splits: np.ndarray, target_domain: str) -> list[dict[str, Any]]:
    """One row a feature: its population stability index between the target's training rows and each other side.

    Sides: every source's training rows, and the target's test rows. Features are as learners see them, so a number
    mapped onto the target's quantiles shows no shift. None where a side has no value; texts are left out.

    Shape: samples (N) with splits (N,).
    """
    from core.evaluation.shift import population_stability_index

    is_train, is_target = splits == "train", samples.domains == target_domain
    sides = {
        f"train of {name}": is_train & (samples.domains == name)
        for name in pd.unique(samples.domains)
        if name != target_domain
    }
    sides[f"test of {target_domain}"] = (splits == "test") & is_target
    described = []
    for name in samples.schema.names("number", "category"):
        is_category = samples.schema[name].kind == "category"
        expected = samples.inputs.loc[is_train & is_target, name]
        row: dict[str, Any] = {"column": name}
        for side, rows in sides.items():
            actual = samples.inputs.loc[rows, name]
            is_shared = expected.notna().any() and actual.notna().any()
            row[side] = (
                float(population_stability_index(expected.to_numpy(), actual.to_numpy(), is_category=is_category))
                if is_shared
                else None
            )
        described.append(row)
    return described


def _day(time: pd.Timestamp) -> str | None:
    return None if pd.isna(time) else f"{time:%Y-%m-%d}"
