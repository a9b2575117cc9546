"""ONNX export: equal to the learner for every head, view and calibration; int8 only if it pays; what has no graph."""

from dataclasses import replace

import numpy as np
import pytest
from small_defect_model import TINY, blob_samples, make_defect_model

from core.artifacts import read_json
from core.errors import BadParamsError
from core.evaluation.calibration import CALIBRATORS
from core.images.image import images_of, stack_pixels
from core.images.onnx_export import write_onnx
from core.params import VerticalParams, parse_section
from core.pictures import smaller_models
from core.pictures.graph_scores import eager_score, session_score
from core.pictures.onnx_files import build_module, export_model, parity
from core.pictures.smaller_models import Judge, try_int8, try_pruned, try_student

pytest.importorskip("onnxruntime")
TOLERANCE = 1e-3
EXPORT = {"parity_tolerance": TOLERANCE, "num_latency_rows": 10, "student_seconds": 1.0}


@pytest.fixture(scope="module")
def opened():
    return {
        "train": blob_samples(20, seed=1)[0],
        "valid": blob_samples(30, seed=2)[0],
        "test": blob_samples(10, seed=3)[0],
    }


@pytest.fixture(scope="module")
def model():
    return make_defect_model(has_kinds=False)


@pytest.fixture(scope="module")
def params():
    values = {"prepare": {"target_domain": "line_a"}, "export": EXPORT}
    return parse_section(VerticalParams, values, where="defect_detection")


def test_export_writes_an_equal_model_with_its_card_and_figures(model, opened, params, tmp_path):
    found = export_model(model, opened, params, tmp_path)
    assert found["is_equal"] and found["largest_difference"] < TOLERANCE
    assert found["rows_compared"] == 10 and found["decisions_that_differ"] == 0
    for name in ("pytorch_eager_fp32", "onnx_runtime"):
        assert 0 < found[f"{name}_p50_milliseconds"] <= found[f"{name}_p95_milliseconds"]
        assert found[f"{name}_pictures_a_second"] > 0
    card = read_json(tmp_path / "onnx.json")
    assert card["input"]["shape"] == ["pictures", 32, 32, 1] and card["threshold"] == model.threshold
    assert (tmp_path / "model_int8.onnx").exists() == found["int8_is_kept"]
    assert "times as fast" in found["int8_reason"]  # it was made and measured


def test_graph_takes_any_number_of_pictures(model, opened, tmp_path):
    pixels = stack_pixels(images_of(opened["test"]))
    write_onnx(build_module(model), pixels[:2], tmp_path / "m.onnx")
    score = session_score(tmp_path / "m.onnx")
    together, alone = score(pixels), np.concatenate([score(one[None]) for one in pixels])
    assert np.allclose(together, alone, atol=1e-5)
    assert together.std() > 0.05


@pytest.mark.parametrize(
    "options",
    [
        {"head": "rbf", "strength": 0.1, "views": "dihedral"},
        {"head": "logistic", "strength": 1.0, "num_components": 5, "statistics": ("mean", "top"), "views": "none"},
        {"head": "cosine", "num_tiles": 2, "views": "flip_horizontal"},
    ],
    ids=["rbf", "whitened", "cosine of tiles"],
)
def test_graph_is_the_learner_for_each_head(options, opened, tmp_path):
    model = make_defect_model("image_probe", {**TINY, **options}, has_kinds=False)
    write_onnx(build_module(model), stack_pixels(images_of(opened["test"]))[:2], tmp_path / "m.onnx")
    found = parity(model, opened["test"], session_score(tmp_path / "m.onnx"), TOLERANCE)
    assert found["largest_difference"] < 1e-4
    assert found["is_equal"]


