"""Texts read before labels: which texts, which encoder the learner gets, and that a saved learner is complete."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from tiny_text_backbone import text_samples, write_tiny_backbone

from core.backbones.weights import weights_sha256
from core.data.samples import concatenate
from core.errors import BadParamsError
from core.learners import LEARNERS, load_learner, save_learner
from core.learners.masked_language_model import continue_pretraining
from core.transfers import TRANSFERS
from core.transfers import continued_pretraining as module
from core.transfers.base import TransferTask
from core.transfers.continued_pretraining import ContinuedPretraining

QUICK = {"training": {"epochs": 1, "batch_size": 32, "learning_rate": 0.01, "patience": 0}}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_backbone(tmp_path_factory.mktemp("tiny"))


def make_task(make_learner, *, num_labels=60):
    source = replace(text_samples(80, seed=1), domains=np.full(80, "other"))
    target = text_samples(120, seed=2)
    labels = np.where(np.arange(120) < num_labels, target.labels, np.nan)
    return TransferTask(source, replace(target, labels=labels), text_samples(40, seed=3), make_learner)


def encoder_of(tiny, **options):
    return partial(LEARNERS["text_encoder"], {"backbone": tiny, "max_length": 16, **options}, seed=0)


def test_pretraining_reads_all_training_texts_and_no_other(tiny, tmp_path, monkeypatch):
    read = []

    def spy(texts, backbone, folder, options, *, seed):
        read.extend(texts)
        assert (backbone, options.max_length, seed) == (tiny, 16, 0)
        return continue_pretraining(texts, backbone, folder, options, seed=seed)

    monkeypatch.setattr(module, "continue_pretraining", spy)
    task = make_task(encoder_of(tiny))
    ContinuedPretraining(QUICK, folder=tmp_path).fit(task)
    both = concatenate([task.source, task.target])
    assert sorted(read) == sorted(both.inputs["description"].dropna())
    assert not set(task.valid.inputs["description"].dropna()) & set(read)


def test_encoder_is_another_one_and_made_once_for_the_same_texts(tiny, tmp_path):
    task = make_task(encoder_of(tiny))
    first = ContinuedPretraining(QUICK, folder=tmp_path).fit(task)
    (folder,) = tmp_path.iterdir()
    written = (folder / "pretraining.json").stat().st_mtime_ns
    assert first.options.pretrained_folder == str(folder)
    assert first.weights_.sha256 == weights_sha256(folder) != weights_sha256(tiny)
    fewer = make_task(encoder_of(tiny), num_labels=30)  # a fold: the same texts, fewer labels
    second = ContinuedPretraining(QUICK, folder=tmp_path).fit(fewer)
    assert (folder / "pretraining.json").stat().st_mtime_ns == written
    assert second.weights_ == first.weights_
    ContinuedPretraining(QUICK, folder=tmp_path).fit(replace(task, seed=1))
    assert len(list(tmp_path.iterdir())) == 2


def test_result_equals_the_learner_fitted_with_that_encoder_on_the_target_labels(tiny, tmp_path):
    task = make_task(encoder_of(tiny))
    fitted = ContinuedPretraining(QUICK, folder=tmp_path).fit(task)
    (folder,) = tmp_path.iterdir()
    alone = encoder_of(tiny, pretrained_folder=str(folder))().fit(task.target.labelled())
    test = text_samples(50, seed=9)
    np.testing.assert_array_equal(fitted.predict_probability(test), alone.predict_probability(test))


@pytest.mark.parametrize("name", ["text_encoder", "text_fusion"])
def test_saved_learner_is_complete_without_the_folder_of_the_encoder(tiny, tmp_path, monkeypatch, name):
    text = {"backbone": tiny, "max_length": 16}
    options = {"text": text, "table_learner": "logistic_regression", "ways": ["stacking"]}
    make = partial(LEARNERS[name], text if name == "text_encoder" else options, seed=0)
    fitted = ContinuedPretraining(QUICK, folder=tmp_path / "encoders").fit(make_task(make))
    test = text_samples(50, seed=9)
    expected = fitted.predict_probability(test)
    save_learner(fitted, tmp_path / "learner")
    (tmp_path / "encoders").rename(tmp_path / "gone")
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path / "empty"))
    np.testing.assert_allclose(load_learner(tmp_path / "learner").predict_probability(test), expected, atol=1e-6)


def test_transfer_without_a_source_reads_the_target_alone(tiny, tmp_path):
    task = make_task(encoder_of(tiny))
    none = task.source.take(np.array([], dtype=int))
    fitted = ContinuedPretraining(QUICK, folder=tmp_path).fit(replace(task, source=none))
    assert np.isfinite(fitted.predict_probability(task.target)).all()


def test_transfer_of_a_learner_without_text_names_those_that_can():
    task = make_task(LEARNERS["logistic_regression"])
    with pytest.raises(BadParamsError, match="choose text_encoder or text_fusion"):
        TRANSFERS["continued_pretraining"]().fit(task)


def test_transfer_of_a_table_without_text_refuses_before_any_training(tiny, tmp_path):
    task = make_task(encoder_of(tiny))
    lacking = [
        part.with_inputs(part.inputs.drop(columns="description"), part.schema.without(["description"]))
        for part in (task.source, task.target)
    ]
    with pytest.raises(BadParamsError, match="no free-text"):
        ContinuedPretraining(QUICK, folder=tmp_path).fit(replace(task, source=lacking[0], target=lacking[1]))
    assert not list(tmp_path.iterdir())


def test_misspelt_option_names_the_nearest():
    with pytest.raises(BadParamsError, match="'mask_fraction'"):
        ContinuedPretraining({"mask_fractio": 0.2})
