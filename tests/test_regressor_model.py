"""The saved regression model: equal after reload, written whole, refused when a file was changed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from regressor_tables import make_value_task, make_values

from core.data.domain import ColumnSpec, DomainSpec
from core.errors import BadInputError, MissingArtifactError, VerificationError
from core.learners.scoring_model import PLAIN_SUFFIXES
from core.regression.conformal_band import ConformalBand
from core.regression.regression_model import RegressionModel
from core.regression.regressors.boosted_trees import BoostedTrees
from core.regression.transfers.auto import Auto

SPEC = DomainSpec("small_lender", "claims", (ColumnSpec("amount", kind="number"), ColumnSpec("cost", use="label")))
TREES = {"num_rounds": 30, "early_stopping_rounds": 0, "learning_rate": 0.2}


@pytest.fixture(scope="module")
def model() -> RegressionModel:
    task = make_value_task(40, make_regressor=lambda: BoostedTrees(TREES))
    fitted = Auto({"num_folds": 3, "num_repeats": 1, "candidates": ["source_offset"]}).fit(task)
    valid = make_values(100, seed=8)
    band = ConformalBand.fit(valid.labels, fitted.predict(valid), error_rate=0.1)
    return RegressionModel(fitted, band, task.target.schema, unit="EUR").with_context(
        spec=SPEC, train=task.target, options={"currency": "EUR"}, provenance={"versions": {"x": "1"}}
    )


@pytest.fixture
def folder(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(scope="module")
def samples():
    return make_values(300, seed=9)


def test_regression_model_after_reload_predicts_explains_and_knows_the_same(model, folder, samples):
    loaded = RegressionModel.load(folder)
    for found, expected in zip(loaded.predict(samples), model.predict(samples), strict=True):
        np.testing.assert_array_equal(found, expected)
    pd.testing.assert_frame_equal(loaded.contributions(samples), model.contributions(samples))
    for name in ("band", "schema", "spec", "unit", "options", "provenance", "typical"):
        assert getattr(loaded, name) == getattr(model, name), name
    assert loaded.regressor.selection_ == model.regressor.selection_ != []


def test_regression_model_band_lies_around_the_value_and_holds_most_labels(model, samples):
    value, low, high = model.predict(samples)
    assert (low < value).all() and (value < high).all()
    assert 0.8 < np.mean((low <= samples.labels) & (samples.labels <= high)) < 0.97


def test_regression_model_without_a_band_has_ends_that_are_not_known(model, samples, tmp_path):
    replace(model, band=None, spec=None).save(tmp_path / "bare")
    bare = RegressionModel.load(tmp_path / "bare")
    value, low, high = bare.predict(samples)
    np.testing.assert_array_equal(value, model.predict(samples)[0])
    assert np.isnan(low).all() and np.isnan(high).all() and low.shape == high.shape == value.shape
    assert bare.band is None and bare.spec is None


def test_regression_model_with_a_band_of_scales_is_refused_by_the_band(model, samples):
    scaled = ConformalBand.fit(samples.labels, samples.labels + 1.0, error_rate=0.1, scale=np.ones(len(samples)))
    with pytest.raises(BadInputError, match="scale"):
        replace(model, band=scaled).predict(samples)


def test_regression_model_typical_values_come_from_training_rows(model):
    train = make_value_task(40).target.inputs
    assert model.typical["months"] == train["months"].median()
    assert model.typical["purpose"] == train["purpose"].mode().iloc[0]


def test_regression_model_saved_files_are_all_plain(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert {path.suffix for path in files} <= PLAIN_SUFFIXES


def test_regression_model_with_one_changed_byte_anywhere_is_refused(folder):
    names = json.loads((folder / "manifest.json").read_text())["sha256"]
    assert any(name.startswith("regressor/") for name in names) and "regression_model.json" in names
    for name in names:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(VerificationError, match="changed"):
            RegressionModel.load(folder)
        (folder / name).write_bytes(content)
    RegressionModel.load(folder)


def test_regression_model_with_a_missing_or_foreign_file_is_refused(folder):
    (folder / "regressor" / "extra.json").write_text("{}")
    with pytest.raises(VerificationError, match=r"extra\.json"):
        RegressionModel.load(folder)
    (folder / "regressor" / "extra.json").unlink()
    (folder / "regressor" / "regressor.json").unlink()
    with pytest.raises(VerificationError, match=r"regressor\.json is missing"):
        RegressionModel.load(folder)


def test_regression_model_of_an_empty_folder_or_another_kind_is_refused(tmp_path, folder):
    with pytest.raises(MissingArtifactError, match="dvc repro"):
        RegressionModel.load(tmp_path / "nothing")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"].pop("regression_model.json")
    (folder / "regression_model.json").unlink()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(VerificationError, match="no regression model"):
        RegressionModel.load(folder)


def test_regression_model_save_that_fails_leaves_the_old_one(model, folder, monkeypatch):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def fail_half_way(state_folder):
        (state_folder / "half.json").write_text("{")
        raise OSError("disk full")

    monkeypatch.setattr(model.regressor, "save_state", fail_half_way)
    with pytest.raises(OSError, match="disk full"):
        model.save(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_regression_model_refuses_a_regressor_that_writes_a_pickle(model, tmp_path, monkeypatch):
    monkeypatch.setattr(
        model.regressor, "save_state", lambda state_folder: (state_folder / "model.pkl").write_bytes(b"x")
    )
    with pytest.raises(VerificationError, match=r"model\.pkl"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_regression_model_contributions_name_the_schema_in_its_order(model, samples):
    values = model.contributions(samples)
    assert list(values.columns) == model.schema.names()
    assert (values["story"] == 0.0).all() and values["amount"].abs().mean() > 1.0


def test_contributions_of_a_regressor_without_any_fall_back_to_occlusion(model, samples, monkeypatch):
    def cannot(samples):
        raise NotImplementedError

    monkeypatch.setattr(model.regressor, "contributions", cannot)
    values = model.contributions(samples)
    assert list(values.columns) == model.schema.names()
    typical = samples.inputs.assign(amount=model.typical["amount"])
    expected = model.predict(samples)[0] - model.predict(samples.with_inputs(typical, samples.schema))[0]
    np.testing.assert_array_equal(values["amount"], expected)
    is_typical = (samples.inputs["level"] == model.typical["level"]).to_numpy()
    assert is_typical.any() and (values["level"][is_typical] == 0.0).all() and values["level"].abs().max() > 0.1
