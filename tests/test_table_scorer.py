"""The scorer that every table vertical starts from: its words, own columns, and what generated rows say."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_credit_model import make_model, make_raw_rows

from core.learners.scoring_model import ScoringModel
from core.tables.predicting import SYNTHETIC_NOTE, predict_record, predict_table
from core.tables.scorer import SYNTHETIC, TableScorer

FIRST = ["probability", "probability_low", "probability_high", "decision", "reason_1"]


class DoublingScorer(TableScorer):
    whole_columns = ("doubled",)

    def own_columns(self, positive):
        return {"doubled": np.rint(200 * positive)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return _saved(tmp_path_factory.mktemp("real") / "model", is_synthetic=False)


@pytest.fixture(scope="module")
def synthetic_folder(tmp_path_factory):
    return _saved(tmp_path_factory.mktemp("generated") / "model", is_synthetic=True)


def _saved(folder, *, is_synthetic):
    model = make_model(learner_options={"num_rounds": 10})
    replace(model, spec=replace(model.spec, is_synthetic=is_synthetic)).save(folder)
    return folder


def test_scorer_decides_in_its_words_from_the_threshold_upwards(folder):
    scorer = TableScorer.load(folder)
    columns, _ = scorer.score(make_raw_rows(80, seed=5))
    assert [name for name in columns if name in FIRST] == FIRST and "data" not in columns
    expected = ["flag" if value >= scorer.model.threshold else "clear" for value in columns["probability"]]
    assert columns["decision"].tolist() == expected and set(expected) == {"flag", "clear"}
    assert scorer.decide(np.array([np.nan, scorer.model.threshold])).tolist() == ["refer", "flag"]


def test_scorer_with_own_columns_writes_them_as_whole_numbers(folder, tmp_path):
    raw = make_raw_rows(10, seed=6)
    raw.to_csv(tmp_path / "in.csv", index=False)
    predict_table(DoublingScorer, tmp_path / "in.csv", tmp_path / "out.csv", folder)
    out = pd.read_csv(tmp_path / "out.csv", dtype=str)
    np.testing.assert_allclose(out["doubled"].map(int), 200 * out["probability"].astype(float), atol=0.51)
    record = predict_record(DoublingScorer(ScoringModel.load(folder)), raw.iloc[0].to_dict())
    assert isinstance(record["doubled"], int) and str(record["doubled"]) == out["doubled"][0]


def test_predict_of_a_model_from_generated_rows_says_synthetic_in_every_row(synthetic_folder, tmp_path):
    path = tmp_path / "in.csv"
    make_raw_rows(5, seed=7).to_csv(path, index=False)
    path.write_text(path.read_text() + "broken,row\n")
    summary = predict_table(TableScorer, path, tmp_path / "out.csv", synthetic_folder)
    out = pd.read_csv(tmp_path / "out.csv")
    assert out["data"].tolist() == [SYNTHETIC] * 6 and summary.unreadable == 1
    assert SYNTHETIC_NOTE in summary.notes
    assert list(out.columns[-2:]) == ["data", "problems"] and out["decision"].iloc[-1] == "refer"
