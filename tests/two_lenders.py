"""Two small lenders as domain folders, written the way an import writes them: rows of texts and a domain.yaml."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from core.data.domain import ColumnSpec, DomainSpec, write_domain_spec
from core.data.table_dataset import open_table_dataset, read_table_domain
from core.params import PrepareParams, VerticalParams
from core.vertical import Vertical

NEAR_COLUMNS = (
    ColumnSpec("loan_id", kind="text", use="key"),
    ColumnSpec("income_eur", kind="number", unit="EUR", concept="annual_income"),
    ColumnSpec("term_months", kind="number", unit="months", concept="term"),
    ColumnSpec("housing", concept="home_ownership", concept_values={"eigen": "own", "miete": "rent", "pacht": "rent"}),
    ColumnSpec("rating", order=("low", "mid", "high"), concept="rating"),
    ColumnSpec("first_account", kind="date", concept="first_account"),
    ColumnSpec("note", kind="text", concept="purpose_text"),
    ColumnSpec("sex", is_protected=True),
    ColumnSpec("recovered_eur", kind="number", unit="EUR", is_after_outcome=True),
    ColumnSpec("outcome", use="label"),
)
FAR_COLUMNS = (
    ColumnSpec("annual_inc", kind="number", unit="USD", concept="annual_income"),
    ColumnSpec("term_months", kind="number", unit="months", concept="term"),
    ColumnSpec("home", concept="home_ownership", concept_values={"OWN": "own", "RENT": "rent", "MORTGAGE": "mortgage"}),
    ColumnSpec("opened", kind="date", concept="first_account"),
    ColumnSpec("purpose", kind="text", concept="purpose_text"),
    ColumnSpec("late_fees", kind="number", concept="recovered", is_after_outcome=True),
    ColumnSpec("loan_status", use="label"),
)
NEAR = DomainSpec("near", "toy_credit", NEAR_COLUMNS, positive=("bad",), negative=("good",), title="Near lender")
FAR = DomainSpec("far", "toy_credit", FAR_COLUMNS, positive=("Charged Off",), negative=("Fully Paid",))

TOY = Vertical(
    name="toy_credit",
    title="Toy credit",
    task="binary",
    modality="table",
    classes=("good", "bad"),
    positive_class="bad",
    metrics=("auc",),
    source_domains=("far",),
    target_domain="near",
    demo_domains=("near", "far"),
    read_domain=read_table_domain,
    open_dataset=open_table_dataset,
    fetch=lambda *_: None,
    import_domain=lambda *_: None,
    options_type=dict,
)


def near_rows(num_rows: int = 120, seed: int = 0) -> pd.DataFrame:
    """Raw texts of the target lender; about a third is bad."""
    random = np.random.default_rng(seed)
    is_bad = np.arange(num_rows) % 3 == 0
    income = random.normal(40_000, 9_000, num_rows) - 4_000 * is_bad
    return pd.DataFrame(
        {
            "loan_id": [f"L{row:04d}" for row in random.permutation(num_rows)],
            "income_eur": [f"{value:.2f}" for value in income],
            "term_months": random.choice(["12", "24", "36", "48"], num_rows),
            "housing": random.choice(["eigen", "miete", "miete", "pacht"], num_rows),
            "rating": random.choice(["low", "mid", "high"], num_rows),
            "first_account": [f"20{year:02d}-03-01" for year in random.integers(1, 20, num_rows)],
            "note": random.choice(["a new car", "the old roof", "further education"], num_rows),
            "sex": random.choice(["f", "m"], num_rows),
            "recovered_eur": np.where(is_bad, "250", "0"),
            "outcome": np.where(is_bad, "bad", "good"),
        }
    ).astype(object)


def far_rows(num_rows: int = 150, seed: int = 1) -> pd.DataFrame:
    """Raw texts of the source lender; a fifth is bad, two loans still run."""
    random = np.random.default_rng(seed)
    is_bad = np.arange(num_rows) % 5 == 0
    status = np.where(is_bad, "Charged Off", "Fully Paid").astype(object)
    status[[1, 2]] = "Current"
    return pd.DataFrame(
        {
            "annual_inc": [f"{value:.0f}" for value in random.lognormal(11, 0.4, num_rows)],
            "term_months": random.choice(["36", "60"], num_rows),
            "home": random.choice(["OWN", "RENT", "MORTGAGE"], num_rows),
            "opened": [f"19{year:02d}-06-01" for year in random.integers(80, 99, num_rows)],
            "purpose": random.choice(["debt consolidation", "car"], num_rows),
            "late_fees": np.where(is_bad, "15", "0"),
            "loan_status": status,
        }
    ).astype(object)


def write_lender(root: Path, spec: DomainSpec, rows: pd.DataFrame, *, batch: str = "initial") -> None:
    """`root/toy_credit/<domain>/` with its domain.yaml and one batch."""
    folder = root / "toy_credit" / spec.name
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    write_domain_spec(folder, spec)
    rows.to_parquet(folder / "rows" / f"{batch}.parquet", index=False)


def toy_params(**prepare: object) -> VerticalParams:
    """Parameters of the toy vertical; keywords go to the prepare section."""
    return VerticalParams(prepare=PrepareParams(**{"target_domain": "near", "source_domains": ("far",), **prepare}))
