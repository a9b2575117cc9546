"""What evaluate and the report add for radiographs: subgroups, shortcuts, corruptions, attacks, the banner."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from small_defect_model import SPEC, blob_samples, make_defect_model

from core.artifacts import Artifacts, to_plain, write_json
from core.evaluation.metrics import METRICS
from core.images.image import Image, images_of
from core.learners.input_gate import InputGate
from core.params import VerticalParams, parse_section
from core.stages.evaluate import EvaluationFacts
from verticals.chest_xray.evaluation import corruption_table, evaluate_more, subgroups_of
from verticals.chest_xray.report import report_sections
from verticals.chest_xray.shortcut_audit import TABLE_COLUMNS, cross_fitted_logits, explained_fraction, shortcut_table
from verticals.chest_xray.subgroups import subgroup_table

NUM = 120


class SmallVertical:
    """The part of a Vertical that is read."""

    name, positive_index, classes = "chest_xray", 1, ("normal", "disease")


@pytest.fixture(scope="module")
def facts():
    (valid, _), (test, _) = blob_samples(40, seed=7), blob_samples(NUM, seed=8)
    generator = np.random.default_rng(0)
    attributes = pd.DataFrame(
        {
            "sex": np.where(generator.random(NUM) < 0.5, "F", "M"),
            "age": generator.integers(5, 90, NUM).astype(float),
            "view": np.where(generator.random(NUM) < 0.4, "AP", "PA"),
        }
    )
    attributes.loc[:3, "view"] = np.nan
    test = brightened(test, attributes["view"] == "AP")
    source = brightened(blob_samples(80, seed=9)[0], np.ones(80, dtype=bool))
    source = replace(
        source,
        domains=np.full(80, "line_b", dtype=object),
        sample_ids=np.array([f"s{row}" for row in range(80)], dtype=object),
        groups=np.array([f"s{row // 2}" for row in range(80)], dtype=object),
    )
    gate = InputGate(0.1).fit(None, [blob_samples(60, seed=1)[0]], [blob_samples(60, seed=2)[0]])
    model = replace(make_defect_model(has_kinds=False), gate=gate)
    params = parse_section(
        VerticalParams,
        {
            "prepare": {"target_domain": "line_a"},
            "train": {"threshold_rule": "sensitivity"},
            "evaluate": {"num_bootstrap": 200, "min_slice_rows": 10},
            "options": {"num_examples": 2, "evidence_rows": 0, "robustness_rows": 24, "adversarial_rows": 8},
        },
        where="chest_xray",
    )
    probability = model.predict_probability(test)
    return EvaluationFacts(
        model, valid, test, probability, SmallVertical(), params, lambda ids: {}, 0, attributes, lambda: source
    )


def brightened(samples, mask):
    images = np.empty(len(samples), dtype=object)
    images[:] = [
        Image.of_pixels((np.clip(image.pixels.astype(int) + 25, 0, 255)).astype(np.uint8)) if is_bright else image
        for image, is_bright in zip(images_of(samples), np.asarray(mask), strict=True)
    ]
    return samples.with_inputs(samples.inputs.assign(image=images), samples.schema)


@pytest.fixture(scope="module")
def run(facts, tmp_path_factory):
    """(artifacts, evidence) of one evaluation, as the stage writes it."""
    artifacts = Artifacts(tmp_path_factory.mktemp("run"), "chest_xray")
    folder = artifacts.path("evaluate", "evidence")
    folder.mkdir(parents=True)
    evidence = evaluate_more(facts, folder)
    write_json(folder / "evidence.json", evidence)
    return artifacts, evidence


def scored_rows(num=400, seed=0):
    generator = np.random.default_rng(seed)
    targets = (generator.random(num) < 0.45).astype(int)
    score = 1 / (1 + np.exp(-generator.normal(1.5 * (2 * targets - 1), 1.5)))
    return targets, np.column_stack([1 - score, score]), np.array([f"p{row // 2}" for row in range(num)])


def test_subgroup_measures_are_plain_counts_inside_their_intervals():
    targets, probability, groups = scored_rows()
    sex = np.where(np.arange(400) % 3 == 0, "F", "M")
    table = subgroup_table(
        targets, probability, pd.DataFrame({"sex": sex}), groups, threshold=0.4, positive_index=1, num_bootstrap=300
    )
    assert table["value"].tolist() == ["F", "M"]
    for row in table.itertuples():
        hits = misses = passed = alarms = won = pairs = 0
        here = np.flatnonzero(sex == row.value)
        for i in here:
            called = probability[i, 1] >= 0.4
            hits += called and targets[i] == 1
            misses += (not called) and targets[i] == 1
            passed += (not called) and targets[i] == 0
            alarms += called and targets[i] == 0
            for j in here:
                if targets[i] == 1 and targets[j] == 0:
                    pairs += 1
                    won += probability[i, 1] > probability[j, 1]
        assert (row.rows, row.positives) == (len(here), hits + misses)
        assert row.sensitivity == pytest.approx(hits / (hits + misses))
        assert row.false_negative_rate == pytest.approx(1 - row.sensitivity)
        assert row.specificity == pytest.approx(passed / (passed + alarms))
        assert row.auc == pytest.approx(won / pairs)
        assert row.ece == pytest.approx(METRICS["ece"].function(targets[here], probability[here], 1))
        for name in ("auc", "sensitivity", "specificity", "ece", "false_negative_rate"):
            low, value, high = (getattr(row, f"{name}{end}") for end in ("_low", "", "_high"))
            assert low < high and low <= value <= high
        assert not row.is_flagged  # sex was drawn without regard to anything


def test_subgroup_that_is_worse_is_flagged_and_small_or_missing_ones_are_told():
    targets, probability, groups = scored_rows(600, seed=3)
    view = np.where(np.arange(600) % 2 == 0, "AP", "PA").astype(object)
    harmed = (view == "AP") & (targets == 1)
    probability[harmed] = probability[harmed][:, ::-1] ** 2
    probability /= probability.sum(axis=1, keepdims=True)
    view[:5] = np.nan
    age = np.linspace(1, 90, 600)
    table = subgroup_table(
        targets, probability, pd.DataFrame({"view": view, "age": age}), groups,
        threshold=0.5, positive_index=1, num_bootstrap=200,
    ).set_index(["attribute", "value"])  # fmt: skip
    harmed_row = table.loc[("view", "AP")]
    assert harmed_row["is_flagged"] and harmed_row["sensitivity_p"] < 0.05 and harmed_row["auc_p"] < 0.05
    assert table.loc[("view", "missing"), "note"] == "fewer than 30 rows"
    assert np.isnan(table.loc[("view", "missing"), "auc"])
    assert table.loc["age"].index.tolist() == ["up to 17", "over 17 to 40", "over 40 to 60", "over 60"]


def test_subgroup_rate_of_one_gets_wilsons_interval():
    targets = np.r_[np.ones(20, dtype=int), np.zeros(20, dtype=int)]
    score = np.r_[np.full(20, 0.9), np.linspace(0.1, 0.8, 20)]
    table = subgroup_table(
        targets, np.column_stack([1 - score, score]), pd.DataFrame({"sex": ["F"] * 40}), np.arange(40).astype(str),
        threshold=0.5, positive_index=1, num_bootstrap=100,
    )  # fmt: skip
    assert table.loc[0, "sensitivity"] == 1.0 and table.loc[0, "sensitivity_high"] == 1.0
    assert table.loc[0, "sensitivity_low"] == pytest.approx(20 / (20 + 1.959964**2))


def test_subgroups_have_the_sites_and_the_attributes(facts):
    table = subgroups_of(facts, facts.read_source())
    assert set(table["attribute"]) == {"sex", "age", "view", "site"}
    sites = table[table["attribute"] == "site"].set_index("value")
    assert sites["rows"].to_dict() == {"line_a": NUM, "line_b": 80}
    probability = facts.model.predict_probability(facts.read_source())
    plain = METRICS["auc"].function(facts.read_source().targets, probability, 1)
    assert sites.loc["line_b", "auc"] == pytest.approx(plain)
    alone = subgroups_of(replace(facts, attributes=pd.DataFrame()), None)
    assert alone["attribute"].tolist() == ["site"]


def test_explained_fraction_is_the_correlation_ratio_by_loops():
    generator = np.random.default_rng(2)
    score, answers = generator.normal(size=60), generator.choice(["AP", "PA", "L"], 60)
    score += 2.0 * (answers == "AP")
    counts = generator.integers(0, 3, (1, 60)).astype(float)
    drawn = [(score[i], answers[i]) for i in range(60) for _ in range(int(counts[0, i]))]
    mean = sum(s for s, _ in drawn) / len(drawn)
    between = 0.0
    for answer in ("AP", "PA", "L"):
        part = [s for s, a in drawn if a == answer]
        between += len(part) * (sum(part) / len(part) - mean) ** 2
    whole = sum((s - mean) ** 2 for s, _ in drawn)
    assert explained_fraction(score, answers, counts)[0] == pytest.approx(between / whole)


def test_cross_fitted_logits_find_what_is_there_and_nothing_else():
    generator = np.random.default_rng(4)
    features, groups = generator.normal(size=(200, 30)), np.array([f"p{row // 2}" for row in range(200)])
    answer = np.repeat(generator.random(100) < 0.5, 2)
    columns = {False: features, True: features + 1.0 * answer[:, None] * (np.arange(30) < 3)}
    aucs = {}
    for is_planted, rows in columns.items():
        logits = cross_fitted_logits(rows, answer, groups, seed=0)
        aucs[is_planted] = np.mean(logits[answer][:, None] > logits[~answer][None])
    assert aucs[True] > 0.8 and 0.35 < aucs[False] < 0.65
    # What is memorised of a patient must not help: every patient has descriptors of their own, and an answer.
    own = np.repeat(generator.normal(size=(100, 30)), 2, axis=0)
    logits = cross_fitted_logits(own, answer, groups, seed=0)
    assert np.mean(logits[answer][:, None] > logits[~answer][None]) < 0.65


def test_shortcut_table_finds_the_planted_brightness_of_site_and_view_and_not_the_sex(facts):
    table = shortcut_table(
        facts.model.learner, facts.probability[:, 1], facts.test, facts.attributes, facts.read_source()
    )
    auc = table[table["measure"] == "auc"].set_index(["question", "asked_of"])
    assert list(table.columns) == list(TABLE_COLUMNS)
    assert auc.loc[("site", "acquisition cues"), "value"] > 0.65  # four of ten target pictures are bright, too
    assert auc.loc[("view: PA or AP", "acquisition cues"), "low"] > 0.8
    assert auc.loc[("view: PA or AP", "the model's descriptors"), "value"] > 0.7
    sex = auc.loc[("sex: M or F", "the model's descriptors")]
    assert sex["low"] < 0.5 < sex["high"] or abs(sex["value"] - 0.5) < 0.12
    explained = table[table["measure"] == "explained variance"].set_index("question")
    assert set(explained.index) == {"sex", "view"} and explained["value"].between(0, 1).all()


def test_corruption_table_starts_clean_and_tells_the_relative_drop(facts):
    table = corruption_table(facts, 16)
    assert len(table) == 1 + 12 * 5 and table.loc[0, ["corruption", "relative_auc_drop"]].tolist() == ["none", 0.0]
    for row in table.itertuples():
        assert row.relative_auc_drop == pytest.approx(1 - row.auc / table.loc[0, "auc"])
    noise = table[table["corruption"] == "gaussian_noise"]
    assert noise["refused"].iloc[-1] >= noise["refused"].iloc[0] and noise["refused"].iloc[-1] > 0.5


def test_evidence_of_a_run_is_whole_and_json_ready(run):
    artifacts, evidence = run
    folder = artifacts.path("evaluate", "evidence")
    assert {path.name for path in folder.glob("*.csv")} >= {
        "subgroups.csv", "shortcuts.csv", "corruptions.csv", "adversarial.csv"
    }  # fmt: skip
    assert {"flagged_subgroups", "shortcuts", "mean_relative_auc_drop", "adversarial"} <= set(to_plain(evidence))


def test_nothing_is_computed_that_is_switched_off(facts, tmp_path):
    off = replace(
        facts.params, options={"num_examples": 0, "evidence_rows": 0, "robustness_rows": 0, "adversarial_rows": 0}
    )
    found = evaluate_more(replace(facts, params=off, read_source=None), tmp_path)
    assert not {"mean_relative_auc_drop", "adversarial"} & set(found)
    assert not list(tmp_path.glob("corruptions.csv")) and (tmp_path / "subgroups.csv").exists()


def run_facts(facts, run, *, is_synthetic):
    spec = replace(SPEC, is_synthetic=is_synthetic)
    point = {"target_sensitivity": 0.95, "sensitivity": 0.97, "sensitivity_low": 0.95, "specificity": 0.4,
             "num_positives": 80, "num_negatives": 90, "threshold": 0.3, "note": "The bound is reached."}  # fmt: skip
    train = {
        "input_gate": facts.model.gate.facts(),
        "operating_point": point,
        "threshold_rule": "sensitivity",
        "calibrated_on": "target",
    }
    return SimpleNamespace(
        vertical=SmallVertical(), params=facts.params, artifacts=run[0], specs={"line_a": spec},
        train=to_plain(train), model=facts.model,
    )  # fmt: skip


def test_report_of_synthetic_data_says_so_first(facts, run):
    sections = report_sections(run_facts(facts, run, is_synthetic=True))
    assert "SYNTHETIC DATA: not for clinical statements" in sections[0].title + sections[0].text
    assert not any("SYNTHETIC" in s.title + s.text for s in report_sections(run_facts(facts, run, is_synthetic=False)))


def test_report_sections_tell_the_gate_the_point_the_subgroups_and_draw(facts, run):
    sections = report_sections(run_facts(facts, run, is_synthetic=False))
    text = " ".join(section.title + " " + section.text for section in sections)
    assert f"{facts.model.gate.error_rate_.value:.1%}" in text and "0.95" in text
    captions = [caption for section in sections for caption, _ in section.tables]
    for word in ("subgroup", "shortcut", "corruption", "attack", "gate"):
        assert any(word in caption.lower() for caption in captions), word
    assert all(address.startswith("data:image/png") for section in sections for _, address in section.images)
    assert sum(len(section.figures) for section in sections) >= 4
