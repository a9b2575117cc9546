"""Rows of every split as numbers in one space, for maps and distances: what the learner sees, or a plain design."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from core.data.samples import Samples, concatenate
from core.learners.base import Learner
from core.learners.descriptions import Describe, describer_of
from core.learners.table_encoding import LinearEncoding

ROLES = ("source_train", "source_valid", "train", "valid", "test")
TRAINING_ROLES = ("source_train", "train")
MAX_ROWS, MAX_TEST_ROWS = 600, 2000  # of a role
PICTURES_AT_ONCE = 256
MIN_KNOWN_FRACTION = 0.05  # of a domain's training rows; of a column below it, the domain does not have it


@dataclass(frozen=True)
class FeatureRows:
    """N drawn rows.

    table: one row each, with sample_id, domain, role, label (word of the class, empty where it is not known) and group.
    features: (N, P) float64; NaN where the row's domain does not have the column. columns: (P,) the raw column behind
    each feature, empty for descriptors. kind: what the features are, in words. reason: why there are none.
    num_rows: role -> how many rows there were to draw from.
    """

    table: pd.DataFrame
    features: np.ndarray
    columns: tuple[str, ...]
    kind: str
    reason: str
    num_rows: Mapping[str, int]

    def of(self, *roles: str, domain: str | None = None) -> np.ndarray:
        """(N,) bool: the rows of any of the roles, and of the domain where one is named."""
        is_role = self.table["role"].isin(roles).to_numpy()
        return is_role if domain is None else is_role & (self.table["domain"] == domain).to_numpy()


def draw_feature_rows(
    learner: Learner, opened: Mapping[str, Samples], classes: Sequence[str], *, seed: int
) -> FeatureRows:
    """At most 600 rows of each role (2,000 test rows), labelled ones first, a role's domains with equal shares.

    Pictures are described as the learner sees them (`describer_of`); tables by a standard design of numbers and
    categories, fitted on the drawn training rows, without texts. Where there is nothing to describe, the table is
    empty and `reason` says why.
    """
    drawn = {
        role: _draw(opened[role], MAX_TEST_ROWS if role == "test" else MAX_ROWS, seed=seed)
        for role in ROLES
        if role in opened and len(opened[role])
    }
    num_rows = {role: len(opened[role]) for role in ROLES if role in opened}
    table = pd.concat([_table_of(samples, role, classes) for role, samples in drawn.items()], ignore_index=True)
    features, columns, kind, reason = _describe(learner, drawn)
    if reason:
        table, features = table.iloc[:0], np.zeros((0, 0))
    return FeatureRows(table, features, columns, kind, reason, num_rows)


def _draw(samples: Samples, max_rows: int, *, seed: int) -> Samples:
    """At most `max_rows` rows, in their order: every domain the same share, what one does not need goes to the rest."""
    if len(samples) <= max_rows:
        return samples
    order = np.random.default_rng(seed).permutation(len(samples))
    order = order[np.argsort(~samples.is_labelled[order], kind="stable")]
    domain = pd.Series(samples.domains[order].astype(str))
    place_in_domain = domain.groupby(domain).cumcount().to_numpy()
    kept = order[np.argsort(place_in_domain, kind="stable")[:max_rows]]
    return samples.take(np.sort(kept))


def _table_of(samples: Samples, role: str, classes: Sequence[str]) -> pd.DataFrame:
    """Who the rows are; the label's word, empty where the label may not be seen."""
    labels = [classes[int(label)] if np.isfinite(label) else "" for label in samples.labels]
    return pd.DataFrame(
        {
            "sample_id": samples.sample_ids.astype(str),
            "domain": samples.domains.astype(str),
            "role": role,
            "label": np.array(labels, dtype=object),
            "group": samples.groups.astype(str),
        }
    )


def _describe(learner: Learner, drawn: Mapping[str, Samples]) -> tuple[np.ndarray, tuple[str, ...], str, str]:
    """(features, columns, kind, reason) of the drawn rows, role after role."""
    any_rows = next(iter(drawn.values()))
    if any_rows.schema is not None and any_rows.schema.names("image"):
        describe = describer_of(learner)
        if describe is None:
            return np.zeros((0, 0)), (), "", "The learner gives no descriptors of pictures."
        features = np.concatenate([row for samples in drawn.values() for row in _in_batches(describe, samples)])
        return features, ("",) * features.shape[1], "descriptors of the learner", ""
    if any_rows.schema is None or not any_rows.schema.names("number", "category"):
        return np.zeros((0, 0)), (), "", "There is no number and no category to describe a row by."
    features, columns = _design(drawn)
    if not features.shape[1]:
        return features, (), "", "Every number and category is the same in all training rows."
    return features, columns, "numbers and categories of the table", ""


def _in_batches(describe: Describe, samples: Samples) -> Iterator[np.ndarray]:
    """(<=256, P) descriptors at a time: a learner may open all pictures that it is given."""
    for start in range(0, len(samples), PICTURES_AT_ONCE):
        rows = np.arange(start, min(start + PICTURES_AT_ONCE, len(samples)))
        yield np.asarray(describe(samples.take(rows)), dtype=float)


def _design(drawn: Mapping[str, Samples]) -> tuple[np.ndarray, tuple[str, ...]]:
    """(N, P) design of tables; NaN in the columns that a domain does not have."""
    samples = list(drawn.values())
    texts = samples[0].schema.names("text", "date")
    schema = samples[0].schema.without(texts)
    rows = concatenate([replace(part, inputs=part.inputs[schema.names()], schema=schema) for part in samples])
    roles = np.repeat(list(drawn), [len(part) for part in samples])
    is_training = np.isin(roles, TRAINING_ROLES)
    encoding = LinearEncoding.fit(rows.take(is_training).with_weights(np.ones(int(is_training.sum()))))
    design, owners = encoding.transform(rows), np.array(encoding.owners, dtype=object)
    domains = rows.domains.astype(str)
    for domain in np.unique(domains):
        of_domain = domains == domain
        known = rows.inputs[of_domain & is_training].notna().mean()
        lacking = [name for name in schema.names() if not known.get(name, 0.0) >= MIN_KNOWN_FRACTION]
        design[np.ix_(of_domain, np.isin(owners, lacking))] = np.nan
    return design, tuple(owners)


def plain_counts(rows: FeatureRows) -> dict[str, Any]:
    """`{role: {rows, drawn}}`, JSON-ready."""
    drawn = rows.table["role"].value_counts()
    return {role: {"rows": num, "drawn": int(drawn.get(role, 0))} for role, num in rows.num_rows.items()}
