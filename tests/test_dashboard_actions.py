"""What visitors do in the pages: score, label, make a batch, propose; and what they may not do."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("streamlit", reason="the extra `dashboard` is not installed")

from drawn_pages import open_page, texts_of
from PIL import Image as PillowImage
from small_credit_model import make_model, make_raw_rows, make_samples

from apps.actions import add_label, make_batch, propose_threshold
from apps.page import NotAllowedError, Page, Visitor
from apps.shared_model import SharedModel
from core.artifacts import Artifacts
from core.data.late_labels import read_late_labels
from core.data.prepared import open_prepared
from core.learners import LEARNERS
from core.learners.finding_model import FindingModel
from core.learners.kind_model import KindModel
from core.learners.scoring_model import ScoringModel
from core.lifecycle.proposals import adopt
from core.lifecycle.store import open_store
from core.params import load_params
from core.vertical import load_vertical


def page_of(root, role, name="label", vertical="credit_risk"):
    return Page(name, root, vertical, Visitor("ann", role), "en")


def picture(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 40)).astype(np.uint8)
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, format="png")
    return buffer.getvalue()


def test_form_scores_one_application_with_reasons_and_alternatives(own_run):
    test = open_page(own_run, "score")
    test.button[0].click().run()
    assert not test.exception and not test.error
    labels = {metric.label: metric.value for metric in test.metric}
    assert 0 <= float(labels["probability"]) <= 1
    assert labels["decision"] in {"approve", "refer", "decline"}
    assert "What would change the decision" in [box.label for box in test.expander]
    assert not test.multiselect  # looked for once somebody wants to see it
    test.session_state["score_changes_credit_risk"] = True
    test.run()
    assert not test.exception and not test.error
    assert test.multiselect[0].value
    assert "→" in test.dataframe[-1].value.to_string() or "No such change" in texts_of(test)
    assert labels == {metric.label: metric.value for metric in test.metric}


def test_form_is_scored_once_however_often_the_page_is_drawn(own_run, monkeypatch):
    from apps import row_result

    scored = []
    score_values = row_result.score_values
    monkeypatch.setattr(row_result, "score_values", lambda *told: scored.append(1) or score_values(*told))
    test = open_page(own_run, "score")
    test.button[0].click().run()
    test.run()
    assert len(scored) == 1
    test.number_input[0].set_value(test.number_input[0].value + 1)
    test.button[0].click().run()
    assert len(scored) == 2 and not test.exception and not test.error


def test_uploaded_table_is_scored_row_for_row_and_a_bad_cell_is_named(own_run):
    rows = pd.read_parquet(own_run / "data/credit_risk/near/rows/initial.parquet").head(12)
    rows.loc[3, "income_eur"] = "a lot"
    test = open_page(own_run, "score")
    test.file_uploader[0].upload("applications.csv", rows.to_csv(index=False).encode(), "text/csv").run()
    assert not test.exception
    assert "12 scored" in texts_of(test)
    table = next(one.value for one in test.dataframe if "decision" in one.value)
    assert list(table["loan_id"]) == list(rows["loan_id"])
    assert "a lot" in table["problems"].iloc[3] and table["probability"].notna().all()


def test_uploaded_picture_is_scored_and_a_bad_file_beside_it_is_named(own_run):
    test = open_page(own_run, "score", "defect_detection")
    files = [("part.png", picture(), "image/png"), ("notes.png", b"#!/bin/sh\nrm -rf /\n", "image/png")]
    test.file_uploader[0].set_value(files).run()
    assert not test.exception and not test.error
    told = texts_of(test)
    assert "1 scored, 1 refused" in told and "notes" in told
    table = next(one.value for one in test.dataframe if "decision" in one.value)
    assert set(table["file"]) == {"part.png", "notes.png"}


def test_form_shows_kinds_and_findings_of_a_model_that_tells_them(own_run):
    params, vertical = load_params(own_run / "params.yaml", "credit_risk"), load_vertical("credit_risk")
    artifacts = Artifacts(own_run / "artifacts", "credit_risk")
    rows = open_prepared(vertical, params, artifacts, splits=("train",))["train"].labelled()
    places = np.arange(len(rows))
    told = replace(
        rows,
        kinds=np.where(rows.labels == 1, np.where(places % 2, "fraud", "late"), "").astype(object),
        findings=(places % 3 == 0).astype(float)[:, None],
        finding_names=("forged",),
    )
    folder = artifacts.path("train", "model")
    kinds, findings = KindModel.fit(make_plain, told), FindingModel.fit(make_plain, told, seed=0)
    replace(ScoringModel.load(folder), kinds=kinds, findings=findings, threshold=0.0).save(folder)
    test = open_page(own_run, "score")
    test.button[0].click().run()
    assert not test.exception and not test.error
    shown = {metric.label: metric.value for metric in test.metric}
    of_kinds, of_findings = (frame.value for frame in test.dataframe[:2])
    assert of_kinds["Kind"].tolist() == ["fraud", "late"] and of_findings["Finding"].tolist() == ["forged"]
    assert shown["kind"] == of_kinds["Kind"][of_kinds["Probability"].idxmax()]
    assert of_kinds["Probability"].sum() == pytest.approx(float(shown["probability"]), abs=0.001)
    assert not any(label.startswith(("kind_", "finding_")) for label in shown)


def make_plain():
    return LEARNERS["logistic_regression"]({}, seed=0)


def test_scored_rows_are_in_cases_with_their_reasons_and_neighbours(own_run):
    rows = pd.read_parquet(own_run / "data/credit_risk/near/rows/initial.parquet").head(3)
    scored = open_page(own_run, "score")
    scored.file_uploader[0].upload("applications.csv", rows.to_csv(index=False).encode(), "text/csv").run()
    test = open_page(own_run, "cases", after=scored)
    test.segmented_control(key="cases_source").set_value("recent").run()
    assert not test.exception and not test.error
    table = test.dataframe[0].value
    assert list(table["sample_id"]) == [str(one) for one in reversed(list(rows["loan_id"]))]
    told = texts_of(test)
    assert "What would change the decision" in [box.label for box in test.expander]
    assert "Nearest training cases" in told
    nearest = test.dataframe[-1].value
    assert len(nearest.columns) == 7  # the column's name, the case and five neighbours


def test_a_training_row_that_is_scored_again_is_its_own_nearest_neighbour(own_run):
    manifest = pd.read_parquet(own_run / "artifacts/credit_risk/prepare/manifest.parquet")
    of_training = manifest[(manifest["split"] == "train") & (manifest["domain"] == "near")]["sample_id"]
    rows = pd.read_parquet(own_run / "data/credit_risk/near/rows/initial.parquet")
    row = rows[rows["loan_id"].astype(str) == of_training.iloc[0].removeprefix("near/")]
    assert len(row) == 1, of_training.iloc[0]
    scored = open_page(own_run, "score")
    scored.file_uploader[0].upload("one.csv", row.to_csv(index=False).encode(), "text/csv").run()
    test = open_page(own_run, "cases", after=scored)
    test.segmented_control(key="cases_source").set_value("recent").run()
    first = test.dataframe[-1].value.columns[2]
    assert first.startswith("1.") and "0.00" in first, first


def test_scored_picture_is_in_cases_with_its_heat_map_and_neighbours(own_run):
    scored = open_page(own_run, "score", "defect_detection")
    scored.file_uploader[0].set_value([("part.png", picture(), "image/png")]).run()
    test = open_page(own_run, "cases", "defect_detection", after=scored)
    test.segmented_control(key="cases_source").set_value("recent").run()
    assert not test.exception and not test.error
    assert list(test.dataframe[0].value["sample_id"]) == ["part.png"]
    assert "Nearest training cases" in texts_of(test)


def test_what_another_model_scored_is_not_shown_as_recent(own_run):
    scored = open_page(own_run, "score")
    scored.button[0].click().run()
    digest, cases = scored.session_state["recent_credit_risk"]
    scored.session_state["recent_credit_risk"] = ("of another model", cases)
    test = open_page(own_run, "cases", after=scored)
    assert digest and not [one for one in test.segmented_control if one.key == "cases_source"]


def test_label_is_kept_undone_and_turned_into_a_batch_that_the_domain_reads(own_run):
    test = open_page(own_run, "label")
    first = test.subheader[0].value
    test.button(key="label_word_2").click().run()
    assert not test.exception and not test.error
    store = open_store(own_run)
    assert len(store.current_labels("credit_risk", "near")) == 1
    assert test.subheader[0].value != first
    test.button(key="label_undo").click().run()
    assert len(store.current_labels("credit_risk", "near")) == 0
    test.button(key="label_word_1").click().run()
    kept = store.current_labels("credit_risk", "near").iloc[0]
    next(button for button in test.button if button.label == "Make the batch").click().run()
    assert "1 new labels" in texts_of(test)
    late = read_late_labels(own_run / "data/credit_risk/near")
    assert late[["sample_id", "label"]].values.tolist() == [[kept["sample_id"], kept["label"]]]


def test_second_labeller_gives_a_kappa_and_a_dispute_stays_out_of_the_batch(own_run):
    ids = list(pd.read_parquet(own_run / "artifacts/credit_risk/evaluate/predictions.parquet")["sample_id"][:6])
    for name, words in (("ann", ["bad"] * 3 + ["good"] * 3), ("bob", ["bad"] * 2 + ["good"] * 4)):
        page = Page("label", own_run, "credit_risk", Visitor(name, "labeller"), "en")
        for sample_id, word in zip(ids, words, strict=True):
            add_label(page, "near", sample_id, word, seconds=1.0, note="")
    assert "Cohen's kappa 0.67" in texts_of(open_page(own_run, "label"))
    made = make_batch(page_of(own_run, "owner"), "near", "second_round")
    assert made.num_new == 5 and list(made.disputed["sample_id"]) == [ids[2]]


def test_proposal_is_saved_changes_nothing_and_is_adopted_by_the_pipeline(own_run):
    before = (own_run / "params.yaml").read_text()
    test = open_page(own_run, "decide", query={"threshold": "0.400"})
    test.text_input[0].set_value("fewer good applicants turned away")
    next(button for button in test.button if button.label == "Propose this threshold").click().run()
    assert not test.exception and not test.error
    assert (own_run / "params.yaml").read_text() == before
    store = open_store(own_run)
    (proposal,) = store.proposals("credit_risk")
    assert proposal.threshold == pytest.approx(0.4) and proposal.figures["on"] == "validation rows"
    adopt(own_run, "credit_risk", proposal, store=store, who="ann", reason="agreed in the credit committee")
    train = load_params(own_run / "params.yaml", "credit_risk").train
    assert (train.threshold_rule, train.fixed_threshold) == ("fixed", pytest.approx(0.4))


def test_workbench_reads_validation_rows_and_no_test_row(own_run):
    path = own_run / "artifacts/credit_risk/evaluate/predictions.parquet"
    before = {metric.label: metric.value for metric in open_page(own_run, "decide").metric[:6]}
    changed = pd.read_parquet(path).assign(probability_bad=0.99, probability_good=0.01)
    changed.to_parquet(path, index=False)
    assert {metric.label: metric.value for metric in open_page(own_run, "decide").metric[:6]} == before


ACTIONS = {
    "label": lambda page: add_label(page, "near", "near/L0001", "bad", seconds=1.0, note=""),
    "make_batch": lambda page: make_batch(page, "near", "mine"),
    "propose": lambda page: propose_threshold(page, {"threshold": 0.5, "cost_per_case": {}, "rates": {}}, (1, 1), "x"),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_viewer_who_calls_an_action_of_others_is_refused(own_run, action):
    with pytest.raises(NotAllowedError, match="viewer"):
        ACTIONS[action](page_of(own_run, "viewer"))
    assert len(open_store(own_run).audit_rows()) == 0


def test_viewer_sees_no_button_of_others_and_no_personal_value(own_run):
    told = [button.label for name in ("label", "decide") for button in open_page(own_run, name, role="viewer").button]
    assert "Make the batch" not in told and "Propose this threshold" not in told
    assert not any("Skip" in label for label in told)
    cases = open_page(own_run, "cases", role="viewer")
    assert not any("sex" in one.value for one in cases.dataframe)
    table = next(one.value for one in cases.dataframe if "unit" in one.value)
    assert table.set_index("column").loc["sex", "value"] == "•••"
    table = next(one.value for one in open_page(own_run, "cases", role="owner").dataframe if "unit" in one.value)
    assert table.set_index("column").loc["sex", "value"] in {"f", "m"}
    chosen = open_page(own_run, "score", role="viewer")
    chosen.selectbox(key="score_start").select_index(1).run()
    assert not chosen.exception and not chosen.error
    assert next(box.value for box in chosen.selectbox if box.label == "sex") is None


def test_every_action_is_in_the_audit_and_the_chain_holds(own_run):
    page = page_of(own_run, "owner")
    ids = list(pd.read_parquet(own_run / "artifacts/credit_risk/evaluate/predictions.parquet")["sample_id"][:1])
    add_label(page, "near", ids[0], "bad", seconds=1.0, note="")
    make_batch(page, "near", "audited")
    rows = open_store(own_run).audit_rows()
    assert {"make_batch"} <= set(rows["action"]) and len(rows) == 2
    assert open_store(own_run).verify_audit().is_whole
    assert json.dumps(rows["who"].tolist()) == '["ann", "ann"]'


def test_model_is_asked_by_eight_sessions_at_once_and_answers_all():
    """XGBoost refuses a score while another thread tells the same trees how many threads to use."""
    model = SharedModel.of(make_model(learner="boosted_trees"))
    rows = make_samples(make_raw_rows(8, seed=5))
    rows = rows.with_inputs(rows.inputs, model.schema)
    expected = model.predict_probability(rows)[:, 1]

    def ask(place):
        row = rows.take([place])
        told = [(model.predict_all(row)[0][0, 1], len(model.contributions(row))) for _ in range(30)]
        return np.ptp([p for p, _ in told]), told[0][0]

    with ThreadPoolExecutor(8) as pool:
        answers = np.array(list(pool.map(ask, range(8))))
    assert not answers[:, 0].any() and answers[:, 1] == pytest.approx(expected)


def test_model_of_the_pages_is_asked_in_turns(own_run):
    from apps import models

    models._scorer.clear()
    scorer = models._scorer("credit_risk", str(own_run / "artifacts/credit_risk/train/model"), "any")
    assert isinstance(scorer.model, SharedModel)
    models._scorer.clear()
