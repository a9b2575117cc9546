from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from two_lenders import FAR, NEAR, NEAR_COLUMNS, TOY, far_rows, near_rows, toy_params, write_lender

from core.artifacts import Artifacts, read_json
from core.data.domain import ColumnSpec, read_domain_spec, write_domain_spec
from core.data.prepared import open_prepared, read_manifest, read_specs
from core.data.table_dataset import open_table_dataset, read_table_domain
from core.errors import BadInputError, BadParamsError, MissingArtifactError
from core.params import EvaluateParams
from core.stages.prepare import prepare

ALL_SPLITS = ("source_train", "source_valid", "train", "valid", "test")


@pytest.fixture
def data(tmp_path):
    write_lender(tmp_path / "data", NEAR, near_rows())
    write_lender(tmp_path / "data", FAR, far_rows())
    return tmp_path / "data"


def run(data, name="artifacts", *, seed=0, params=None, **options):
    params = params or toy_params(**options)
    artifacts = Artifacts(data.parent / name, "toy_credit")
    prepare(TOY, params, artifacts, seed=seed, data_folder=data)
    return params, artifacts


def test_prepare_opens_every_split_in_the_targets_schema(data):
    params, artifacts = run(data)
    opened = open_prepared(TOY, params, artifacts, splits=ALL_SPLITS)
    assert {name: len(samples) for name, samples in opened.items()} == {
        "source_train": 127,
        "source_valid": 23,
        "train": 72,
        "valid": 18,
        "test": 30,
    }
    names = ["income_eur", "term_months", "housing", "rating", "first_account_days", "note", "sex"]
    for samples in opened.values():
        assert list(samples.inputs) == names == samples.schema.names()
        assert samples.schema == opened["train"].schema
        for feature in samples.schema.features:
            assert samples.inputs[feature.name].dtype == ("float64" if feature.kind == "number" else object)
    source = opened["source_train"].inputs
    assert source["rating"].isna().all()  # the source has no such column
    assert set(source["housing"]) == {"eigen", "miete", "mortgage"}
    assert source["income_eur"].between(*opened["train"].inputs["income_eur"].agg(["min", "max"])).all()
    assert set(source["term_months"]) == {36.0, 60.0}  # the same unit: taken as it is


def test_prepare_rows_keep_their_own_values_and_labels(data):
    params, artifacts = run(data)
    raw = near_rows().set_index("loan_id")
    for samples in open_prepared(TOY, params, artifacts, splits=("train", "valid", "test")).values():
        of_raw = raw.loc[[sample_id.removeprefix("near/") for sample_id in samples.sample_ids]]
        assert (samples.inputs["income_eur"].to_numpy() == of_raw["income_eur"].astype(float).to_numpy()).all()
        assert (samples.inputs["housing"].to_numpy() == of_raw["housing"].to_numpy()).all()
        assert (samples.labels == (of_raw["outcome"] == "bad").to_numpy()).all()
        days = (pd.to_datetime(of_raw["first_account"]) - pd.Timestamp("2000-01-01")).dt.days
        assert (samples.inputs["first_account_days"].to_numpy() == days.to_numpy()).all()


def test_prepare_same_seed_gives_identical_files(data):
    _, first = run(data, "one", seed=5, label_budget=20)
    _, again = run(data, "two", seed=5, label_budget=20)
    _, other = run(data, "three", seed=6, label_budget=20)
    pd.testing.assert_frame_equal(read_manifest(first), read_manifest(again))
    assert not read_manifest(first)["split"].equals(read_manifest(other)["split"])
    for name in ("data_report.json", "specs.json", "problems.csv"):
        assert first.path("prepare", name).read_text() == again.path("prepare", name).read_text()


def test_open_prepared_category_of_test_rows_only_is_not_in_the_schema(data):
    params, artifacts = run(data)
    test_ids = set(read_manifest(artifacts).query("split == 'test'")["sample_id"])
    rows = near_rows()
    is_test = ("near/" + rows["loan_id"]).isin(test_ids)
    rows.loc[is_test & (rows["housing"] == "pacht"), "housing"] = "hausboot"
    rows.loc[is_test, "income_eur"] = "99999999"
    write_lender(data, NEAR, rows)
    params, artifacts = run(data)
    opened = open_prepared(TOY, params, artifacts, splits=ALL_SPLITS)
    assert "hausboot" in set(opened["test"].inputs["housing"])
    assert "hausboot" not in opened["test"].schema["housing"].categories
    assert opened["source_train"].inputs["income_eur"].max() < 1e6  # the scale knows training rows only


def test_open_prepared_schema_is_the_same_whatever_is_asked_for(data):
    params, artifacts = run(data)
    alone = open_prepared(TOY, params, artifacts, splits=("test",))
    together = open_prepared(TOY, params, artifacts, splits=ALL_SPLITS)
    assert list(alone) == ["test"]
    assert alone["test"].schema == together["test"].schema
    pd.testing.assert_frame_equal(alone["test"].inputs, together["test"].inputs)


