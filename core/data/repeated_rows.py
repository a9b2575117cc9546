"""Rows with identical features: within training, and worse, across splits."""

from __future__ import annotations

import numpy as np
import pandas as pd


def count_repeated_rows(manifest: pd.DataFrame, features: pd.DataFrame) -> dict[str, int]:
    """Counts of one domain's rows whose features are all equal to another row's; all-missing rows do not count.

    For valid and test: rows that also occur in train, and how many of those meet their own label there, or a different
    one (masked and missing labels meet nothing).
    """
    hashes = pd.util.hash_pandas_object(features, index=False).to_numpy()
    is_told = features.notna().any(axis=1).to_numpy()
    split = manifest["split"].to_numpy(dtype=object)
    labels = manifest["label"].to_numpy(dtype=float)
    table = pd.DataFrame({"hash": hashes, "label": labels})
    counts = {
        "repeated_rows": int(table["hash"][is_told].duplicated().sum()),
        "repeated_rows_with_other_label": _with_other_label(table[is_told & ~np.isnan(labels)]),
    }
    in_train = is_told & (split == "train")
    lowest_highest = table[in_train].groupby("hash")["label"].agg(["min", "max"])
    for name in ("valid", "test"):
        rows = table[is_told & (split == name) & np.isin(hashes, hashes[in_train])]
        met = lowest_highest.reindex(rows["hash"])
        label = rows["label"].to_numpy()
        low, high = met["min"].to_numpy(), met["max"].to_numpy()
        is_known = ~np.isnan(label) & ~np.isnan(low)
        counts[f"{name}_rows_also_in_train"] = len(rows)
        counts[f"{name}_rows_same_label"] = int((is_known & ((label == low) | (label == high))).sum())
        counts[f"{name}_rows_other_label"] = int((is_known & ((label != low) | (label != high))).sum())
    return counts


def _with_other_label(table: pd.DataFrame) -> int:
    """Rows whose equals carry more than one label."""
    return int((table.groupby("hash")["label"].transform("nunique") > 1).sum())