@pytest.mark.parametrize("name", ["none", "temperature", "platt", "isotonic"])
def test_graph_holds_each_calibration(name, model, opened):
    raw = model.learner.predict_probability(opened["valid"])
    calibrated = replace(model, calibrator=CALIBRATORS[name]().fit(raw, opened["valid"].targets))
    found = eager_score(build_module(calibrated))(stack_pixels(images_of(opened["test"])))
    assert np.allclose(found, calibrated.predict_probability(opened["test"])[:, 1], atol=1e-5)


def test_classifier_is_exported_whole(opened, tmp_path):
    from core.learners import LEARNERS

    options = {"training": {"epochs": 1, "batch_size": 8}, "test_views": "flips", "strategy": "scratch"}
    learner = LEARNERS["image_classifier"]({**options, "backbone": "test_efficientnet"}, seed=0).fit(opened["train"])
    base = make_defect_model(has_kinds=False)
    model = replace(base, learner=learner)
    write_onnx(build_module(model), stack_pixels(images_of(opened["test"]))[:2], tmp_path / "m.onnx")
    assert parity(model, opened["test"], session_score(tmp_path / "m.onnx"), TOLERANCE)["is_equal"]


def test_a_graph_that_differs_is_told(model, opened):
    pixels = stack_pixels(images_of(opened["test"]))
    honest = eager_score(build_module(model))
    found = parity(model, opened["test"], lambda p: honest(p) + 0.01, TOLERANCE)
    assert not found["is_equal"] and found["largest_difference"] == pytest.approx(0.01, abs=1e-4)
    threshold = float(honest(pixels)[0])
    close = replace(model, threshold=threshold + 1e-5)
    found = parity(close, opened["test"], lambda p: honest(p) + 5e-5, TOLERANCE)
    assert found["pictures_within_tolerance_of_threshold"] >= 1
    assert found["decisions_that_differ"] == 1 and not found["is_equal"]


def test_export_tells_of_each_smaller_model_why_it_is_kept_or_not(model, opened, params, tmp_path):
    found = export_model(model, opened, params, tmp_path)
    for name in ("int8", "student"):
        assert (tmp_path / f"model_{name}.onnx").exists() == found[f"{name}_is_kept"]
        assert "times as fast" in found[f"{name}_reason"]
    # the two first stages of this network have no inverted residual
    assert not found["pruned_20_percent_is_kept"] and "inverted residual" in found["pruned_20_percent_reason"]
    assert found["pruned_fraction"] is None and not (tmp_path / "model_pruned.onnx").exists()


def test_smaller_models_can_be_turned_off(model, opened, params, tmp_path):
    export = replace(params.export, pruned_fractions=(), student_seconds=0.0)
    found = export_model(model, opened, replace(params, export=export), tmp_path)
    assert not any(name.startswith(("pruned", "student")) for name in found)


def test_slow_or_worse_graphs_are_removed(model, opened, tmp_path, monkeypatch):
    fast = {"full_pictures_a_second": 1.0, "small_pictures_a_second": 2.0}
    monkeypatch.setattr(smaller_models, "latency", lambda *_: fast)
    good = eager_score(build_module(model))
    judge = Judge(good, opened["valid"], stack_pixels(images_of(opened["test"])), model.threshold)
    for small, speed, is_kept in ((good, 2.0, True), (good, 0.9, False), (lambda p: 1 - good(p), 2.0, False)):
        (tmp_path / "small.onnx").write_bytes(b"x")
        monkeypatch.setattr(smaller_models, "session_score", lambda _, small=small: small)
        fast["small_pictures_a_second"] = speed
        found = judge.judge("small", tmp_path / "small.onnx")
        assert found["small_is_kept"] == is_kept == (tmp_path / "small.onnx").exists()
        assert (found["small_valid_decisions_that_differ"] == 0) == (small is good)


