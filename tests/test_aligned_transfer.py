"""The transfer `aligned`: it mends a shift without target labels, and cannot reach a label it may not see."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from core.alignments import ALIGNMENTS
from core.artifacts import read_json, write_json
from core.data.label_budget import draw_budget
from core.data.samples import Samples, concatenate
from core.data.table_schema import Feature, TableSchema
from core.errors import BadInputError, BadParamsError
from core.learners import LEARNERS, load_learner, save_learner
from core.learners.aligned_head import AlignedHead, AlignedHeadOptions, fit_ridge_head, train_aligned_head
from core.learners.aligned_recipe import parse_recipe
from core.learners.binary_table import BinaryTableLearner
from core.strategies.base import NoOptions
from core.transfers import TRANSFERS
from core.transfers.aligned import CANDIDATES, AlignedTransfer, first_within_one_error
from core.transfers.base import TransferTask

NUM_FEATURES = 6
DIRECTION = np.array([1.0, 0.5, 0.9, -0.8, 0.7, 0.1])  # where the target moves; features 0 and 1 tell the class
QUICK_HEAD = {"num_steps": 40, "batch_size": 32, "hidden_size": 8, "learning_rate": 0.02}
FEW = ("source_only", "standardise_map", "standardise_map+mcc")


class StubDescriber(BinaryTableLearner):
    """Its numbers are its descriptors; it learns nothing but that it was fitted on the source."""

    Options = NoOptions

    def fit(self, train, valid=None):
        self.fitted_on_ = sorted(set(train.domains.astype(str)))
        assert train.is_labelled.all() and valid is None
        return self

    def predict_logits(self, samples):
        return np.zeros(len(samples))

    def descriptors(self, samples):
        return samples.inputs.to_numpy(dtype=np.float32)

    def save_state(self, folder):
        write_json(folder / "stub.json", self.fitted_on_)

    def load_state(self, folder):
        self.fitted_on_ = read_json(folder / "stub.json")


@pytest.fixture(autouse=True)
def stub_learner(monkeypatch):
    """Filed for the time of a test, so that saved learners find it."""
    monkeypatch.setitem(LEARNERS._entries, "stub_describer", StubDescriber)


def make_rows(num_rows, *, domain, seed, shift=0.0, scale=1.0):
    """Two features tell the class; `shift` and `scale` are what the target's camera does to all of them."""
    random = np.random.default_rng(seed)
    labels = (random.random(num_rows) < 0.4).astype(float)
    values = random.normal(size=(num_rows, NUM_FEATURES))
    values[:, :2] += 3.0 * (labels[:, None] - 0.4)
    values = scale * values + shift * DIRECTION
    names = [f"value_{k}" for k in range(NUM_FEATURES)]
    ids = np.array([f"{domain}/{k}" for k in range(num_rows)])
    schema = TableSchema(tuple(Feature(name, "number") for name in names))
    frame = pd.DataFrame(values, columns=names)
    return Samples(frame, labels, ids, np.full(num_rows, domain), np.ones(num_rows), ids, schema)


def make_task(num_labels=0, *, shift=6.0, scale=2.0):
    source = make_rows(160, domain="old", seed=1)
    target = draw_budget(make_rows(120, domain="new", seed=2, shift=shift, scale=scale), num_labels, seed=0)
    return TransferTask(source, target, None, partial(StubDescriber, {}, seed=0))


def make_test(shift=6.0, scale=2.0):
    return make_rows(300, domain="new", seed=9, shift=shift, scale=scale)


def make_transfer(**options):
    return AlignedTransfer(**{"candidates": FEW, "head": QUICK_HEAD} | options)


def arrays_of(learner):
    return learner.fitted_.to_arrays()


def test_transfer_without_target_labels_mends_the_shift():
    learner, test = make_transfer().fit(make_task()), make_test()
    alone = make_transfer(candidates=["source_only"]).fit(make_task())
    found = np.mean((learner.predict_logits(test) > 0) == test.labels)
    assert found > 0.9 > np.mean((alone.predict_logits(test) > 0) == test.labels) + 0.1
    assert [row["candidate"] for row in learner.selection_] == list(FEW)
    assert sum(row["chosen"] for row in learner.selection_) == 1
    assert learner.selection_[0]["criterion"] == "information_maximisation"


