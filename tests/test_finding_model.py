"""A model of several findings: unknown is not negative, probabilities are independent, and what is made of them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image as PillowImage
from small_defect_model import SIZE_PX, TINY, fit_unfitted, make_defect_model
from two_lines import COLUMNS, LINE_A, TOY_LINE, line_params, write_line

from core.artifacts import Artifacts, read_json
from core.cases.findings import COLUMNS as TABLE_COLUMNS
from core.cases.findings import finding_table, macro_auc
from core.cases.sections import findings_section
from core.data.domain import ColumnSpec
from core.data.samples import Samples
from core.data.table_schema import Feature, TableSchema
from core.evaluation.calibrators.platt import PlattCalibrator
from core.images.image import Image, images_of
from core.learners.finding_model import FindingModel, rows_that_know
from core.learners.inner_folds import inner_folds
from core.learners.scoring_model import PLAIN_SUFFIXES, ScoringModel
from core.params import EvaluateParams, TrainParams
from core.pictures.evidence import evaluate_pictures
from core.pictures.predicting import predict_files, predict_picture
from core.pictures.scorer import open_scorer
from core.stages.evaluate import EvaluationFacts, evaluate
from core.stages.prepare import prepare
from core.stages.train import train

NAMES = ("stripes", "spot")
OPTIONS = {**TINY, "head": "logistic", "strength": 10.0}


def make_learner():
    return fit_unfitted("image_probe", OPTIONS)


def two_findings(num=80, *, seed=0):
    """Pictures in groups of two with upright stripes, a dark spot, both or neither, each by a coin of its own."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE_PX, :SIZE_PX]
    truth = generator.random((num, 2)) < 0.5
    images = []
    for has_stripes, has_spot in truth:
        ground = 0.6 + 0.05 * generator.standard_normal((SIZE_PX, SIZE_PX))
        if has_stripes:
            ground += 0.25 * np.sin(2 * np.pi * columns / 4)
        if has_spot:
            centre = generator.uniform(10, 22, 2)
            ground -= 0.5 * (np.hypot(rows - centre[0], columns - centre[1]) < 6)
        images.append(Image.of_pixels(np.clip(ground * 255, 0, 255).astype(np.uint8)[:, :, None]))
    ids = np.array([f"r{row}" for row in range(num)], dtype=object)
    groups = np.array([f"g{row // 2}" for row in range(num)], dtype=object)
    return Samples(
        inputs=pd.DataFrame({"image": pd.Series(images, dtype=object)}),
        labels=truth.any(axis=1).astype(float),
        sample_ids=ids,
        domains=np.full(num, "line_a", dtype=object),
        weights=np.ones(num),
        groups=groups,
        schema=TableSchema((Feature("image", "image"),)),
        findings=truth.astype(float),
        finding_names=NAMES,
    )


def with_findings(samples, values, names=NAMES):
    return replace(samples, findings=np.asarray(values, dtype=float), finding_names=names)


@pytest.fixture(scope="module")
def train_rows():
    return two_findings()


@pytest.fixture(scope="module")
def test_rows():
    return two_findings(40, seed=1)


@pytest.fixture(scope="module")
def model(train_rows):
    return FindingModel.fit(make_learner, train_rows, seed=0)


def test_finding_model_gives_both_findings_of_one_picture_a_high_probability(model, test_rows):
    told = model.predict(test_rows)
    assert model.names == NAMES and told.shape == (40, 2) and model.left_out == {}
    both, neither = test_rows.findings.all(axis=1), ~test_rows.findings.any(axis=1)
    assert both.sum() >= 5 and neither.sum() >= 5
    assert told[both].mean(axis=0).min() > 0.75  # a softmax over findings would share one between them
    assert told[neither].mean(axis=0).max() < 0.25
    assert (told[both].sum(axis=1) > 1).all()


def test_finding_model_unknown_is_not_negative(train_rows, test_rows):
    """Most of the rows with stripes are unknown: a reader who takes unknown for absent learns that they are rare."""
    is_hidden = (train_rows.findings[:, 0] == 1) & (np.arange(80) % 4 != 0)
    values = train_rows.findings.copy()
    values[is_hidden, 0] = np.nan
    assert is_hidden.sum() >= 20 and (values[:, 0] == 1).sum() >= 5
    honest = FindingModel.fit(make_learner, with_findings(train_rows, values), seed=0)
    wrong = FindingModel.fit(make_learner, with_findings(train_rows, np.nan_to_num(values)), seed=0)
    has_stripes = test_rows.findings[:, 0] == 1
    told, told_wrong = (one.predict(test_rows)[has_stripes, 0] for one in (honest, wrong))
    assert told.mean() > 0.7 > 0.5 > told_wrong.mean()
    # Left out for that finding only: the other has every row.
    np.testing.assert_array_equal(honest.predict(test_rows)[:, 1], wrong.predict(test_rows)[:, 1])
    known = rows_that_know(with_findings(train_rows, values), "stripes")
    assert len(known) == 80 - is_hidden.sum() and set(known.sample_ids) == set(train_rows.sample_ids[~is_hidden])