def test_pruned_graph_of_half_the_channels_scores_nearly_alike(opened, tmp_path, monkeypatch):
    options = {**TINY, "stages": (2, 3, 4), "head": "logistic", "strength": 100.0, "views": "none"}
    deep = make_defect_model("image_probe", options, has_kinds=False)
    module = build_module(deep)
    monkeypatch.setattr(smaller_models, "latency", lambda scores, _: {f"{n}_pictures_a_second": 1.0 for n in scores})
    judge = Judge(eager_score(module), opened["valid"], stack_pixels(images_of(opened["test"])), deep.threshold)
    found = try_pruned(module, opened["train"], (0.125, 0.5), judge, tmp_path)
    assert found["pruned_50_percent_weights_fraction"] < found["pruned_12_percent_weights_fraction"] < 1
    assert not found["pruned_12_percent_is_kept"]  # of the same speed
    assert found["pruned_12_percent_valid_auc"] == pytest.approx(found["fp32_valid_auc"], abs=0.05)


def test_largest_fraction_that_passes_is_kept_and_no_smaller_one_tried(model, opened, tmp_path, monkeypatch):
    deep = make_defect_model("image_probe", {**TINY, "stages": (3,), "views": "none"}, has_kinds=False)
    tried = []

    def judged(_, name, path):
        tried.append(name)
        return {f"{name}_is_kept": name == "pruned_30_percent"}

    monkeypatch.setattr(Judge, "judge", judged)
    judge = Judge(None, opened["valid"], None, 0.5)
    found = try_pruned(build_module(deep), opened["train"], (0.1, 0.5, 0.3), judge, tmp_path)
    assert tried == ["pruned_50_percent", "pruned_30_percent"] and found["pruned_fraction"] == 0.3


def test_student_graph_is_the_student_calibrated(model, opened, tmp_path, monkeypatch):
    judge = Judge(eager_score(build_module(model)), opened["valid"], stack_pixels(images_of(opened["test"])), 0.4)
    monkeypatch.setattr(Judge, "judge", lambda _, name, path: {})
    found = try_student(model.learner.backbone_, opened["train"], 1.0, judge, tmp_path, seed=0)
    probability = session_score(tmp_path / "model_student.onnx")(judge.valid_pixels)
    assert found["student_weights"] > 0 and probability.shape == (30,)
    assert probability.mean() == pytest.approx(opened["valid"].targets.mean(), abs=0.05)  # as Platt's curve must


def test_validation_of_one_class_keeps_no_smaller_model(model, opened, tmp_path):
    good = opened["valid"].take(np.flatnonzero(opened["valid"].targets == 0))
    judge = Judge(eager_score(build_module(model)), good, stack_pixels(images_of(opened["test"])), 0.4)
    found = try_student(model.learner.backbone_, opened["train"], 1.0, judge, tmp_path, seed=0)
    assert not found["student_is_kept"] and "one class" in found["student_reason"]
    write_onnx(build_module(model), judge.pixels[:2], tmp_path / "model.onnx")
    found = try_int8(tmp_path / "model.onnx", judge.pixels, judge)
    assert not found["int8_is_kept"] and "unknown" in found["int8_reason"]


def test_one_class_learner_exports_its_maps(opened, params, tmp_path):
    from core.learners import LEARNERS

    options = {"model": "test_efficientnet", "scratch_seed": 0, "stages": (1, 2)}
    learner = LEARNERS["memory_bank"](options, seed=0).fit(opened["train"])
    found = export_model(replace(make_defect_model(has_kinds=False), learner=learner), opened, params, tmp_path)
    assert found["exported"] == "backbone_maps.onnx" and found["is_equal"]
    assert "outside" in found["reason"]


def test_model_without_a_graph_says_so(model, opened, params, tmp_path):
    from core.learners import LEARNERS

    grouped = LEARNERS["image_probe"]({**TINY, "normalise": "group", "head": "logistic", "strength": 1.0}, seed=0)
    grouped.fit(opened["train"])
    with pytest.raises(BadParamsError, match="group"):
        build_module(replace(model, learner=grouped))
    found = export_model(replace(model, learner=grouped), opened, params, tmp_path)
    assert found["exported"] == "nothing" and "is_equal" not in found
