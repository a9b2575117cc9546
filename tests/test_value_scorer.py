"""Predicted numbers of new rows: equal to the model's, in order, with band, unit and reasons; bad input is told."""

import gzip
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_values import NORTH, VERTICAL, value_params, write_prepared

from core.data.domain import ColumnSpec
from core.data.scoring_rows import samples_for_scoring
from core.data.typing_rows import type_rows
from core.errors import BadInputError, BadParamsError, MissingArtifactError, VerificationError
from core.regression.predicting import predict_values
from core.regression.regression_model import RegressionModel
from core.regression.value_reasons import top_contributions
from core.regression.value_scorer import ValueScorer
from core.stages.value_train import value_train
from core.tables.predicting import SYNTHETIC_NOTE
from core.tables.scorer import SYNTHETIC, TableScorer

NUM_ROWS = 120
REASONS = ["reason_1", "reason_2", "reason_3", "reason_4"]
COLUMNS = ["value", "low", "high", "unit", *REASONS, "data", "problems"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A trained model whose domain has a key."""
    artifacts = write_prepared(tmp_path_factory.mktemp("values"), num_masked=100)
    value_train(VERTICAL, value_params(), artifacts, seed=0)
    model = RegressionModel.load(artifacts.path("train", "model"))
    spec = replace(model.spec, columns=(ColumnSpec("machine", use="key"), *model.spec.columns))
    replace(model, spec=spec).save(artifacts.root / "model")
    return artifacts.root / "model"


@pytest.fixture(scope="module")
def model(folder):
    return RegressionModel.load(folder)


@pytest.fixture
def raw():
    """Rows of texts with a key, as from a file."""
    frame = NORTH.rows(NUM_ROWS, seed=9)[0].astype(str)
    frame.insert(0, "machine", [f"m{row:03d}" for row in range(NUM_ROWS)])
    return frame


def changed(model, folder, **changes):
    """The model saved anew with other fields."""
    replace(model, **changes).save(folder)
    return folder


def expected_of(model, raw):
    """What the model says of the rows: value, low, high (N,), and the samples."""
    samples = samples_for_scoring(type_rows(raw, model.spec, required=()).frame, model.spec, model.schema)
    return *model.predict(samples), samples


def write_input(raw, folder, kind="csv"):
    path = folder / f"input.{kind}"
    if kind == "parquet":
        raw.to_parquet(path)
    elif kind in {"json", "jsonl"}:
        raw.to_json(path, orient="records", lines=kind == "jsonl")
    else:
        raw.to_csv(path, index=False)
    return path


def predicted(path):
    """The output as texts."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_predict_values_equal_the_model_row_by_row_in_the_order_of_the_input(model, folder, raw, tmp_path):
    shuffled = raw.sample(frac=1.0, random_state=0)
    told = []
    summary = predict_values(
        ValueScorer,
        write_input(shuffled, tmp_path),
        tmp_path / "out.csv",
        folder,
        rows_per_chunk=32,
        progress=told.append,
    )
    out = predicted(tmp_path / "out.csv")
    assert list(out) == ["machine", *COLUMNS] and out["machine"].tolist() == shuffled["machine"].tolist()
    value, low, high, _ = expected_of(model, shuffled)
    for name, expected in (("value", value), ("low", low), ("high", high)):
        np.testing.assert_allclose(out[name].astype(float), expected, rtol=1e-8)
    assert (high - value).min() > 1 and out["unit"].unique().tolist() == ["EUR"]
    assert (summary.rows, summary.scored, summary.unreadable, summary.rows_with_problems) == (120, 120, 0, 0)
    assert summary.lowest == pytest.approx(value.min()) and summary.highest == pytest.approx(value.max())
    assert summary.mean == pytest.approx(value.mean()) and "EUR" in str(summary)
    assert len(told) == 4 and told[-1].startswith("predict: 120 rows")


@pytest.mark.parametrize("kind", ["csv.gz", "parquet", "json", "jsonl"])
def test_predict_values_of_another_kind_or_in_chunks_are_the_same(folder, raw, tmp_path, kind):
    predict_values(ValueScorer, write_input(raw, tmp_path), tmp_path / "csv.csv", folder)
    for size in (7, 50_000):
        other = tmp_path / "other.csv.gz"
        predict_values(ValueScorer, write_input(raw, tmp_path, kind), other, folder, rows_per_chunk=size)
        assert gzip.decompress(other.read_bytes()) == (tmp_path / "csv.csv").read_bytes()


def test_predict_values_without_key_numbers_the_rows_and_repeated_keys_stay_rows(folder, raw, tmp_path):
    predict_values(ValueScorer, write_input(raw.drop(columns="machine"), tmp_path), tmp_path / "bare.csv", folder)
    bare = predicted(tmp_path / "bare.csv")
    assert bare["row"].tolist() == [str(number) for number in range(1, NUM_ROWS + 1)]
    predict_values(ValueScorer, write_input(raw.assign(machine="m1"), tmp_path), tmp_path / "same.csv", folder)
    same = predicted(tmp_path / "same.csv")
    assert same["machine"].tolist() == ["m1"] * NUM_ROWS
    pd.testing.assert_frame_equal(same.drop(columns="machine"), bare.drop(columns="row"))


def test_predict_values_say_synthetic_only_where_the_domain_was_generated(model, folder, raw, tmp_path):
    path = write_input(raw, tmp_path)
    summary = predict_values(ValueScorer, path, tmp_path / "out.csv", folder)
    assert set(predicted(tmp_path / "out.csv")["data"]) == {SYNTHETIC} and SYNTHETIC_NOTE in summary.notes
    real = changed(model, tmp_path / "real", spec=replace(model.spec, is_synthetic=False))
    summary = predict_values(ValueScorer, path, tmp_path / "out.csv", real)
    assert "data" not in predicted(tmp_path / "out.csv") and SYNTHETIC_NOTE not in summary.notes


def test_predict_values_of_a_model_without_band_or_unit_have_empty_cells(model, raw, tmp_path):
    bare = changed(model, tmp_path / "bare", band=None, unit="")
    predict_values(ValueScorer, write_input(raw, tmp_path), tmp_path / "out.csv", bare)
    out = predicted(tmp_path / "out.csv")
    assert set(out["low"]) == set(out["high"]) == set(out["unit"]) == {""} and "" not in set(out["value"])


def test_reasons_are_the_largest_contributions_of_either_sign_in_words_and_unit(model, raw):
    columns, _ = ValueScorer(model).score(raw)
    *_, samples = expected_of(model, raw)
    contributions = model.contributions(samples)
    signs = set()
    for row in range(0, NUM_ROWS, 10):
        largest = contributions.iloc[row].abs().sort_values(ascending=False, kind="stable")
        for rank, name in enumerate(largest.index[:4]):
            reason = columns[REASONS[rank]][row]
            amount = contributions.iloc[row][name]
            words = name.replace("_", " ").capitalize()
            shown = {"make": "Make of the machine", "operator_sex": "Sex of the operator"}.get(name, words)
            assert reason.startswith(f"{shown}: ") and reason.endswith(" EUR")
            number = reason.removesuffix(" EUR").rsplit(" → ", 1)[1].replace(",", "")
            assert number[0] in "+-" and float(number) == pytest.approx(amount, rel=1e-3, abs=0.5)
            signs.add(number[0])
    assert signs == {"+", "-"}
    hours = next(text for text in columns["reason_1"] if text.startswith("Running hours"))
    assert " h (typical " in hours
    sex = [text for rank in REASONS for text in columns[rank] if text and text.startswith("Sex")]
    assert all("[protected attribute]" in text for text in sex)


def test_protected_attribute_that_moves_the_value_is_marked(model, raw):
    contributions = pd.DataFrame(0.0, index=range(2), columns=model.schema.names()).assign(operator_sex=[-3.0, 0.0])
    reasons = ValueScorer(model)._writer.write(contributions, raw.head(2), 2)
    assert reasons[0, 0].startswith("Sex of the operator: ") and reasons[0, 0].endswith(
        "[protected attribute] → -3.000 EUR"
    )
    assert reasons[0, 1] is None and reasons[1].tolist() == [None, None]


@pytest.mark.parametrize(
    ("contributions", "expected"),
    [
        ([[1.0, -3.0, 2.0]], [[1, 2]]),
        ([[0.0, 0.0, 1e-9]], [[2, -1]]),  # small values are no noise where all are small
        ([[5e5, 1.0, -5e5]], [[0, 2]]),  # a tie goes to the earlier column
        ([[100.0, 99.9999999, 100.0000001]], [[0, 1]]),
        ([[0.0, np.nan, 0.0]], [[-1, -1]]),
        ([[2.0]], [[0, -1]]),
    ],
)
def test_top_contributions_by_size_in_any_unit(contributions, expected):
    assert top_contributions(np.array(contributions), 2).tolist() == expected


def test_predict_values_without_explain_or_with_other_options(model, folder, raw, tmp_path):
    path = write_input(raw, tmp_path)
    predict_values(ValueScorer, path, tmp_path / "out.csv", folder, explain=False)
    assert list(predicted(tmp_path / "out.csv")) == ["machine", "value", "low", "high", "unit", "data", "problems"]
    six = changed(model, tmp_path / "six", options={"num_reasons": 6})
    assert ValueScorer.load(six).reason_names == [*REASONS, "reason_5", "reason_6"]
    with pytest.raises(BadParamsError, match="num_reasons"):
        ValueScorer.load(changed(model, tmp_path / "typo", options={"num_reason": 6}))


def test_bad_values_are_missing_and_told_as_the_class_scorer_tells_them(model, raw):
    raw.loc[0, "load"] = "a while"
    raw.loc[1, "heat"] = "inf"
    raw.loc[2, "make"] = "submarine"
    raw.loc[3, ["make", "load"]] = ["x" * 100_000, "?"]
    raw.loc[4, ["make", "load"]] = None
    columns, _ = ValueScorer(model).score(raw)
    problems = columns["problems"]
    assert problems[0] == "load: 'a while' is not a number" and problems[1] == "heat: 'inf' is infinite"
    assert problems[2] == "make: 'submarine' was never seen in training"
    assert problems[3].count("; ") == 1 and len(problems[3]) < 500
    assert [text for text in problems[4:] if text] == []
    typed = type_rows(raw, model.spec, required=())
    samples = samples_for_scoring(typed.frame, model.spec, model.schema)
    assert problems.tolist() == TableScorer(model)._problems(typed.problems, samples).tolist()
    missing = raw.assign(load=raw["load"].where(raw.index != 0, None))
    assert columns["value"][0] == ValueScorer(model).score(missing)[0]["value"][0]


def test_rows_that_cannot_be_read_keep_their_place(folder, raw, tmp_path):
    lines = raw.to_csv(index=False).splitlines()
    lines.insert(4, "broken,row")
    lines.insert(60, lines[60] + ",one,too,many")
    lines.append("at,the,end")
    (tmp_path / "in.csv").write_text("\n".join(lines) + "\n")
    for size in (7, 50_000):
        summary = predict_values(ValueScorer, tmp_path / "in.csv", tmp_path / "out.csv", folder, rows_per_chunk=size)
        out = predicted(tmp_path / "out.csv")
        assert (summary.rows, summary.scored, summary.unreadable) == (NUM_ROWS + 3, NUM_ROWS, 3)
        assert summary.rows_with_problems == 0 and "3 rows could not be read" in str(summary)
        assert out.index[out["value"] == ""].tolist() == [3, 59, NUM_ROWS + 2]
        assert "line 5" in out["problems"][3] and out["unit"][3] == out["reason_1"][3] == ""
        assert set(out["data"]) == {SYNTHETIC}
        assert out.loc[out["value"] != "", "machine"].tolist() == raw["machine"].tolist()


def test_missing_column_is_an_error_that_names_the_nearest_and_leaves_the_output(folder, raw, tmp_path):
    (tmp_path / "out.csv").write_text("what was there")
    path = write_input(raw.rename(columns={"vibration": "vibrations"}), tmp_path)
    with pytest.raises(BadInputError, match=r"'vibration' .renamed. the file has 'vibrations'"):
        predict_values(ValueScorer, path, tmp_path / "out.csv", folder)
    assert (tmp_path / "out.csv").read_text() == "what was there"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["input.csv", "out.csv"]


def test_label_and_extra_columns_are_not_needed_and_do_not_count(folder, raw, tmp_path):
    predict_values(ValueScorer, write_input(raw, tmp_path), tmp_path / "bare.csv", folder)
    more = write_input(raw.assign(cost="a lot", shoe_size="43"), tmp_path)
    summary = predict_values(ValueScorer, more, tmp_path / "more.csv", folder, rows_per_chunk=50)
    assert (tmp_path / "bare.csv").read_bytes() == (tmp_path / "more.csv").read_bytes()
    assert sum("shoe_size" in note for note in summary.notes) == 1 and "note: " in str(summary)


@pytest.mark.parametrize("content", ["", "machine,load\n"])
def test_empty_file_or_header_only_is_an_error(folder, tmp_path, content):
    (tmp_path / "in.csv").write_text(content)
    with pytest.raises(BadInputError):
        predict_values(ValueScorer, tmp_path / "in.csv", tmp_path / "out.csv", folder)
    assert not (tmp_path / "out.csv").exists()


def test_own_input_no_model_or_another_kind_of_model_is_an_error(model, folder, raw, tmp_path):
    path = write_input(raw, tmp_path)
    with pytest.raises(BadInputError, match="input itself"):
        predict_values(ValueScorer, path, path, folder)
    with pytest.raises(MissingArtifactError):
        predict_values(ValueScorer, path, tmp_path / "out.csv", tmp_path / "no_model")
    with pytest.raises(VerificationError, match="no domain spec"):
        ValueScorer(replace(model, spec=None))
    copy = changed(model, tmp_path / "copy")
    (copy / "regression_model.json").write_text("{}")
    with pytest.raises(VerificationError):
        predict_values(ValueScorer, path, tmp_path / "out.csv", copy)


def test_cells_that_a_spreadsheet_would_run_are_neutralised(folder, raw, tmp_path):
    raw.loc[:2, "machine"] = ["=1+1", "@SUM(1)", "-5"]
    raw.loc[0, "make"] = "=HYPERLINK(1)"
    predict_values(ValueScorer, write_input(raw, tmp_path), tmp_path / "out.csv", folder)
    out = predicted(tmp_path / "out.csv")
    assert out["machine"][:3].tolist() == ["'=1+1", "'@SUM(1)", "-5"]
    cells = out[[*REASONS, "problems"]].to_numpy().ravel()
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_prediction_needs_the_saved_model_alone_and_no_training_code(folder, raw, tmp_path):
    path = write_input(raw, tmp_path)
    predict_values(ValueScorer, path, tmp_path / "here.csv", folder)
    arguments = [str(one) for one in (path, tmp_path / "there.csv", folder)]
    program = (
        "import sys; from pathlib import Path\n"
        "from core.regression.predicting import predict_values\n"
        "from core.regression.value_scorer import ValueScorer\n"
        "predict_values(ValueScorer, *map(Path, sys.argv[1:]))\n"
        "trained = [n for n in sys.modules if n.startswith(('core.stages', 'core.regression.transfers', 'torch'))]\n"
        "assert not trained, trained\n"
    )
    subprocess.run([sys.executable, "-c", program, *arguments], check=True)
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()
