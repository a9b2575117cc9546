"""A real lender's file as a user brings it. Set CROSSDOMAIN_DATASETS to the folder of data sets to run this."""

import os
from pathlib import Path

import pytest

from core.data.domain import read_domain_spec
from verticals.credit_risk.dataset import read_domain
from verticals.credit_risk.importing import import_domain

FILE = Path(os.environ.get("CROSSDOMAIN_DATASETS", "")) / "credit_risk/lendingclub_text/loans.csv.gz"
AFTERWARDS = ("loan_status", "recoveries", "total_rec_int", "total_rec_late_fee", "total_rec_prncp")


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    if not os.environ.get("CROSSDOMAIN_DATASETS") or not FILE.exists():
        pytest.skip("CROSSDOMAIN_DATASETS is not set to a folder with credit_risk/lendingclub_text/loans.csv.gz")
    return import_domain(
        FILE,
        tmp_path_factory.mktemp("data"),
        "lendingclub_text",
        label="bad",
        positive="1",
        key="id",
        time="issue_date",
        text=("description", "employ_title"),
        after_outcome=AFTERWARDS,
    )


def test_every_row_is_taken_in(imported):
    assert (imported.num_rows, imported.num_quarantined, imported.num_unlabelled) == (8682, 0, 0)


def test_kinds_are_inferred_as_a_person_would(imported):
    spec = read_domain_spec(imported.folder)
    kinds = {column.name: column.kind for column in spec.columns}
    assert kinds["earliest_credit"] == "date"
    assert kinds["address_state"] == "category"
    assert kinds["description"] == kinds["employ_title"] == "text"
    assert kinds["months_since_last_record"] == kinds["dti"] == "number"
    assert {column.name for column in spec.columns if column.is_after_outcome} == set(AFTERWARDS)


def test_rows_read_back_with_labels_and_times(imported):
    rows = read_domain(imported.folder)
    assert int(rows.manifest["label"].sum()) == 1321
    assert rows.manifest["time"].notna().all()
    assert rows.columns["instalment_to_income"].notna().mean() > 0.99
