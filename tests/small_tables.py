"""Small mixed tables for tests: numbers with gaps, categories with quotes, an ordered category and a text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from core.data.samples import Samples
from core.data.table_schema import Feature, TableSchema

PURPOSES = ("car", 'it\'s "new"', "radio/tv", "holiday", "boat")
LEVELS = ("none", "low", "middle", "high")


def make_table(
    num_rows: int = 240, *, seed: int = 0, domain: str = "target", shift: float = 0.0, slope: float = 1.0
) -> Samples:
    """Labelled rows; `shift` moves the amounts, `slope` turns their effect."""
    random = np.random.default_rng(seed)
    amount = np.round(random.normal(shift, 1.0, num_rows), 3)
    months = random.integers(3, 60, num_rows).astype(float)
    purpose = random.choice(PURPOSES, num_rows, p=[0.4, 0.25, 0.2, 0.13, 0.02])
    level = random.choice(LEVELS, num_rows)
    rank = np.array([LEVELS.index(value) for value in level])
    logits = slope * (1.2 * amount + 0.04 * (months - 30) - 0.6 * rank) + 0.9 * (purpose == "holiday")
    labels = (random.random(num_rows) < 1 / (1 + np.exp(-logits))).astype(float)
    frame = pd.DataFrame(
        {
            "amount": np.where(random.random(num_rows) < 0.1, np.nan, amount),
            "months": months,
            "purpose": np.where(random.random(num_rows) < 0.08, None, purpose).astype(object),
            "level": level.astype(object),
            "story": np.array([f"I want to buy number {k}" for k in range(num_rows)], dtype=object),
        }
    )
    schema = TableSchema(
        (
            Feature("amount", "number", monotone=1),
            Feature("months", "number"),
            Feature("purpose", "category", categories=tuple(sorted(PURPOSES))),
            Feature("level", "category", categories=LEVELS, is_ordered=True, monotone=-1),
            Feature("story", "text"),
        )
    )
    ids = np.array([f"{domain}/{k}" for k in range(num_rows)])
    return Samples(
        inputs=frame,
        labels=labels,
        sample_ids=ids,
        domains=np.full(num_rows, domain),
        weights=np.ones(num_rows),
        groups=ids,
        schema=schema,
    )


def mask_labels(samples: Samples, num_kept: int) -> Samples:
    """The same rows with the labels of only the first `num_kept`."""
    labels = np.where(np.arange(len(samples)) < num_kept, samples.labels, np.nan)
    return replace(samples, labels=labels)


def with_strange_values(samples: Samples) -> Samples:
    """The rows without labels, with an unseen category, an infinite number, and a row of nothing but gaps."""
    frame = samples.inputs.copy()
    frame.loc[0, "purpose"] = "a rocket"
    frame.loc[1, "level"] = "extreme"
    frame.loc[2, "amount"] = np.inf
    frame.loc[3, ["amount", "months"]] = np.nan
    frame.loc[3, ["purpose", "level", "story"]] = None
    return replace(samples, inputs=frame, labels=np.full(len(samples), np.nan))
