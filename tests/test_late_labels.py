"""Labels that come after their rows: what is refused, which one wins, and that prepare learns from them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from two_lenders import FAR, NEAR, NEAR_COLUMNS, TOY, far_rows, near_rows, toy_params, write_lender
from two_lines import LINE_A, write_line
from typer.testing import CliRunner

from core.artifacts import Artifacts, read_json
from core.cli import app
from core.data.late_labels import add_late_labels, late_batch_names, read_late_labels
from core.data.prepared import read_manifest
from core.data.table_dataset import read_table_domain
from core.errors import BadInputError, MissingArtifactError
from core.stages.prepare import prepare


@pytest.fixture
def near(tmp_path):
    write_lender(tmp_path, NEAR, near_rows())
    return tmp_path / "toy_credit" / "near"


def table(**labels):
    return pd.DataFrame({"sample_id": [f"near/{key}" for key in labels], "label": list(labels.values())})


def label_of(folder, key):
    manifest = read_table_domain(folder).manifest.set_index("sample_id")
    return manifest.loc[f"{folder.name}/{key}", "label"]


def test_late_label_replaces_the_label_of_its_row_and_is_counted(near):
    first, second = near_rows()["loan_id"].iloc[[0, 1]]  # bad, good
    done = add_late_labels(near, table(**{first: "good", second: "good"}), "2026-11")
    assert (done.num_labels, done.num_withdrawn) == (2, 0)
    rows = read_table_domain(near)
    assert label_of(near, first) == 0.0 and label_of(near, second) == 0.0
    assert rows.problems[["batch", "column", "value", "reason", "count"]].values.tolist() == [
        ["2026-11", "outcome", "good", "label came late, batch 2026-11", 1]
    ]
    assert rows.columns["outcome"].iloc[0] == "bad"  # what the row came with stays readable


def test_late_label_of_an_unlabelled_row_and_a_withdrawn_one_say_so(tmp_path):
    write_lender(tmp_path, FAR, far_rows())
    folder = tmp_path / "toy_credit" / "far"
    late = pd.DataFrame({"sample_id": ["far/initial/1", "far/initial/0"], "label": ["Charged Off", ""]})
    assert add_late_labels(folder, late, "a").num_withdrawn == 1
    rows = read_table_domain(folder)
    assert rows.manifest["label"].iloc[1] == 1.0 and np.isnan(rows.manifest["label"].iloc[0])
    assert set(rows.problems["reason"][rows.problems["batch"] == "a"]) == {
        "unlabelled until batch a",
        "label withdrawn, batch a",
    }


def test_late_labels_last_batch_wins_in_the_order_of_arrival(near):
    key = near_rows()["loan_id"].iloc[0]
    add_late_labels(near, table(**{key: "good"}), "z_first")
    add_late_labels(near, table(**{key: "bad"}), "a_second")
    assert late_batch_names(near) == ["z_first", "a_second"]
    late = read_late_labels(near)
    assert late[["label", "batch"]].values.tolist() == [["bad", "a_second"]]
    assert label_of(near, key) == 1.0


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"L0001": "good", "nobody": "bad"}, "1 of the 2 ids, for example 'near/nobody'"),
        ({"L0001": "god"}, "1 labels are neither positive nor negative.*'god'.*Did you mean 'good'"),
        ({}, "no late label"),
    ],
)
def test_late_labels_wrong_table_is_refused_and_nothing_is_written(near, labels, expected):
    with pytest.raises(BadInputError, match=expected):
        add_late_labels(near, table(**labels), "one")
    assert not (near / "labels").exists()
    assert len(read_late_labels(near)) == 0


def test_late_labels_batch_that_exists_is_not_overwritten(near):
    add_late_labels(near, table(L0001="good", L0002="bad"), "one")
    with pytest.raises(BadInputError, match="batch 'one' of 2 late labels"):
        add_late_labels(near, table(L0001="bad"), "one")
    assert read_late_labels(near)["label"].tolist() == ["good", "bad"]


def test_late_labels_sample_told_two_labels_is_refused(near):
    twice = pd.concat([table(L0001="good"), table(L0001="bad")])
    with pytest.raises(BadInputError, match="1 samples are told two labels, for example near/L0001"):
        add_late_labels(near, twice, "one")


def test_late_labels_keep_who_and_when_in_utc(near):
    late = table(L0001="good").assign(labelled_by="ann", labelled_at="2026-11-30T14:00:00+02:00")
    add_late_labels(near, late, "one")
    found = read_late_labels(near).iloc[0]
    assert (found["labelled_by"], found["labelled_at"]) == ("ann", "2026-11-30T12:00:00+00:00")
    with pytest.raises(BadInputError, match="no ISO time, for example 'yesterday'"):
        add_late_labels(near, late.assign(labelled_at="yesterday"), "two")


def test_late_labels_of_an_unknown_domain_names_the_nearest(near):
    with pytest.raises(MissingArtifactError, match="Did you mean 'near'"):
        add_late_labels(near.parent / "neer", table(L0001="good"), "one")


def test_late_label_of_a_picture_changes_kind_and_drops_its_grade(tmp_path):
    rows = write_line(tmp_path, LINE_A, num=20)
    folder = tmp_path / "toy_line" / "line_a"
    good, bad = (int(np.flatnonzero((rows["label"] == "good") == is_good)[0]) for is_good in (True, False))
    other = "dent" if rows["label"].iloc[bad] == "scratch" else "scratch"
    ids = [f"line_a/initial/{row}" for row in (good, bad)]
    add_late_labels(folder, pd.DataFrame({"sample_id": ids, "label": ["dent", other]}), "one")
    manifest = read_table_domain(folder).manifest.set_index("sample_id")
    assert manifest.loc[ids, "kind"].tolist() == ["dent", other]
    assert manifest.loc[ids, "label"].tolist() == [1.0, 1.0]
    assert np.isnan(manifest.loc[ids[0], "label_probability"])  # the grade was that of the other class
    assert manifest.loc[ids[1], "label_probability"] == pytest.approx(0.67)


def test_late_label_whose_row_is_gone_is_counted(near):
    add_late_labels(near, table(L0001="good"), "one")
    path = near / "labels" / "one.parquet"
    pd.read_parquet(path).assign(sample_id="near/gone").to_parquet(path, index=False)
    problems = read_table_domain(near).problems
    assert problems["reason"].tolist() == ["late label of a row that is not there, batch one"]


def test_prepare_learns_from_late_labels_and_its_data_version_changes(tmp_path):
    write_lender(tmp_path, NEAR, near_rows())
    write_lender(tmp_path, FAR, far_rows())

    def run(name):
        artifacts = Artifacts(tmp_path / name, "toy_credit")
        prepare(TOY, toy_params(), artifacts, seed=0, data_folder=tmp_path)
        return artifacts, read_json(artifacts.path("prepare", "data_report.json"))

    _, before = run("one")
    key = near_rows()["loan_id"].iloc[0]
    add_late_labels(tmp_path / "toy_credit" / "near", table(**{key: "good"}), "2026-11")
    artifacts, after = run("two")
    assert before["data_sha256"]["near"] != after["data_sha256"]["near"]
    assert before["data_sha256"]["far"] == after["data_sha256"]["far"]
    assert read_manifest(artifacts).set_index("sample_id").loc[f"near/{key}", "label"] == 0.0
    assert "label came late, batch 2026-11" in {problem["reason"] for problem in after["problems"]}


def test_prepare_domain_without_label_column_takes_late_labels(tmp_path):
    columns = tuple(column for column in NEAR_COLUMNS if column.use != "label")
    spec = replace(NEAR, columns=columns)
    rows = near_rows()
    write_lender(tmp_path, spec, rows.drop(columns="outcome"))
    artifacts, params = Artifacts(tmp_path / "artifacts", "toy_credit"), toy_params(source_domains=())
    with pytest.raises(BadInputError, match="crossdomain label"):
        prepare(TOY, params, artifacts, seed=0, data_folder=tmp_path)
    labels = dict(zip(rows["loan_id"], rows["outcome"], strict=True))
    add_late_labels(tmp_path / "toy_credit" / "near", table(**labels), "all")
    prepare(TOY, params, artifacts, seed=0, data_folder=tmp_path)
    assert read_manifest(artifacts)["label"].notna().all()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose credit_risk has the toy lender."""
    (tmp_path / "params.yaml").write_text("credit_risk: {}\n")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    write_lender(tmp_path / "data", NEAR, near_rows())
    (tmp_path / "data" / "toy_credit").rename(tmp_path / "data" / "credit_risk")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_label_command_takes_the_key_column(project):
    (project / "outcomes.csv").write_text("loan_id,label\nL0001,good\nL0002,\n")
    done = CliRunner().invoke(app, ["label", "credit_risk", "near", "outcomes.csv", "--batch", "b"])
    assert done.exit_code == 0, done.output
    assert "1 labels added, 1 withdrawn" in done.output
    late = read_late_labels(project / "data" / "credit_risk" / "near")
    assert late["sample_id"].tolist() == ["near/L0001", "near/L0002"]


def test_label_command_file_without_the_columns_says_what_it_needs(project):
    (project / "outcomes.csv").write_text("loan,label\nL0001,good\n")
    done = CliRunner().invoke(app, ["label", "credit_risk", "near", "outcomes.csv", "--batch", "b"])
    assert "It needs sample_id or loan_id, and label" in str(done.exception)
