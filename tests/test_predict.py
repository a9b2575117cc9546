"""`predict`: a file of any kind or one record; order, keys, bad rows, reasons, memory."""

from __future__ import annotations

import gzip
import json
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from small_credit_model import make_raw_rows, make_samples, save_small_model

from core.errors import BadInputError, MissingArtifactError
from core.learners.scoring_model import ScoringModel
from verticals.credit_risk.predict import predict_file, predict_record
from verticals.credit_risk.scoring import CreditScorer

NUM_ROWS = 500
SCORE_COLUMNS = ["probability", "probability_low", "probability_high", "score", "band", "decision"]
REASONS = ["reason_1", "reason_2", "reason_3", "reason_4"]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("credit") / "model"
    save_small_model(folder, learner_options={"num_rounds": 40})
    return folder


@pytest.fixture(scope="module")
def model(model_folder) -> ScoringModel:
    return ScoringModel.load(model_folder)


@pytest.fixture
def raw() -> pd.DataFrame:
    return make_raw_rows(NUM_ROWS, seed=5)


def scored(path) -> pd.DataFrame:
    """The output as texts, so that nothing is read into the cells."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def write_input(raw: pd.DataFrame, folder, kind: str):
    path = folder / f"input.{kind}"
    if kind == "parquet":
        raw.to_parquet(path)
    elif kind in {"json", "jsonl"}:
        raw.to_json(path, orient="records", lines=kind == "jsonl")
    else:
        raw.to_csv(path, index=False)
    return path


def test_predict_file_equals_the_model_row_by_row_in_the_order_of_the_input(model, model_folder, raw, tmp_path):
    shuffled = raw.sample(frac=1.0, random_state=0)
    summary = predict_file(
        write_input(shuffled, tmp_path, "csv"), tmp_path / "out.csv", model_folder, rows_per_chunk=64
    )
    out = scored(tmp_path / "out.csv")
    assert list(out.columns) == ["loan_id", *SCORE_COLUMNS, *REASONS, "problems"]
    assert out["loan_id"].tolist() == shuffled["loan_id"].tolist()
    samples = make_samples(shuffled.reset_index(drop=True))
    expected = model.predict_probability(samples.with_inputs(samples.inputs, model.schema))[:, 1]
    np.testing.assert_allclose(out["probability"].astype(float), expected, atol=1e-6)
    odds = (1 - expected) / expected
    np.testing.assert_allclose(out["score"].astype(int), 600 + 20 * np.log2(odds / 50), atol=0.51)
    assert (out["decision"] == np.where(expected >= model.threshold, "decline", "approve")).all()
    assert (summary.rows, summary.scored, summary.unreadable) == (NUM_ROWS, NUM_ROWS, 0)
    assert sum(summary.decisions.values()) == NUM_ROWS


@pytest.mark.parametrize("kind", ["csv.gz", "parquet", "json", "jsonl"])
def test_predict_file_of_another_kind_gives_the_same_scores(model_folder, raw, tmp_path, kind):
    predict_file(write_input(raw, tmp_path, "csv"), tmp_path / "csv.csv", model_folder)
    predict_file(write_input(raw, tmp_path, kind), tmp_path / "other.csv", model_folder, rows_per_chunk=100)
    assert (tmp_path / "csv.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()


def test_predict_file_into_gz_is_the_same_file_packed(model_folder, raw, tmp_path):
    source = write_input(raw, tmp_path, "csv")
    predict_file(source, tmp_path / "out.csv", model_folder)
    predict_file(source, tmp_path / "out.csv.gz", model_folder)
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()) == (tmp_path / "out.csv").read_bytes()


def test_predict_file_works_without_label_key_and_later_columns(model_folder, raw, tmp_path):
    with_all = write_input(raw, tmp_path, "csv")
    predict_file(with_all, tmp_path / "all.csv", model_folder)
    bare = raw.drop(columns=["outcome", "recovered", "loan_id"])[::-1]
    bare = bare[bare.columns[::-1]]
    predict_file(write_input(bare, tmp_path, "parquet"), tmp_path / "bare.csv", model_folder)
    out = scored(tmp_path / "bare.csv")
    assert out["row"].tolist() == [str(number) for number in range(1, NUM_ROWS + 1)]
    expected = scored(tmp_path / "all.csv").drop(columns="loan_id")[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(out.drop(columns="row"), expected)


def test_predict_record_equals_its_row_in_the_file(model, model_folder, raw, tmp_path):
    predict_file(write_input(raw, tmp_path, "csv"), tmp_path / "out.csv", model_folder)
    out = scored(tmp_path / "out.csv")
    scorer = CreditScorer(model)
    for number in range(0, NUM_ROWS, 50):
        record = raw.iloc[number].to_dict() | {"duration": int(raw["duration"][number])}
        answer = predict_record(scorer, record)
        cells = {name: "" if value is None else str(value) for name, value in answer.items()}
        assert cells == out.iloc[number].to_dict()
        assert json.loads(json.dumps(answer)) == answer


def test_predict_file_of_one_json_object_gives_one_row(model, model_folder, raw, tmp_path):
    (tmp_path / "one.json").write_text(json.dumps(raw.iloc[3].to_dict(), indent=1))
    assert predict_file(tmp_path / "one.json", tmp_path / "out.csv", model_folder).rows == 1
    assert scored(tmp_path / "out.csv")["probability"].tolist() == [
        str(predict_record(model, raw.iloc[3].to_dict())["probability"])
    ]


def test_predict_reasons_name_only_columns_that_raised_the_risk_largest_first(model, raw):
    samples = make_samples(raw)
    samples = samples.with_inputs(samples.inputs, model.schema)
    contributions = model.contributions(samples)
    columns, _ = CreditScorer(model).score(raw)
    by_meaning = {feature.meaning: feature.name for feature in model.schema.features}
    for row in range(NUM_ROWS):
        named = [columns[name][row] for name in REASONS if columns[name][row] is not None]
        values = contributions.iloc[row].round(5).sort_values(ascending=False, kind="stable")
        assert [by_meaning[text.split(":")[0]] for text in named] == list(values.index[values > 0][:4])


def test_predict_reasons_are_words_with_unit_currency_and_mark(model):
    record = {
        "duration": 60,
        "amount": 19000,
        "income": None,
        "status": "... < 0 DM",
        "purpose": "car",
        "age": 19,
    }
    answer = predict_record(model, record)
    told = [answer[name] for name in REASONS]
    assert f"Duration of the loan: 60 months (typical {model.typical['duration']:.0f})" in told
    assert "Status of checking account: below 0 DM" in told
    assert answer["decision"] == "decline"
    all_told = " ".join(
        text for text in np.concatenate([CreditScorer(model).score(make_raw_rows(200))[0][r] for r in REASONS]) if text
    )
    assert "EUR" in all_told
    assert "years" in all_told
    assert "[protected attribute]" in all_told
    assert all_told.count("Age: ") == all_told.count("[protected attribute]")


def test_predict_reasons_for_adverse_only_leave_approved_rows_empty(tmp_path, raw):
    small = save_small_model(
        tmp_path / "m", learner="logistic_regression", options={"reasons_for": "adverse", "num_reasons": 2}
    )
    columns, _ = CreditScorer(small).score(raw)
    approved = columns["decision"] == "approve"
    assert 0 < approved.sum() < NUM_ROWS
    assert all(text is None for text in columns["reason_1"][approved])
    assert all(text is not None for text in columns["reason_1"][~approved])
    assert "reason_3" not in columns


def test_predict_without_explain_has_no_reason_columns(model_folder, raw, tmp_path):
    predict_file(write_input(raw, tmp_path, "csv"), tmp_path / "out.csv", model_folder, explain=False)
    assert list(scored(tmp_path / "out.csv").columns) == ["loan_id", *SCORE_COLUMNS, "problems"]


def test_predict_bad_values_are_missing_and_told_in_the_row(model, raw):
    raw.loc[0, "duration"] = "a while"
    raw.loc[1, "duration"] = "500"
    raw.loc[2, "amount"] = "inf"
    raw.loc[3, "purpose"] = "submarine"
    raw.loc[4, "status"] = "x" * 100_000
    columns, _ = CreditScorer(model).score(raw)
    problems = columns["problems"]
    assert "duration: 'a while' is not a number" in problems[0]
    assert "duration: '500'" in problems[1]
    assert "amount: 'inf'" in problems[2]
    assert problems[3] == "purpose: 'submarine' was never seen in training"
    assert len(problems[4]) < 500
    assert [text for text in problems[5:] if text] == []
    missing = raw.assign(duration=raw["duration"].where(raw.index > 1, None))
    np.testing.assert_array_equal(columns["probability"][:2], CreditScorer(model).score(missing)[0]["probability"][:2])


def test_predict_rows_that_cannot_be_read_keep_their_place(model_folder, raw, tmp_path):
    lines = raw.to_csv(index=False).splitlines()
    lines.insert(4, "broken,row")
    lines.insert(300, lines[300] + ",one,too,many")
    lines.append("at,the,end")
    (tmp_path / "in.csv").write_text("\n".join(lines) + "\n")
    for size in (7, 50_000):
        summary = predict_file(tmp_path / "in.csv", tmp_path / "out.csv", model_folder, rows_per_chunk=size)
        out = scored(tmp_path / "out.csv")
        assert (summary.rows, summary.scored, summary.unreadable) == (NUM_ROWS + 3, NUM_ROWS, 3)
        assert summary.rows_with_problems == 0
        assert out.index[out["score"] == ""].tolist() == [3, 299, NUM_ROWS + 2]
        assert out["decision"][3] == "refer"
        assert "line 5" in out["problems"][3]
        assert out.loc[out["score"] != "", "loan_id"].tolist() == raw["loan_id"].tolist()


def test_predict_missing_column_is_an_error_that_names_the_nearest(model, model_folder, raw, tmp_path):
    renamed = raw.rename(columns={"duration": "durations"})
    (tmp_path / "out.csv").write_text("what was there")
    with pytest.raises(BadInputError, match="durations"):
        predict_file(write_input(renamed, tmp_path, "csv"), tmp_path / "out.csv", model_folder)
    assert (tmp_path / "out.csv").read_text() == "what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["input.csv", "out.csv"]
    with pytest.raises(BadInputError, match="durations"):
        predict_record(model, renamed.iloc[0].to_dict())
    with pytest.raises(BadInputError, match="JSON object"):
        predict_record(model, ["a"])


def test_predict_extra_columns_are_noted_once(model_folder, raw, tmp_path):
    path = write_input(raw.assign(shoe_size="43"), tmp_path, "csv")
    summary = predict_file(path, tmp_path / "out.csv", model_folder, rows_per_chunk=50)
    assert sum("shoe_size" in note for note in summary.notes) == 1
    assert "shoe_size" in str(summary)


@pytest.mark.parametrize("content", ["", "loan_id,duration\n"])
def test_predict_empty_file_or_header_only_is_an_error(model_folder, tmp_path, content):
    (tmp_path / "in.csv").write_text(content)
    with pytest.raises(BadInputError):
        predict_file(tmp_path / "in.csv", tmp_path / "out.csv", model_folder)
    assert not (tmp_path / "out.csv").exists()


def test_predict_into_its_own_input_or_without_a_model_is_an_error(model_folder, raw, tmp_path):
    path = write_input(raw, tmp_path, "csv")
    with pytest.raises(BadInputError, match="input itself"):
        predict_file(path, path, model_folder)
    with pytest.raises(MissingArtifactError):
        predict_file(path, tmp_path / "out.csv", tmp_path / "no_model")
    with pytest.raises(MissingArtifactError):
        predict_file(tmp_path / "none.csv", tmp_path / "out.csv", model_folder)


def test_predict_cells_that_a_spreadsheet_would_run_are_neutralised(model_folder, raw, tmp_path):
    raw.loc[:4, "loan_id"] = ["=1+1", "+cmd|' /C calc'!A0", "@SUM(1)", "-5", "\t=1"]
    raw.loc[0, "purpose"] = "=HYPERLINK(1)"
    predict_file(write_input(raw, tmp_path, "csv"), tmp_path / "out.csv", model_folder)
    out = scored(tmp_path / "out.csv")
    assert out["loan_id"][:5].tolist() == ["'=1+1", "'+cmd|' /C calc'!A0", "'@SUM(1)", "-5", "'\t=1"]
    cells = out.drop(columns=["loan_id", *SCORE_COLUMNS]).to_numpy().ravel()
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_predict_memory_does_not_grow_with_the_file(model_folder, tmp_path):
    peaks = []
    for num_rows in (4_000, 24_000):
        path = write_input(make_raw_rows(num_rows), tmp_path, "csv")
        tracemalloc.start()
        predict_file(path, tmp_path / "out.csv", model_folder, rows_per_chunk=1_000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_predict_progress_tells_how_far_it_is(model_folder, raw, tmp_path):
    told = []
    predict_file(
        write_input(raw, tmp_path, "csv"),
        tmp_path / "out.csv",
        model_folder,
        rows_per_chunk=200,
        progress=told.append,
    )
    assert [line.split(",")[0] for line in told] == [f"predict: {n} rows" for n in (200, 400, 500)]