def test_open_prepared_without_sources_gives_empty_source_splits(data):
    params, artifacts = run(data, source_domains=())
    opened = open_prepared(TOY, params, artifacts, splits=ALL_SPLITS)
    assert len(opened["source_train"]) == len(opened["source_valid"]) == 0


def test_open_prepared_after_a_change_of_domains_asks_for_prepare(data):
    _, artifacts = run(data)
    with pytest.raises(MissingArtifactError, match="dvc repro prepare@toy_credit"):
        open_prepared(TOY, toy_params(source_domains=()), artifacts)


def test_prepare_report_tells_splits_problems_shift_and_columns(data):
    rows = near_rows()
    rows.loc[3, "income_eur"] = "n/k"
    write_lender(data, NEAR, rows)
    _, artifacts = run(data, label_budget=20)
    report = read_json(artifacts.path("prepare", "data_report.json"))
    assert report["label_budget"] == {"asked": 20, "given": 20, "masked": 70}
    splits = {(row["domain"], row["split"]): row for row in report["splits"]}
    assert splits["near", "test"]["positive_rate"] == pytest.approx(1 / 3)
    assert splits["near", "train"]["labelled"] + splits["near", "valid"]["labelled"] == 20
    assert {(p["domain"], p["column"], p["count"]) for p in report["problems"]} == {
        ("near", "income_eur", 1),
        ("far", "loan_status", 2),
    }
    assert "Current" in artifacts.path("prepare", "problems.csv").read_text()
    assert report["columns"]["income_eur"]["missing_fraction"] == pytest.approx(1 / 120)
    assert sum(report["columns"]["housing"]["top"].values()) == pytest.approx(1.0)
    assert "top" not in report["columns"]["outcome"]
    assert report["translation"]["far"]["income_eur"] == {
        "from": "annual_inc",
        "how": "same concept",
        "is_quantile_mapped": True,
    }
    shift = {row["column"]: row for row in report["shift"]}
    assert shift["term_months"]["train of far"] > shift["income_eur"]["train of far"]
    assert shift["rating"]["train of far"] is None
    assert len(report["data_sha256"]["near"]) == 64


def test_prepare_tells_what_each_source_has_and_warns_of_one_that_has_nothing(data, capsys):
    report = read_json(run(data)[1].path("prepare", "data_report.json"))
    (tie,) = report["ties"]
    assert (tie["source"], tie["tied"], tie["of"], tie["note"]) == ("far", 5, 7, "")
    assert "rating" in tie["absent"].split(", ")
    assert "far: has 5 of the target's 7 columns" in capsys.readouterr().out
    spec = read_domain_spec(data / "toy_credit" / "far")
    names = {column.name for column in NEAR.columns}
    columns = tuple(
        replace(column, concept="", use="ignore" if column.use == "feature" and column.name in names else column.use)
        for column in spec.columns
    )
    write_domain_spec(data / "toy_credit" / "far", replace(spec, columns=columns))
    (tie,) = read_json(run(data)[1].path("prepare", "data_report.json"))["ties"]
    assert tie["tied"] == 0 and "can teach nothing" in tie["note"]
    assert "far: No column of the target is tied to this source" in capsys.readouterr().out


def test_prepare_further_batch_adds_up(data):
    later = near_rows(30, seed=9)
    later["loan_id"] = "M" + later["loan_id"]
    write_lender(data, NEAR, later, batch="2024-02")
    rows = read_table_domain(data / "toy_credit" / "near")
    assert len(rows) == 150
    assert rows.manifest["sample_id"].iloc[120] == f"near/{later['loan_id'].iloc[0]}"
    assert rows.manifest["sample_id"].is_unique


def test_read_table_domain_without_key_numbers_rows_by_batch(data):
    rows = read_table_domain(data / "toy_credit" / "far")
    assert rows.manifest["sample_id"].iloc[[0, 149]].tolist() == ["far/initial/0", "far/initial/149"]
    assert (rows.manifest["group"] == rows.manifest["sample_id"]).all()
    assert np.isnan(rows.manifest["label"].to_numpy()[[1, 2]]).all()
    assert rows.manifest["label"].sum() == 30


def test_prepare_split_by_time_and_group(data):
    columns = tuple(
        replace(c, use="time") if c.name == "first_account" else replace(c, use="group") if c.name == "note" else c
        for c in NEAR_COLUMNS
    )
    columns += (ColumnSpec("employed_since", kind="date"),)
    rows = near_rows()
    rows["note"] = [f"borrower {row // 2}" for row in range(120)]
    rows["first_account"] = [str(day.date()) for day in pd.date_range("2015-01-01", periods=120)]
    rows["employed_since"] = "2014-12-22"
    write_lender(data, replace(NEAR, columns=columns), rows)
    params, artifacts = run(data)
    test = open_prepared(TOY, params, artifacts, splits=("test",))["test"]
    manifest = read_manifest(artifacts).query("domain == 'near'")
    assert manifest.query("split == 'train'")["time"].max() < manifest.query("split == 'test'")["time"].min()
    assert manifest.groupby("group")["split"].nunique().max() == 1
    assert "first_account_days" not in test.schema.names()
    ages = test.inputs["employed_since_age_days"]
    assert ages.tolist() == [10.0 + row for row in range(90, 120)]


