"""The saved scoring model: equal after reload, written whole, refused when a file was changed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from small_credit_model import make_model, make_raw_rows, make_samples

from core.errors import MissingArtifactError, VerificationError
from core.learners.scoring_model import PLAIN_SUFFIXES, ScoringModel


@pytest.fixture(scope="module")
def model() -> ScoringModel:
    return make_model(learner_options={"num_rounds": 40, "num_bags": 2})


@pytest.fixture
def folder(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(scope="module")
def samples(model):
    fresh = make_samples(make_raw_rows(200, seed=9))
    return fresh.with_inputs(fresh.inputs, model.schema)


def test_scoring_model_after_reload_scores_explains_and_knows_the_same(model, folder, samples):
    loaded = ScoringModel.load(folder)
    np.testing.assert_array_equal(loaded.predict_probability(samples), model.predict_probability(samples))
    np.testing.assert_array_equal(loaded.predict_interval(samples), model.predict_interval(samples))
    np.testing.assert_array_equal(loaded.contributions(samples), model.contributions(samples))
    for name in ("threshold", "schema", "classes", "positive_class", "spec", "options", "provenance", "typical"):
        assert getattr(loaded, name) == getattr(model, name), name


def test_scoring_model_probability_is_the_calibrated_one_inside_its_interval(model, samples):
    raw = model.learner.predict_probability(samples)
    probability, low_high = model.predict_all(samples)
    np.testing.assert_array_equal(probability, model.calibrator.transform(raw))
    np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    positive = probability[:, model.positive_index]
    assert (low_high[:, 0] <= positive).all()
    assert (positive <= low_high[:, 1]).all()
    assert (low_high[:, 0] < low_high[:, 1]).any()


def test_scoring_model_typical_values_come_from_training_rows(model):
    raw = make_raw_rows(600, seed=1)
    assert model.typical["duration"] == raw["duration"].astype(float).median()
    assert model.typical["status"] == raw["status"].mode().iloc[0]


def test_scoring_model_saved_files_are_all_plain(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert {path.suffix for path in files} <= PLAIN_SUFFIXES


def test_scoring_model_with_one_changed_byte_anywhere_is_refused(folder):
    names = json.loads((folder / "manifest.json").read_text())["sha256"]
    assert any(name.startswith("learner/") for name in names)
    for name in names:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(VerificationError, match="changed"):
            ScoringModel.load(folder)
        (folder / name).write_bytes(content)
    ScoringModel.load(folder)


def test_scoring_model_with_a_missing_or_foreign_file_is_refused(folder):
    (folder / "learner" / "extra.json").write_text("{}")
    with pytest.raises(VerificationError, match=r"extra\.json"):
        ScoringModel.load(folder)
    (folder / "learner" / "extra.json").unlink()
    (folder / "learner" / "learner.json").unlink()
    with pytest.raises(VerificationError, match=r"learner\.json is missing"):
        ScoringModel.load(folder)


def test_scoring_model_of_a_later_format_is_refused(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(VerificationError, match="format 99"):
        ScoringModel.load(folder)


def test_scoring_model_of_an_empty_folder_says_how_to_get_one(tmp_path):
    with pytest.raises(MissingArtifactError, match="dvc repro"):
        ScoringModel.load(tmp_path)


def test_scoring_model_save_that_fails_leaves_the_old_one(model, folder, monkeypatch):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def fail_half_way(state_folder):
        (state_folder / "half.json").write_text("{")
        raise OSError("disk full")

    monkeypatch.setattr(model.learner, "save_state", fail_half_way)
    with pytest.raises(OSError, match="disk full"):
        model.save(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_scoring_model_refuses_a_learner_that_writes_a_pickle(model, tmp_path, monkeypatch):
    monkeypatch.setattr(
        model.learner, "save_state", lambda state_folder: (state_folder / "model.pkl").write_bytes(b"x")
    )
    with pytest.raises(VerificationError, match=r"model\.pkl"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_contributions_of_the_other_positive_class_change_sign(model, samples):
    turned = replace(model, positive_class="good")
    np.testing.assert_array_equal(turned.contributions(samples), -model.contributions(samples))


def test_contributions_of_a_learner_without_any_fall_back_to_occlusion(model, samples, monkeypatch):
    def cannot(samples):
        raise NotImplementedError

    monkeypatch.setattr(model.learner, "contributions", cannot)
    values = model.contributions(samples)
    assert list(values.columns) == model.schema.names()
    is_long = samples.inputs["duration"].to_numpy() > 55
    assert values["duration"][is_long].mean() > 0.3
    typical = samples.inputs["duration"].to_numpy() == model.typical["duration"]
    np.testing.assert_allclose(values["duration"][typical], 0.0)