@pytest.mark.parametrize("criterion", ["snd", "entropy", "dev"])
def test_transfer_by_each_criterion_gives_a_table_of_all(criterion):
    learner = make_transfer(criterion=criterion).fit(make_task())
    row = learner.selection_[0]
    assert row["criterion"] == criterion
    assert all(np.isfinite(row[name]) for name in ("information_maximisation", "snd", "entropy", "dev"))


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_every_candidate_learns_and_survives_a_reload(candidate, tmp_path):
    learner = make_transfer(candidates=[candidate]).fit(make_task(shift=2.0, scale=1.0))
    test = make_test(shift=2.0, scale=1.0)
    probability = learner.predict_probability(test)
    assert roc_auc_score(test.labels, probability[:, 1]) > 0.9
    save_learner(learner, tmp_path / "learner")
    loaded = load_learner(tmp_path / "learner")
    assert np.array_equal(loaded.predict_probability(test), probability)
    assert loaded.selection_ == learner.selection_ and loaded.describer_.fitted_on_ == ["old"]
    files = [path for path in Path(tmp_path / "learner").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".safetensors"}


def test_candidates_name_every_alignment_loss_but_information_maximisation():
    assert set(ALIGNMENTS) - set(CANDIDATES) == {"information_maximisation"}


@pytest.mark.parametrize("num_labels", [0, 10, 30])
def test_transfer_with_other_hidden_target_labels_fits_bit_equal_arrays(num_labels):
    task = make_task(num_labels)
    is_hidden = ~task.target.is_labelled
    assert is_hidden.sum() == 120 - num_labels
    random = np.random.default_rng(5)
    garbled = replace(
        task.target,
        label_probability=np.where(is_hidden, random.random(120), task.target.label_probability),
        kinds=np.where(is_hidden, "crack", task.target.kinds),
    )
    first, second = (make_transfer().fit(part) for part in (task, replace(task, target=garbled)))
    assert first.selection_ == second.selection_
    for name, array in arrays_of(first).items():
        assert np.array_equal(array, arrays_of(second)[name]), name


@pytest.mark.parametrize("num_labels", [0, 10, 30])
def test_transfer_on_garbage_labels_behind_the_same_budget_fits_bit_equal_arrays(num_labels):
    task = make_task(num_labels)
    is_hidden = ~task.target.is_labelled
    true_labels = make_rows(120, domain="new", seed=2, shift=6.0, scale=2.0).labels
    garbage = np.where(is_hidden, 1.0 - true_labels, true_labels)
    whole = task.target.with_labels(garbage)
    masked = whole.with_labels(np.where(is_hidden, np.nan, garbage))
    first, second = (make_transfer().fit(part) for part in (task, replace(task, target=masked)))
    for name, array in arrays_of(first).items():
        assert np.array_equal(array, arrays_of(second)[name]), name


def test_transfer_with_other_visible_target_labels_fits_other_arrays():
    task = make_task(10)
    other = replace(task, target=task.target.with_labels(1.0 - task.target.labels))
    first, second = (make_transfer(candidates=["standardise_map"]).fit(part) for part in (task, other))
    assert not np.array_equal(first.fitted_.head.coefficients, second.fitted_.head.coefficients)


def test_transfer_does_not_read_validation_labels():
    task = make_task()
    valid = make_rows(60, domain="new", seed=7, shift=6.0, scale=2.0)
    first = make_transfer().fit(task)
    second = make_transfer().fit(replace(task, valid=valid))
    assert all(np.array_equal(array, arrays_of(second)[name]) for name, array in arrays_of(first).items())


def test_transfer_with_twenty_labels_chooses_by_held_out_log_loss():
    learner = make_transfer(target_multiplier=0.0).fit(make_task(40))  # labels choose, and teach nothing
    assert {row["criterion"] for row in learner.selection_} == {"held_out_log_loss"}
    losses = {row["candidate"]: row["log_loss"] for row in learner.selection_}
    assert losses["standardise_map"] < losses["source_only"]
    assert next(row for row in learner.selection_ if row["chosen"])["candidate"] != "source_only"
    assert make_transfer().fit(make_task(19)).selection_[0]["criterion"] == "information_maximisation"


def test_transfer_run_twice_gives_equal_arrays():
    first, second = (make_transfer().fit(make_task(10)) for _ in range(2))
    assert all(np.array_equal(array, arrays_of(second)[name]) for name, array in arrays_of(first).items())


def test_learner_fitted_directly_equals_the_transfers():
    task = make_task()
    fitted = make_transfer(candidates=["standardise_map"]).fit(task)
    options = {"learner": "stub_describer", "recipe": "standardise_map", "target_domain": "new"}
    direct = LEARNERS["aligned"](options, seed=0).fit(concatenate([task.source, task.target]))
    np.testing.assert_allclose(direct.predict_logits(make_test()), fitted.predict_logits(make_test()))


