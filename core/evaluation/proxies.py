"""Proxies: how well the other features give a protected attribute away, and which single ones do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from core.data.table_schema import Feature, TableSchema
from core.errors import BadInputError
from core.evaluation.attribute_bands import MISSING, attribute_groups

MAX_ROWS = 5000
MAX_CATEGORIES = 30
# How plainly an AUC gives the attribute away; chance is 0.5.
WEAK, STRONG = 0.6, 0.75


def protected_proxies(
    frame: pd.DataFrame,
    protected: pd.DataFrame,
    schema: TableSchema,
    *,
    seed: int = 0,
    num_folds: int = 5,
    num_columns: int = 5,
) -> dict[str, dict[str, Any]]:
    """`{attribute: {auc, strength, rows, columns: [{column, auc}]}}` by cross-validation.

    frame: (N, F) features of `schema`. protected: (N, P) attributes, numbers in terciles. Protected features and free
    text are not used to predict. auc: boosted trees on all other features, weighted one against the rest where there
    are several groups; strength: none below 0.6, some below 0.75, else strong. columns: the best single features, each
    by a small tree. At most 5,000 rows are used. auc is None where an attribute has fewer than two groups with two
    rows a fold.

    Raises:
        BadInputError: frame and protected differ in length.
    """
    if len(frame) != len(protected):
        raise BadInputError(f"protected has {len(protected)} rows, expected {len(frame)}.")
    features = [
        feature
        for feature in schema.features
        if feature.kind in {"number", "category"} and not feature.is_protected and feature.name not in protected.columns
    ]
    return {
        str(name): _proxies_of(frame, protected[name], features, seed, num_folds, num_columns)
        for name in protected.columns
    }


def _proxies_of(
    frame: pd.DataFrame,
    attribute: pd.Series,
    features: list[Feature],
    seed: int,
    num_folds: int,
    num_columns: int,
) -> dict[str, Any]:
    """Proxies of one attribute."""
    groups = attribute_groups(attribute).to_numpy()
    names, sizes = np.unique(groups, return_counts=True)
    usable = [n for n, size in zip(names, sizes, strict=True) if n != MISSING and size >= 2 * num_folds]
    rows = np.flatnonzero(np.isin(groups, usable))
    if len(usable) < 2 or not features:
        return {"auc": None, "strength": "unknown", "rows": len(rows), "columns": []}
    rows = _sampled(rows, groups, usable, num_folds, np.random.default_rng(seed))
    target = groups[rows].astype(str)
    sampled = frame.iloc[rows].reset_index(drop=True)
    folds = StratifiedKFold(num_folds, shuffle=True, random_state=seed)
    trees = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, random_state=seed)
    auc = _cross_validated_auc(sampled, target, features, trees, folds)
    singles = []
    for feature in features:
        tree = DecisionTreeClassifier(max_depth=4, min_samples_leaf=10, random_state=seed)
        single = _cross_validated_auc(sampled, target, [feature], tree, folds)
        singles.append({"column": feature.name, "auc": single})
    singles.sort(key=lambda item: -item["auc"])
    return {
        "auc": auc,
        "strength": "none" if auc < WEAK else "some" if auc < STRONG else "strong",
        "rows": len(rows),
        "columns": singles[:num_columns],
    }


def _sampled(
    rows: np.ndarray, groups: np.ndarray, usable: list[str], num_folds: int, rng: np.random.Generator
) -> np.ndarray:
    """At most MAX_ROWS of the rows, and of each group no fewer than two a fold."""
    if len(rows) <= MAX_ROWS:
        return rows
    share = MAX_ROWS / len(rows)
    parts = []
    for name in usable:
        members = rows[groups[rows] == name]
        wanted = min(len(members), max(2 * num_folds, round(share * len(members))))
        parts.append(rng.choice(members, wanted, replace=False))
    return np.sort(np.concatenate(parts))


def _cross_validated_auc(
    frame: pd.DataFrame, target: np.ndarray, features: list[Feature], model: Any, folds: StratifiedKFold
) -> float:
    """AUC of out-of-fold probabilities; missing numbers are left to the trees."""
    numbers = [feature.name for feature in features if feature.kind == "number"]
    categories = [feature.name for feature in features if feature.kind == "category"]
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES, sparse_output=False)
    encoded = ColumnTransformer([("number", "passthrough", numbers), ("category", encoder, categories)])
    inputs = frame[numbers].astype(float).join(frame[categories].astype(object).fillna(MISSING).astype(str))
    told = cross_val_predict(make_pipeline(encoded, model), inputs, target, cv=folds, method="predict_proba")
    if told.shape[1] == 2:
        return float(roc_auc_score(target == np.unique(target)[1], told[:, 1]))
    return float(roc_auc_score(target, told, multi_class="ovr", average="weighted"))
