"""A small generated lender and a scoring model fitted on it, for tests and where no demo data was fetched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from core.data.domain import ColumnSpec, DomainSpec
from core.data.samples import Samples
from core.data.scoring_rows import samples_for_scoring
from core.data.table_schema import Feature, TableSchema
from core.data.typing_rows import type_rows
from core.evaluation.calibration import CALIBRATORS
from core.evaluation.calibration_band import CalibrationBand
from core.learners.base import LEARNERS
from core.learners.scoring_model import ScoringModel

SPEC = DomainSpec(
    name="small_lender",
    vertical="credit_risk",
    columns=(
        ColumnSpec("loan_id", kind="category", use="key"),
        ColumnSpec("duration", kind="number", meaning="Duration of the loan", unit="months", allowed=(1, 120)),
        ColumnSpec("amount", kind="number", meaning="Amount of the loan", unit="currency"),
        ColumnSpec("income", kind="number", meaning="Monthly income", unit="currency"),
        ColumnSpec("status", kind="category", meaning="Status of checking account"),
        ColumnSpec("purpose", kind="category", meaning="Purpose"),
        ColumnSpec("age", kind="number", meaning="Age", unit="years", is_protected=True),
        ColumnSpec("recovered", kind="number", is_after_outcome=True),
        ColumnSpec("outcome", kind="category", use="label"),
    ),
    positive=("bad",),
    negative=("good",),
)
SCHEMA = TableSchema(
    tuple(
        Feature(c.name, c.kind, meaning=c.meaning, unit=c.unit, is_protected=c.is_protected)
        for c in SPEC.columns
        if c.use == "feature" and not c.is_after_outcome
    )
)


def make_raw_rows(num_rows: int, *, seed: int = 0) -> pd.DataFrame:
    """Applications as texts, with the outcome; long loans and overdrawn accounts go bad more often."""
    rng = np.random.default_rng(seed)
    duration = rng.integers(6, 61, num_rows)
    status = rng.choice(["... < 0 DM", "0 <= ... < 200 DM", "no checking account"], num_rows)
    log_odds = 0.05 * (duration - 30) + 1.2 * (status == "... < 0 DM") - 1.0
    is_bad = rng.random(num_rows) < 1 / (1 + np.exp(-log_odds))
    rows = pd.DataFrame(
        {
            "loan_id": [f"L{number:07d}" for number in range(num_rows)],
            "duration": duration.astype(str),
            "amount": rng.integers(250, 20_000, num_rows).astype(str),
            "income": np.round(rng.lognormal(7.5, 0.5, num_rows), 2).astype(str),
            "status": status,
            "purpose": rng.choice(["car", "furniture", "education", "repairs"], num_rows),
            "age": rng.integers(19, 75, num_rows).astype(str),
            "recovered": np.where(is_bad, "100", "0"),
            "outcome": np.where(is_bad, "bad", "good"),
        }
    ).astype(object)
    rows.loc[rng.random(num_rows) < 0.05, "income"] = None
    return rows


def make_samples(raw: pd.DataFrame) -> Samples:
    """Labelled samples in the lender's schema, categories from these rows."""
    frame = type_rows(raw, SPEC).frame
    samples = samples_for_scoring(frame, SPEC, SCHEMA.with_categories_of(frame))
    labels = (raw["outcome"] == "bad").to_numpy(dtype=float)
    return Samples(
        samples.inputs,
        labels,
        samples.sample_ids,
        samples.domains,
        samples.weights,
        samples.groups,
        samples.schema,
    )


def make_model(
    *, learner: str = "boosted_trees", learner_options: dict | None = None, options: dict | None = None
) -> ScoringModel:
    """A model fitted on 600 generated rows, calibrated on 300 others."""
    train = make_samples(make_raw_rows(600, seed=1))
    raw = make_raw_rows(300, seed=2)
    valid = make_samples(raw).with_inputs(make_samples(raw).inputs, train.schema)
    fitted = LEARNERS[learner](learner_options or {}, seed=0).fit(train)
    probability = fitted.predict_probability(valid)
    return ScoringModel(
        learner=fitted,
        calibrator=CALIBRATORS["platt"]().fit(probability, valid.targets),
        band=CalibrationBand.fit(
            CALIBRATORS["platt"], probability, valid.targets, positive_index=1, confidence=0.95, seed=0
        ),
        threshold=0.3,
        schema=train.schema,
        classes=("good", "bad"),
        positive_class="bad",
    ).with_context(spec=SPEC, train=train, options=options or {"currency": "EUR"}, provenance={"versions": {"x": "1"}})


def save_small_model(folder: Path, **choices) -> ScoringModel:
    """Fit, save and hand back the model."""
    model = make_model(**choices)
    model.save(folder)
    return model
