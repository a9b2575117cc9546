"""Kinds and findings of tables: figures against plain loops, what the scorer adds, what a run writes and reports."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_credit_model import make_model, make_raw_rows, make_samples
from two_lenders import TOY

from core.artifacts import Artifacts, read_json
from core.cases.evidence import evaluate_cases
from core.cases.kinds import kind_confusion, macro_f1_range
from core.cases.sections import case_sections, kinds_section
from core.data.domain import read_domain_spec, write_domain_spec
from core.data.importing import import_table
from core.learners.finding_model import FindingModel
from core.learners.kind_model import KindModel
from core.learners.logistic_regression import LogisticRegression
from core.learners.scoring_model import ScoringModel
from core.params import EvaluateParams, PrepareParams, TrainParams, VerticalParams
from core.stages.evaluate import EvaluationFacts, evaluate
from core.stages.prepare import prepare
from core.stages.train import train
from core.tables.predicting import predict_record, predict_table
from core.tables.scorer import TableScorer

KINDS, FINDINGS = ("fraud", "late"), ("small", "young")
PARAMS = VerticalParams(prepare=PrepareParams(target_domain="bank"), evaluate=EvaluateParams(num_bootstrap=200))


def make_learner():
    return LogisticRegression({}, seed=0)


def with_kinds_and_findings(raw):
    """Labelled samples: what is bad and of a large amount is fraud; two findings, every ninth of them unknown."""
    samples = make_samples(raw)
    amount, age = raw["amount"].astype(float).to_numpy(), raw["age"].astype(float).to_numpy()
    kinds = np.where(samples.labels == 1, np.where(amount > 10_000, "fraud", "late"), "good").astype(object)
    findings = np.column_stack([amount < 8_000, age < 40]).astype(float)
    findings[::9] = np.nan
    return replace(samples, kinds=kinds, findings=findings, finding_names=FINDINGS)


@pytest.fixture(scope="module")
def model():
    rows = with_kinds_and_findings(make_raw_rows(600, seed=1))
    kinds = KindModel.fit(make_learner, rows)
    findings = FindingModel.fit(make_learner, rows, seed=0)
    return replace(make_model(learner="logistic_regression"), kinds=kinds, findings=findings)


@pytest.fixture(scope="module")
def facts(model):
    rows = with_kinds_and_findings(make_raw_rows(200, seed=9))
    test = rows.with_inputs(rows.inputs, model.schema)
    return EvaluationFacts(model, test, test, model.predict_probability(test), TOY, PARAMS, lambda ids: {}, 0)


def plain_macro_f1(truth, called, words):
    scores = []
    for word in words:
        pairs = list(zip(truth, called, strict=True))
        hits = sum(true == word == said for true, said in pairs)
        told = sum((true == word) + (said == word) for true, said in pairs)
        if told:
            scores.append(2 * hits / told)
    return np.mean(scores)


@pytest.mark.parametrize("has_groups", [False, True])
def test_macro_f1_range_is_the_percentiles_of_plain_redraws(facts, has_groups):
    if has_groups:
        facts = replace(facts, test=replace(facts.test, groups=np.repeat(np.arange(50), 4).astype(object)))
    words = ("good", *KINDS)
    best = facts.model.kinds.predict(facts.test).argmax(axis=1)
    called = np.where(facts.probability[:, 1] >= facts.model.threshold, np.array(KINDS)[best], "good")
    truth = facts.test.kinds
    assert kind_confusion(facts)[1] == pytest.approx(plain_macro_f1(truth, called, words))
    random = np.random.default_rng(5)
    _, member = np.unique(facts.test.groups.astype(str), return_inverse=True)
    redrawn = []
    for _ in range(400):
        units = random.integers(member.max() + 1, size=member.max() + 1)
        rows = np.concatenate([np.flatnonzero(member == unit) for unit in units])
        redrawn.append(plain_macro_f1(truth[rows], called[rows], words))
    np.testing.assert_allclose(macro_f1_range(facts), np.quantile(redrawn, [0.025, 0.975]), atol=0.025)


def test_evidence_of_kinds_and_findings_is_written_and_reported(facts, tmp_path):
    found = evaluate_cases(facts, tmp_path)
    assert set(found) == {
        "kinds", "kind_macro_f1", "kind_macro_f1_low", "kind_macro_f1_high", "findings", "finding_macro_auc",
    }  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {"kinds.csv", "kind_confusion.csv", "findings.csv"}
    assert found["finding_macro_auc"] > 0.9 and [line["finding"] for line in found["findings"]] == list(FINDINGS)
    section = kinds_section(tmp_path, found, "good")
    assert f"{found['kind_macro_f1_low']:.3f} to {found['kind_macro_f1_high']:.3f}" in section.text
    assert [caption for caption, _ in section.tables][1].startswith("True kind") and len(section.figures) == 1


def test_evidence_of_a_model_of_two_classes_alone_is_none(facts, tmp_path):
    plain = replace(facts, model=replace(facts.model, kinds=None, findings=None))
    assert evaluate_cases(plain, tmp_path) == {} and list(tmp_path.iterdir()) == []
    assert kinds_section(tmp_path, {}, "good") is None


def test_scorer_adds_kinds_and_findings_of_a_model_that_tells_them_alone(model, tmp_path):
    raw = make_raw_rows(80, seed=5)
    columns, _ = TableScorer(model).score(raw)
    bare, _ = TableScorer(replace(model, kinds=None, findings=None)).score(raw)
    added = ["kind", "kind_fraud", "kind_late", "finding_small", "finding_young"]
    assert [name for name in columns if name not in bare] == added
    assert [name for name in columns if name not in added] == list(bare)
    for name in bare:
        np.testing.assert_array_equal(columns[name], bare[name])
    of_kinds = np.column_stack([columns["kind_fraud"], columns["kind_late"]])
    np.testing.assert_allclose(of_kinds.sum(axis=1), columns["probability"], atol=2e-6)
    is_flagged = columns["decision"] != "clear"
    assert 0 < is_flagged.sum() < 80
    assert columns["kind"][is_flagged].tolist() == [KINDS[place] for place in of_kinds[is_flagged].argmax(axis=1)]
    assert all(kind is None for kind in columns["kind"][~is_flagged])


def test_files_and_records_hold_the_same_kinds_and_findings(model, tmp_path):
    model.save(tmp_path / "model")
    raw = make_raw_rows(12, seed=6)
    raw.to_csv(tmp_path / "in.csv", index=False)
    (tmp_path / "in.csv").write_text((tmp_path / "in.csv").read_text() + "broken,row\n")
    predict_table(TableScorer, tmp_path / "in.csv", tmp_path / "out.csv", tmp_path / "model")
    out = pd.read_csv(tmp_path / "out.csv")
    own = ["kind", "kind_fraud", "kind_late", "finding_small", "finding_young"]
    place = list(out.columns).index("decision") + 1
    assert list(out.columns[place : place + len(own)]) == own and out[own].iloc[-1].isna().all()
    scorer = TableScorer(ScoringModel.load(tmp_path / "model"))
    for row in range(12):
        record = predict_record(scorer, raw.iloc[row].to_dict())
        assert record["kind"] == (out["kind"][row] if isinstance(out["kind"][row], str) else None)
        assert [record[name] for name in own[1:]] == pytest.approx(list(out.loc[row, own[1:]]))
        assert type(record["finding_small"]) is float


def bank(folder, num=400, *, num_rare=0, **columns):
    """An imported domain: outcomes good, fraud and late by two features, and what else is told of the rows."""
    random = np.random.default_rng(3)
    amount, days = random.normal(0, 1, (2, num))
    outcome = np.where(random.random(num) < 0.4, np.where(amount > days, "fraud", "late"), "good").astype(object)
    outcome[:num_rare] = "theft"
    signal = np.where(outcome == "good", -1.0, 1.0) + random.normal(0, 1, num)
    rows = pd.DataFrame({"id": range(num), "amount": amount, "days": days, "signal": signal, "outcome": outcome})
    rows.assign(**columns).to_csv(folder / "in.csv", index=False)
    positive = ["fraud", "late", *(["theft"] if num_rare else [])]
    import_table(
        folder / "in.csv", folder / "data", "toy_credit", "bank", label="outcome", positive=positive, key="id",
        finding=list(columns),
    )  # fmt: skip


def run_to_evaluate(tmp_path):
    params = replace(
        PARAMS,
        prepare=PrepareParams(target_domain="bank", source_domains=()),
        train=TrainParams(transfer="target_only", learner="logistic_regression", trackers=()),
    )
    artifacts = Artifacts(tmp_path / "artifacts", "toy_credit")
    prepare(TOY, params, artifacts, seed=0, data_folder=tmp_path / "data")
    train(TOY, params, artifacts, seed=0)
    evaluate(TOY, params, artifacts, seed=0)
    return artifacts, read_json(artifacts.path("evaluate", "evidence") / "evidence.json")


def test_run_of_a_table_with_rare_kinds_and_one_sided_findings_says_what_is_left_out(tmp_path):
    large = ["yes" if row % 3 else "no" for row in range(400)]
    bank(tmp_path, num_rare=1, large=large, seen=["yes"] * 400)
    artifacts, evidence = run_to_evaluate(tmp_path)
    model = ScoringModel.load(artifacts.path("train", "model"))
    assert model.kinds.words == KINDS  # one theft teaches nothing
    assert model.findings.names == ("large",)
    assert "0 absent among the training rows; at least 5" in model.findings.left_out["seen"]
    assert evidence["findings"][1]["note"].startswith("left out: ")
    assert evidence["kind_macro_f1_low"] < evidence["kind_macro_f1"] < evidence["kind_macro_f1_high"]
    assert 0.4 < evidence["kind_macro_f1"] <= 1

    class Facts:
        """The part of RunFacts that is read."""

        vertical = TOY

    Facts.artifacts = artifacts
    titles = [section.title for section in case_sections(Facts)]
    assert titles == ["Which kinds are found?", "Which findings are there?"]


def test_run_of_a_table_of_two_classes_writes_no_evidence(tmp_path):
    bank(tmp_path)
    folder = tmp_path / "data/toy_credit/bank"
    write_domain_spec(folder, replace(read_domain_spec(folder), positive=("fraud",), negative=("good", "late")))
    artifacts, evidence = run_to_evaluate(tmp_path)
    assert evidence == {} and [p.name for p in artifacts.path("evaluate", "evidence").iterdir()] == ["evidence.json"]