def test_transfer_with_a_learner_without_descriptors_names_the_way_out():
    task = replace(make_task(), make_learner=partial(LEARNERS["logistic_regression"], {}, seed=0))
    with pytest.raises(BadParamsError, match="image_probe"):
        make_transfer().fit(task)


def test_transfer_without_source_or_target_rows_is_refused():
    task = make_task()
    nobody = np.array([], dtype=int)
    with pytest.raises(BadParamsError, match="target_only"):
        make_transfer().fit(replace(task, source=task.source.take(nobody)))
    with pytest.raises(BadParamsError, match="target rows"):
        make_transfer().fit(replace(task, target=task.target.take(nobody)))


def test_recipe_words_are_read_and_a_typo_is_refused():
    assert parse_recipe("source_only").maps == ("common_units",)
    assert parse_recipe("coral_map").maps == ("principal_components", "coral_map")
    recipe = parse_recipe("standardise_map+mcc")
    assert recipe.maps == ("standardise_map", "principal_components") and recipe.alignment == "mcc"
    for typo in ("mmcc", "standardize_map+mcc", "mcc+standardise_map"):
        with pytest.raises(BadParamsError):
            parse_recipe(typo)
    with pytest.raises(BadParamsError):
        TRANSFERS["aligned"](candidates=["coral_mup"])
    with pytest.raises(BadParamsError):
        TRANSFERS["aligned"](criterion="snb")
    with pytest.raises(BadParamsError, match="num_step"):
        TRANSFERS["aligned"](head={"num_step": 3})


def test_first_within_one_error_prefers_the_simple_one_unless_the_gain_is_clear():
    noise = np.random.default_rng(0).normal(size=50)
    assert first_within_one_error(np.column_stack([noise, noise - 0.01 * noise**3, noise - 1])) == 2
    assert first_within_one_error(np.column_stack([noise, noise + 0.5 * np.tile([1, -1.01], 25)])) == 0


def features_of(samples):
    return samples.inputs.to_numpy()


@pytest.mark.parametrize("hidden_size", [0, 8])
def test_head_with_a_weight_learns_the_classes_and_reloads(hidden_size):
    task = make_task(shift=0.0)
    options = AlignedHeadOptions(**QUICK_HEAD | {"hidden_size": hidden_size})
    rows = (features_of(task.source), task.source.labels, task.source.weights, features_of(task.target))
    head = train_aligned_head(*rows, "coral", options, 0)
    test = make_test(shift=0.0)
    logits = head.predict_logits(features_of(test))
    assert roc_auc_score(test.labels, logits) > 0.9
    assert np.array_equal(AlignedHead.from_arrays(head.to_arrays()).predict_logits(features_of(test)), logits)


def test_head_with_target_labels_follows_them():
    task = make_task(shift=0.0)
    rows = (features_of(task.source), task.source.labels, task.source.weights, features_of(task.target))
    options = AlignedHeadOptions(**QUICK_HEAD | {"target_multiplier": 1000.0, "alignment_weight": 0.0})
    turned = 1.0 - make_rows(120, domain="new", seed=2).labels
    head = train_aligned_head(*rows, "coral", options, 0, target_labels=turned)
    assert roc_auc_score(turned, head.predict_logits(features_of(task.target))) > 0.9
    ridge = fit_ridge_head(*rows, 1.0, target_labels=turned, target_multiplier=1000.0)
    assert roc_auc_score(turned, ridge.predict_logits(features_of(task.target))) > 0.9


def test_head_does_not_move_the_random_state():
    task = make_task()
    rows = (features_of(task.source), task.source.labels, task.source.weights, features_of(task.target))
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    train_aligned_head(*rows, "dann", AlignedHeadOptions(**QUICK_HEAD), 0)
    assert torch.equal(torch.rand(1), expected)


def test_head_on_a_source_of_one_class_is_refused():
    task = make_task()
    rows = (features_of(task.source), np.zeros(160), task.source.weights, features_of(task.target))
    with pytest.raises(BadInputError, match="one class"):
        train_aligned_head(*rows, "coral", AlignedHeadOptions(), 0)
    with pytest.raises(BadInputError, match="target labels"):
        fit_ridge_head(rows[0], task.source.labels, *rows[2:], 1.0, target_labels=np.zeros(3))
