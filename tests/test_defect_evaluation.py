"""What evaluate adds for pictures: figures against plain counts, the level, examples, robustness, an end-to-end run."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_defect_model import blob_samples, make_defect_model

from core.artifacts import to_plain
from core.cases.kinds import kind_confusion, recall_by_kind
from core.params import VerticalParams, parse_section
from core.pictures.evidence import abstention, recall_at_false_alarms
from core.pictures.examples import choose_examples
from core.pictures.localising import LocatedRows, calibrate_level, choose_rows, localise
from core.stages.evaluate import EvaluationFacts
from verticals.defect_detection.evaluation import evaluate_more


class SmallVertical:
    """The part of a Vertical that is read."""

    name, positive_index, classes = "defect_detection", 1, ("good", "defective")


@pytest.fixture(scope="module")
def facts():
    (valid, valid_masks), (test, test_masks) = blob_samples(40, seed=7), blob_samples(40, seed=8)
    valid = replace(valid, sample_ids=np.array([f"v{row}" for row in range(40)], dtype=object))
    masks = {f"v{row}": mask.astype(np.uint8) for row, mask in enumerate(valid_masks)}
    masks |= {name: mask.astype(np.uint8) for name, mask in zip(test.sample_ids, test_masks, strict=True)}
    model = make_defect_model()
    params = parse_section(
        VerticalParams,
        {
            "prepare": {"target_domain": "line_a"},
            "options": {"num_examples": 6, "evidence_rows": 16, "robustness_rows": 20},
        },
        where="defect_detection",
    )

    def read_masks(ids):
        return {name: masks[name] for name in ids if name in masks}

    probability = model.predict_probability(test)
    return EvaluationFacts(model, valid, test, probability, SmallVertical(), params, read_masks, 0)


def with_scores(facts, scores, *, kinds=None):
    labels = np.r_[np.ones(len(scores) // 2), np.zeros(len(scores) - len(scores) // 2)]
    test = facts.test.take(np.arange(len(scores))).with_labels(labels)
    test = replace(test, kinds=np.array(kinds, dtype=object) if kinds else test.kinds)
    scores = np.asarray(scores, dtype=float)
    return replace(facts, test=test, probability=np.column_stack([1 - scores, scores]))


def test_evidence_of_a_run_is_whole_and_json_ready(facts, tmp_path):
    found = to_plain(evaluate_more(facts, tmp_path))
    assert set(found) == {
        "abstention", "recalls", "kinds", "kind_macro_f1", "robustness", "localisation", "num_examples"
    }  # fmt: skip
    located = found["localisation"]
    assert located["of_threshold"] == facts.model.threshold and 0 <= located["level"] <= 1
    assert located["pixel_auroc"] > 0.7  # planted blobs are found
    assert 0 < located["aupro"] <= 1 and 0 <= located["iou"] <= located["best_iou"] + 1e-9
    table = pd.read_csv(tmp_path / "robustness.csv")
    assert len(table) == 1 + 5 * 3 and table["auc"].between(0, 1).all()
    assert table.loc[0, ["flips", "disturbance"]].tolist() == [0.0, "none"]
    assert table.loc[table["disturbance"] == "noise", "flips"].max() > 0
    examples = pd.read_csv(tmp_path / "examples.csv")
    assert len(examples) == 6 == found["num_examples"]
    assert all((tmp_path / file).exists() for file in examples["file"])


def test_nothing_is_computed_that_is_switched_off(facts, tmp_path):
    off = replace(facts.params, options={"num_examples": 0, "evidence_rows": 0, "robustness_rows": 0})
    found = evaluate_more(replace(facts, params=off), tmp_path)
    assert not {"robustness", "localisation", "num_examples"} & set(found)


def test_abstention_counts_errors_of_the_rest(facts):
    small = with_scores(facts, [0.9, 0.3, 0.35, 0.5, 0.1, 0.2])  # threshold 0.4: rows 1, 2 escape, row 3 rejected
    found = abstention(small, np.array([False, True, False, True, False, False]))
    assert found["rate"] == pytest.approx(2 / 6)
    assert found["rate_positive"] == pytest.approx(1 / 3) and found["rate_negative"] == pytest.approx(1 / 3)
    assert found["error_all"] == pytest.approx(3 / 6) and found["error_rest"] == pytest.approx(1 / 4)
    assert (found["escapes_all"], found["escapes_rest"]) == (2, 1)


def test_recall_at_false_alarms_against_plain_counts():
    generator = np.random.default_rng(0)
    is_positive = generator.random(400) < 0.4
    score = np.round(generator.normal(is_positive * 1.0), 1)  # with ties
    table = recall_at_false_alarms(is_positive, score)
    for row in table.itertuples():
        best = 0.0
        for threshold in [*np.unique(score), np.inf]:
            called = score >= threshold
            if called[~is_positive].mean() <= row.false_alarm_fraction:
                best = max(best, called[is_positive].mean())
        assert row.recall == pytest.approx(best)
        assert row.low < row.recall < row.high


def test_recall_by_kind_counts_each_kind(facts):
    kinds = ["dark", "dark", "bright", "good", "good", "good"]
    table = recall_by_kind(with_scores(facts, [0.9, 0.1, 0.7, 0.9, 0.1, 0.1], kinds=kinds)).set_index("kind")
    assert table["positives"].to_dict() == {"bright": 1, "dark": 2}
    assert table["recall"].to_dict() == {"bright": 1.0, "dark": 0.5}
    assert (table["low"] <= table["recall"]).all() and (table["recall"] <= table["high"]).all()


def test_kind_confusion_against_plain_loops(facts):
    table, macro_f1 = kind_confusion(facts)
    words = ["good", *facts.model.kinds.words]
    best = facts.model.kinds.predict(facts.test).argmax(axis=1)
    expected = {(true, called): 0 for true in words for called in words}
    for row in range(len(facts.test)):
        is_called = facts.probability[row, 1] >= facts.model.threshold
        expected[(facts.test.kinds[row], words[1 + best[row]] if is_called else "good")] += 1
    assert all(table.loc[true, called] == count for (true, called), count in expected.items())
    scores = []
    for word in words:
        others = [other for other in words if other != word]
        errors = sum(expected[(word, other)] + expected[(other, word)] for other in others)
        scores.append(2 * expected[(word, word)] / (2 * expected[(word, word)] + errors))
    assert macro_f1 == pytest.approx(np.mean(scores))


def planted(num=6, size=20):
    masks = np.zeros((num, size, size), dtype=bool)
    masks[: num // 2, 4:8, 4:10] = True
    maps = np.where(masks, 0.7, 0.2).astype(np.float32)
    maps[:, 15, 15] = 0.6
    is_positive = np.arange(num) < num // 2
    return maps, masks, is_positive, [f"s{row}" for row in range(num)]


def test_level_of_masks_is_the_one_of_best_overlap():
    maps, masks, is_positive, names = planted()
    level, how = calibrate_level(LocatedRows.of(maps, is_positive, names, dict(zip(names, masks, strict=True))))
    assert level == pytest.approx(0.7) and "overlap" in how


def test_level_without_masks_is_what_few_good_pictures_reach():
    maps = np.zeros((20, 8, 8), dtype=np.float32)
    maps[:, 0, 0] = np.linspace(0.1, 0.3, 20)
    rows = LocatedRows.of(maps, np.zeros(20, dtype=bool), [str(row) for row in range(20)], {})
    assert calibrate_level(rows)[0] == pytest.approx(np.quantile(np.linspace(0.1, 0.3, 20), 0.98))
    few = LocatedRows.of(maps[:3], np.zeros(3, dtype=bool), ["0", "1", "2"], {})
    assert calibrate_level(few)[0] == 0.5


def test_localisation_leaves_out_defects_whose_mask_is_not_known():
    maps, masks, is_positive, names = planted()
    maps[2] = 0.0  # a miss, but nobody drew its mask
    known = dict(zip(names[:2], masks[:2], strict=True))
    found = localise(LocatedRows.of(maps, is_positive, names, known), 0.65)
    assert found["iou"] == 1.0 and found["pixel_auroc"] == pytest.approx(1.0) and found["peak_in_mask"] == 1.0
    assert found["rows_with_mask"] == 2
    assert found["positive_with_a_hot_pixel"] == pytest.approx(2 / 3) and found["negative_with_a_hot_pixel"] == 0.0
    assert localise(LocatedRows.of(maps, is_positive, names, {}), 0.65)["iou"] is None


def test_large_maps_are_measured_on_fewer_pixels():
    maps = np.zeros((2, 600, 600), dtype=np.float32)
    mask = np.zeros((600, 600), dtype=np.uint8)
    mask[100:300, 100:300] = 1
    rows = LocatedRows.of(maps, np.array([True, False]), ["a", "b"], {"a": mask})
    assert rows.maps.shape == rows.masks.shape == (2, 200, 200)
    assert rows.masks[0].mean() == pytest.approx(mask.mean(), rel=0.05)


def test_rows_are_half_defective_where_there_are_enough(facts):
    labels = np.r_[np.ones(8), np.zeros(32)]
    samples = facts.test.with_labels(labels)
    assert (samples.targets[choose_rows(samples, 10, seed=0)] == 1).sum() == 5
    assert (samples.targets[choose_rows(samples, 30, seed=0)] == 1).sum() == 8
    assert len(choose_rows(samples, 100, seed=0)) == 40
    assert len(choose_rows(samples.take(np.arange(8)), 6, seed=0)) == 6  # one class only


def test_examples_are_of_every_group_and_none_twice(facts):
    small = with_scores(facts, [0.9, 0.8, 0.1, 0.45, 0.95, 0.05, 0.2, 0.39])
    abstains = np.zeros(8, dtype=bool)
    abstains[7] = True
    examples = choose_examples(small, abstains, 4)
    assert examples == [("hit", 0), ("escape", 2), ("false reject", 4), ("doubtful", 7)]
    everything = choose_examples(small, abstains, 60)
    assert sorted(row for _, row in everything) == list(range(8))


def test_report_has_a_section_for_each_question(facts, tmp_path):
    from types import SimpleNamespace

    from core.artifacts import Artifacts, write_json
    from verticals.defect_detection.report import report_sections

    artifacts = Artifacts(tmp_path, "defect_detection")
    folder = artifacts.path("evaluate", "evidence")
    folder.mkdir(parents=True)
    write_json(folder / "evidence.json", evaluate_more(facts, folder))
    artifacts.path("prepare").mkdir()
    rows = {"split": ["train"] * 30, "label": [1.0] * 5 + [0.0] * 25, "is_masked": [False] * 30, "domain": "line_a"}
    pd.DataFrame(rows).to_parquet(artifacts.path("prepare", "manifest.parquet"))
    run = SimpleNamespace(artifacts=artifacts, params=facts.params, vertical=facts.vertical, model=facts.model)
    sections = {section.title: section for section in report_sections(run)}
    assert list(sections) == [
        "What does it look at?", "Where is the defect?", "Which defects are found?", "When should a person look?",
        "What if the pictures change?", "Which way is recommended?",
    ]  # fmt: skip
    assert "Good only" in sections["Which way is recommended?"].text
    assert all(address.startswith("data:image/png") for s in sections.values() for _, address in s.images)
