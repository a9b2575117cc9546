"""Rows of another domain in the target's columns: by name, by shared concept, numbers onto the target's scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from core.data.domain import ColumnSpec, DomainSpec
from core.data.table_features import as_numbers, as_texts


@dataclass(frozen=True)
class ColumnLink:
    """Where a target column comes from in a source domain; `source` None: the source lacks it."""

    target: ColumnSpec
    source: ColumnSpec | None
    how: Literal["same name", "same concept", "missing"]
    is_quantile_mapped: bool = False


def link_columns(
    source: DomainSpec, target_columns: Sequence[ColumnSpec], *, use_protected: bool = True
) -> tuple[ColumnLink, ...]:
    """For each target column the source column of the same name and kind, or else of the same concept and kind.

    A category whose concept words are all numbers also serves a number of its concept.

    Source columns that are no features, known only after the outcome or (with `use_protected` False) protected are
    never linked. Numbers are quantile-mapped unless both sides state the same unit, or have one name and neither
    states a unit.
    """
    allowed = [
        column
        for column in source.with_use("feature")
        if not column.is_after_outcome and (use_protected or not column.is_protected)
    ]
    return tuple(_link(target, allowed) for target in target_columns)


def _link(target: ColumnSpec, allowed: Sequence[ColumnSpec]) -> ColumnLink:
    same_name = [column for column in allowed if column.name == target.name and column.kind == target.kind]
    tied = [column for column in allowed if target.concept and column.concept == target.concept]
    # Columns of the same kind first; a category can stand for a number where its words are numbers (`term_36: '36'`).
    same_concept = [column for column in tied if column.kind == target.kind]
    if target.kind == "number":
        same_concept += [column for column in tied if column.kind == "category" and _has_number_words(column)]
    for how, found in (("same name", same_name), ("same concept", same_concept)):
        if found:
            source = found[0]
            is_one_scale = source.unit == target.unit and (source.unit or how == "same name")
            is_mapped = target.kind == "number" and not is_one_scale
            return ColumnLink(target, source, how, is_quantile_mapped=is_mapped)
    return ColumnLink(target, None, "missing")


def _has_number_words(column: ColumnSpec) -> bool:
    words = pd.Series(list(column.concept_values.values()), dtype=object)
    return len(words) > 0 and bool(as_numbers(words).notna().all())


def translate_columns(
    columns: pd.DataFrame,
    links: Sequence[ColumnLink],
    *,
    is_train: np.ndarray,
    target_train: pd.DataFrame,
) -> pd.DataFrame:
    """(N, D) source rows in the target's raw columns.

    is_train: (N,) bool, the source rows that scales are fitted on. target_train: the target's training rows.
    """
    translated = {}
    for link in links:
        if link.source is None:
            translated[link.target.name] = pd.Series(None, index=range(len(columns)), dtype=object)
            continue
        values = columns[link.source.name].reset_index(drop=True)
        onto = target_train[link.target.name]
        if link.target.kind == "number" and link.source.kind == "category":
            values = as_numbers(as_texts(values).map(dict(link.source.concept_values)))
        if link.is_quantile_mapped:
            numbers = as_numbers(values).to_numpy()
            mapped = quantile_map(numbers, numbers[is_train], as_numbers(onto).to_numpy())
            values = pd.Series(mapped)
        elif link.target.kind == "category":
            values = translate_categories(values, link, onto)
        translated[link.target.name] = values
    return pd.DataFrame(translated, index=range(len(columns)))


def quantile_map(values: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """`Q_target(F_source(values))`: each value becomes the target's value of the same rank; NaN stays NaN.

    F gives a source value the middle of the ranks of its equals, divided by M - 1, and is linear between neighbours;
    a value beyond the source's range has the rank of its nearest end. Q is linear between the sorted target values.
    All NaN where either side has no value. (scikit-learn's QuantileTransformer breaks ties by rounding errors of its
    percentiles, which moves popular values such as zero by many ranks.)

    Shape: values (N,), source (M,), target (K,) -> (N,).
    Source: Panofsky & Brier (1968), quantile mapping; Hyndman & Fan (1996), quantile definition 7.
    """
    source, target = source[~np.isnan(source)], target[~np.isnan(target)]
    if len(source) == 0 or len(target) == 0:
        return np.full(len(values), np.nan)
    distinct, counts = np.unique(source, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2
    rank = middle / (len(source) - 1) if len(source) > 1 else np.array([0.5])
    rank_of_value = np.interp(values, distinct, rank)
    return np.interp(rank_of_value * (len(target) - 1), np.arange(len(target)), np.sort(target))


def translate_categories(values: pd.Series, link: ColumnLink, target_train: pd.Series) -> pd.Series:
    """Source categories as the target's own, through the concept's words.

    A word that no target category has stays as the word: it is a category that only the source knows (missing where
    the target's categories are ordered). Where several target categories share a word, the commonest in the target's
    training rows is taken. A source category outside a non-empty `concept_values` has no meaning here and is missing,
    unless the columns have one name, where it keeps its text.
    """
    source, target = link.source, link.target
    commonest = list(as_texts(target_train).value_counts(sort=True).index)
    known = {*commonest, *target.concept_values, *target.order}
    by_commonness = sorted(
        target.concept_values, key=lambda v: commonest.index(v) if v in commonest else len(commonest)
    )
    category_of_word: dict[str, str] = {}
    for category in by_commonness:
        category_of_word.setdefault(target.concept_values[category], category)
    is_same_name = link.how == "same name"

    def translate(category: str) -> str | None:
        if is_same_name and category in known:
            return category
        untold = category if is_same_name or not source.concept_values else None
        word = source.concept_values.get(category, untold)
        told = category_of_word.get(word, word)
        return None if target.order and told not in target.order else told

    texts = as_texts(values)
    table = {category: translate(category) for category in texts.dropna().unique()}
    return pd.Series([table.get(text) for text in texts], dtype=object)