def test_finding_model_is_the_learner_of_known_rows_under_a_map_of_held_out_groups(train_rows, test_rows, model):
    values = train_rows.findings.copy()
    values[::3, 1] = np.nan
    fitted = FindingModel.fit(make_learner, with_findings(train_rows, values), seed=0)
    known = train_rows.take(~np.isnan(values[:, 1]))
    known = replace(known, labels=known.findings[:, 1])
    held_out = np.full((len(known), 2), np.nan)
    for fit_rows, held in inner_folds(known, 3, seed=0):
        assert not set(known.groups[fit_rows]) & set(known.groups[held])
        held_out[held] = make_learner().fit(known.take(fit_rows)).predict_probability(known.take(held))
    calibrator = PlattCalibrator().fit(held_out, known.targets)
    told = calibrator.transform(make_learner().fit(known).predict_probability(test_rows))[:, 1]
    np.testing.assert_allclose(fitted.predict(test_rows)[:, 1], told, atol=1e-6)
    np.testing.assert_array_equal(fitted.predict(test_rows)[:, 0], model.predict(test_rows)[:, 0])


def test_finding_model_leaves_out_what_too_few_rows_know(train_rows, test_rows):
    values = np.full((80, 3), np.nan)
    values[:, 0] = train_rows.findings[:, 0]
    values[:40, 1] = np.arange(40) < 4  # four rows present
    values[:40, 2] = np.arange(40) >= 36  # four rows present, two groups
    values[40:46, 2] = 1.0
    one_group = train_rows.groups.copy()
    one_group[36:46] = "g_same"
    rows = replace(train_rows, findings=values, finding_names=("stripes", "rare", "one_group"), groups=one_group)
    fitted = FindingModel.fit(make_learner, rows, seed=0)
    assert fitted.names == ("stripes",) and fitted.predict(test_rows).shape == (40, 1)
    assert fitted.left_out["rare"].startswith("4 present and 36 absent among the training rows; at least 5")
    assert "too few groups" in fitted.left_out["one_group"]


def test_finding_model_without_finding_columns_is_none(train_rows):
    assert FindingModel.fit(make_learner, with_findings(train_rows, np.zeros((80, 0)), ()), seed=0) is None


def test_finding_model_does_not_see_the_label_nor_its_grade(train_rows, test_rows, model):
    def make_soft():
        return fit_unfitted("image_probe", {**OPTIONS, "use_soft_labels": True})

    garbled = replace(train_rows, labels=1 - train_rows.labels, label_probability=np.full(80, 0.5))
    again = FindingModel.fit(make_soft, garbled, seed=0)
    np.testing.assert_array_equal(again.predict(test_rows), model.predict(test_rows))


@pytest.fixture(scope="module")
def scoring_model(train_rows):
    rare = np.column_stack([train_rows.findings, np.full(80, np.nan)])
    findings = FindingModel.fit(make_learner, with_findings(train_rows, rare, (*NAMES, "rare")), seed=0)
    return replace(make_defect_model(), findings=findings)


def test_scoring_model_with_findings_is_equal_after_reload(scoring_model, test_rows, tmp_path):
    scoring_model.save(tmp_path / "model")
    loaded = ScoringModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.findings.predict(test_rows), scoring_model.findings.predict(test_rows))
    assert (loaded.findings.names, loaded.findings.left_out) == (NAMES, scoring_model.findings.left_out)
    assert {p.suffix for p in (tmp_path / "model/findings").rglob("*") if p.is_file()} <= PLAIN_SUFFIXES
    replace(scoring_model, findings=None).save(tmp_path / "without")
    assert ScoringModel.load(tmp_path / "without").findings is None