def test_prepare_protected_columns_are_slices_and_no_features_on_demand(data):
    params, artifacts = run(data, use_protected=False)
    opened = open_prepared(TOY, params, artifacts, splits=("train", "test"))
    assert "sex" not in opened["train"].schema.names()
    assert "sex" not in pd.read_parquet(artifacts.path("prepare", "columns/columns_near.parquet"))
    manifest = read_manifest(artifacts).set_index("sample_id")
    raw = near_rows().set_index("loan_id")["sex"]
    for sample_id in opened["test"].sample_ids:
        assert manifest.loc[sample_id, "slice_sex"] == raw[sample_id.removeprefix("near/")]


def test_prepare_drop_suspects_takes_a_planted_leak_out(data):
    rows = near_rows()
    rows["settled"] = np.where(rows["outcome"] == "bad", "no", "yes")
    spec = replace(NEAR, columns=(*NEAR_COLUMNS, ColumnSpec("settled")))
    write_lender(data, spec, rows)
    params, artifacts = run(data)
    report = read_json(artifacts.path("prepare", "data_report.json"))
    assert ("settled", True, False) in [
        (s["column"], s["is_strong"], s["is_dropped"]) for s in report["leakage_suspects"]
    ]
    assert "settled" in open_prepared(TOY, params, artifacts)["train"].schema.names()
    params, artifacts = run(data, drop_suspects=True)
    assert "settled" not in open_prepared(TOY, params, artifacts)["train"].schema.names()
    assert read_specs(artifacts)["near"].column("settled").use == "ignore"


def test_prepare_drop_columns_leaves_the_column_out(data):
    params, artifacts = run(data, drop_columns=("housing",))
    assert "housing" not in open_prepared(TOY, params, artifacts)["train"].schema.names()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"target_domain": "naer"}, MissingArtifactError, "Did you mean 'near'"),
        ({"source_domains": ("fra",)}, MissingArtifactError, "Did you mean 'far'"),
        ({"source_domains": ("near",)}, BadParamsError, "hold the target"),
        ({"drop_columns": ("hosing",)}, BadParamsError, "Did you mean 'housing'"),
        ({"label_budget": 10, "source_domains": ("far", "far")}, BadParamsError, "repeat a domain"),
    ],
)
def test_prepare_bad_choice_is_a_clear_error(data, options, error, words):
    with pytest.raises(error, match=words):
        run(data, **options)


@pytest.mark.parametrize(
    ("slices", "words"),
    [(("sexx",), "Did you mean 'sex'"), (("recovered_eur",), "known only after"), (("outcome",), "label")],
)
def test_prepare_bad_slice_is_a_clear_error(data, slices, words):
    with pytest.raises(BadParamsError, match=words):
        run(data, params=replace(toy_params(), evaluate=EvaluateParams(slices=slices)))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda rows: rows.iloc[:0], "has no rows"),
        (lambda rows: rows[rows["outcome"] == "good"], "of one class .'good'."),
        (lambda rows: rows.assign(outcome="?"), "not one label"),
        (lambda rows: rows.drop(columns="outcome"), "not one label"),
        (lambda rows: rows.assign(loan_id="L1"), "119 rows repeat a key, for example near/L1"),
        (lambda rows: rows.rename(columns={"housing": "housng"}), "housng"),
        (lambda rows: pd.concat([rows[rows["outcome"] == "good"], rows.iloc[[0]]]), "two labelled rows of every class"),
    ],
)
def test_prepare_target_that_cannot_serve_is_a_clear_error(data, edit, words):
    write_lender(data, NEAR, edit(near_rows()))
    with pytest.raises(BadInputError, match=words):
        run(data)


def test_prepare_failure_leaves_the_previous_result_intact(data):
    _, artifacts = run(data)
    before = {path: path.read_bytes() for path in artifacts.path("prepare").rglob("*") if path.is_file()}
    write_lender(data, NEAR, near_rows().assign(outcome="good"))
    with pytest.raises(BadInputError):
        run(data)
    assert {path: path.read_bytes() for path in artifacts.path("prepare").rglob("*") if path.is_file()} == before


def test_open_table_dataset_rows_that_do_not_match_are_refused(data):
    rows = read_table_domain(data / "toy_credit" / "near")
    manifest = rows.manifest.assign(split="train", is_masked=False)
    with pytest.raises(BadInputError, match="119 rows of columns but 120"):
        open_table_dataset(manifest, {"near": rows.columns.iloc[1:]}, {"near": rows.spec}, "near")


def test_credit_read_domain_of_another_vertical_is_refused(data):
    from verticals.credit_risk.dataset import read_domain

    with pytest.raises(BadInputError, match="of vertical 'toy_credit'"):
        read_domain(data / "toy_credit" / "near")
