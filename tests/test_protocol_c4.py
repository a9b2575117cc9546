"""C4 on four small lenders: same labels for all methods, honest settings in the file, a guard told for each budget."""

import numpy as np
import pandas as pd
import pytest

from core.artifacts import read_json
from core.data.domain import ColumnSpec, DomainSpec, write_domain_spec
from core.errors import MissingArtifactError
from verticals.credit_risk.protocols import c4

COLUMNS = (
    ColumnSpec("id", use="key"),
    ColumnSpec("income", kind="number", unit="EUR", concept="annual_income"),
    ColumnSpec("months", kind="number", unit="months", concept="duration_months"),
    ColumnSpec("own_score", kind="number"),
    ColumnSpec("bad", use="label"),
)
SMALL = {"num_rounds": 8, "early_stopping_rounds": 0, "max_depth": 2}


def write_lenders(root, *, source_slope=1.0, num_rows=240):
    """The target and three sources; a negative slope turns the sources' law round."""
    for position, name in enumerate((c4.TARGET, *c4.SOURCES)):
        random = np.random.default_rng(position)
        income, months = random.normal(size=num_rows), random.integers(6, 60, num_rows)
        own_score = random.normal(size=num_rows)
        slope = 1.0 if name == c4.TARGET else source_slope
        logits = slope * (1.5 * income + 0.04 * (months - 30)) + 0.3 * own_score
        is_bad = random.random(num_rows) < 1 / (1 + np.exp(-logits))
        frame = pd.DataFrame(
            {
                "id": [str(row) for row in range(num_rows)],
                "income": income.round(4).astype(str),
                "months": months.astype(str),
                "own_score": own_score.round(4).astype(str),
                "bad": np.where(is_bad, "1", "0"),
            }
        ).astype(object)
        columns = COLUMNS
        if name != c4.TARGET:
            frame = frame.drop(columns="own_score")
            columns = tuple(column for column in COLUMNS if column.name != "own_score")
        folder = root / "data" / "credit_risk" / name
        (folder / "rows").mkdir(parents=True)
        write_domain_spec(folder, DomainSpec(name, "credit_risk", columns, positive=("1",), negative=("0",)))
        frame.to_parquet(folder / "rows" / "initial.parquet", index=False)
    return root


@pytest.fixture
def small(monkeypatch):
    """Few draws, few trees, and only the methods whose figures are read here."""
    parts = [c4.OPTIONS["parts"][0], {"learner": "boosted_trees", "options": SMALL}]
    monkeypatch.setattr(c4, "OPTIONS", {**c4.OPTIONS, "parts": parts})
    monkeypatch.setattr(c4, "BUDGETS", (20, 60))
    monkeypatch.setattr(c4, "NUM_DRAWS", 2)
    monkeypatch.setattr(c4, "NUM_BOOTSTRAP", 100)
    kept = ("source_only", "target_only", "continued_training", "auto")
    methods = {name: c4.METHODS[name] for name in kept}
    methods["auto"] = ("auto", {"candidates": c4.SAFE_CANDIDATES, "num_repeats": 1, "num_folds": 3})
    monkeypatch.setattr(c4, "METHODS", methods)
    monkeypatch.setattr(c4, "GUARDED", ("auto",))


def run(root, splits=(1, 2)):
    return c4.run(root, report=lambda _: None, splits=splits)


def entry_of(result, method, budget):
    return next(e for e in result["entries"] if (e["method"], e["budget"]) == (method, budget))


def test_c4_writes_pooled_entries_ledgers_of_each_part_and_safety(small, tmp_path):
    run(write_lenders(tmp_path))
    written = read_json(tmp_path / "verticals" / "credit_risk" / "results" / "c4.json")
    assert written["command"] == "crossdomain compare credit_risk --protocol c4"
    assert {(e["budget"], e["method"]) for e in written["entries"]} == {(n, m) for n in (20, 60) for m in c4.METHODS}
    assert set(written["ledgers_by_test_part"]) == {"1", "2"}
    for entry in written["entries"]:
        values = [
            run["value"]
            for ledger in written["ledgers_by_test_part"].values()
            for run in ledger["runs"]
            if (run["budget"], run["method"]) == (entry["budget"], entry["method"])
        ]
        assert len(values) == entry["draws"] == 4
        assert entry["mean"] == pytest.approx(np.mean(values))
        assert set(entry["difference_by_split"]) == {"1", "2"}
    for budget, is_safe in written["guard_is_safe"]["auto"].items():
        assert is_safe == (entry_of(written, "auto", int(budget))["verdict"] != "negative transfer")
    assert "not blind" in written["looks"] and "out-of-fold" in written["how_chosen"]


def test_c4_with_lenders_of_one_law_finds_the_gain_of_the_prior(small, tmp_path):
    result = run(write_lenders(tmp_path))
    assert entry_of(result, "continued_training", 20)["difference"] > 0.005
    assert entry_of(result, "source_only", 20)["mean"] > 0.75


def test_c4_with_lenders_of_the_opposite_law_says_negative_transfer_and_the_guard_holds(small, tmp_path):
    result = run(write_lenders(tmp_path, source_slope=-1.0))
    assert entry_of(result, "source_only", 60)["verdict"] == "negative transfer"
    assert result["guard_is_safe"]["auto"]["60"]


def test_c4_without_a_lender_names_the_fetch(tmp_path):
    with pytest.raises(MissingArtifactError, match="crossdomain fetch credit_risk"):
        run(tmp_path)