def test_predict_writes_a_column_a_finding_after_the_kinds(scoring_model, test_rows, tmp_path):
    scoring_model.save(tmp_path / "model")
    folder = tmp_path / "in"
    folder.mkdir()
    for row, image in enumerate(images_of(test_rows)[:6]):
        PillowImage.fromarray(image.pixels[:, :, 0]).save(folder / f"{row}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    predict_files(folder, tmp_path / "out.csv", tmp_path / "model", explain=False)
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(table.columns) == [
        "file", "probability", "probability_bright", "probability_dark", "finding_stripes", "finding_spot",
        "decision", "abstain", "seconds", "problem",
    ]  # fmt: skip
    told = table.set_index("file")[["finding_stripes", "finding_spot"]]
    assert told.loc["broken.png"].isna().all()
    expected = scoring_model.findings.predict(test_rows.take(range(6)))
    np.testing.assert_allclose(told.loc[[f"{row}.png" for row in range(6)]], expected, atol=2e-6)
    row = predict_picture(open_scorer(tmp_path / "model"), (folder / "0.png").read_bytes(), explain=False)
    assert row["finding_spot"] == pytest.approx(expected[0, 1], abs=2e-6)


def test_finding_table_counts_known_rows_and_agrees_with_plain_pairs(scoring_model, test_rows, tmp_path):
    values = np.column_stack([test_rows.findings, np.ones(40)])
    values[:10, 0] = np.nan
    values[:, 1] = 1.0
    test = with_findings(test_rows, values, (*NAMES, "rare"))
    params = replace(line_params(), evaluate=EvaluateParams(num_bootstrap=100))
    facts = EvaluationFacts(scoring_model, test, test, np.zeros((40, 2)), TOY_LINE, params, lambda ids: {}, 0)
    table = finding_table(facts)
    assert tuple(table.columns) == TABLE_COLUMNS and table["finding"].tolist() == [*NAMES, "rare"]
    stripes, spot, rare = table.to_dict("records")
    score, truth = scoring_model.findings.predict(test)[10:, 0], values[10:, 0] == 1
    pairs = [(high > low) + (high == low) / 2 for high in score[truth] for low in score[~truth]]
    assert stripes["auc"] == pytest.approx(np.mean(pairs)) and stripes["low"] <= stripes["auc"] <= stripes["high"]
    assert (stripes["rows"], stripes["positives"], stripes["note"]) == (30, truth.sum(), "")
    assert 0 <= stripes["ece"] <= 1 and truth.mean() < stripes["average_precision"] <= 1
    assert np.isnan(spot["auc"]) and spot["note"].startswith("All 40 rows are positive")
    assert rare["note"].startswith("left out: 0 present and 0 absent") and rare["rows"] == 40
    assert macro_auc(table) == pytest.approx(stripes["auc"])
    assert macro_auc(table.assign(auc=np.nan)) is None


class NoPictures:
    """Options of the evidence that leave the slow parts out."""

    num_examples = evidence_rows = robustness_rows = 0


def test_run_with_finding_columns_trains_measures_and_reports_them(tmp_path):
    spec = replace(LINE_A, columns=(*COLUMNS, ColumnSpec("dark spot", use="finding"), ColumnSpec("new", use="finding")))
    rows = write_line(tmp_path / "data", spec, num=100)
    rows["dark spot"] = [
        "unknown" if row % 9 == 0 else "no" if rows["label"][row] == "good" else "yes" for row in rows.index
    ]
    rows["new"] = "no"
    rows.to_parquet(tmp_path / "data/toy_line/line_a/rows/initial.parquet", index=False)
    line = replace(TOY_LINE, evaluate_more=lambda facts, folder: evaluate_pictures(facts, folder, NoPictures()))
    learner = {"learner": "image_probe", "learner_options": {"image_probe": OPTIONS}}
    params = replace(
        line_params(source_domains=()),
        train=TrainParams(transfer="target_only", trackers=(), **learner),
        evaluate=EvaluateParams(num_bootstrap=100),
    )
    artifacts = Artifacts(tmp_path / "artifacts", "toy_line")
    prepare(line, params, artifacts, seed=0, data_folder=tmp_path / "data")
    train(line, params, artifacts, seed=0)
    evaluate(line, params, artifacts, seed=0)
    model = ScoringModel.load(artifacts.path("train", "model"))
    assert model.findings.names == ("dark spot",) and "0 present" in model.findings.left_out["new"]
    folder = artifacts.path("evaluate", "evidence")
    evidence = read_json(folder / "evidence.json")
    assert [line["finding"] for line in evidence["findings"]] == ["dark spot", "new"]
    assert evidence["finding_macro_auc"] == evidence["findings"][0]["auc"] > 0.7
    section = findings_section(folder, evidence)
    caption, table = section.tables[0]
    assert caption == "Findings" and table["finding"].tolist() == ["dark spot", "new"]
    assert f"{evidence['finding_macro_auc']:.3f}" in section.text
    assert findings_section(tmp_path, evidence) is None
