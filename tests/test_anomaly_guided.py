"""The source's score joined with what is unusual in the target: the parts by hand, and no hidden label is reached."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from test_aligned_transfer import StubDescriber, make_rows

from core.alignments.subspace_residual import SubspaceResidual, rank_logits
from core.data.label_budget import draw_budget
from core.errors import BadParamsError
from core.learners import LEARNERS, load_learner, save_learner
from core.transfers import TRANSFERS
from core.transfers.base import TransferTask


@pytest.fixture(autouse=True)
def stub_learner(monkeypatch):
    monkeypatch.setitem(LEARNERS._entries, "stub_describer", StubDescriber)


def make_task(num_labels=0, *, seed=2):
    source = make_rows(160, domain="old", seed=1)
    target = draw_budget(make_rows(140, domain="new", seed=seed, shift=3.0, scale=1.5), num_labels, seed=0)
    return TransferTask(source, target, None, partial(StubDescriber, {}, seed=0))


def test_subspace_residual_equals_the_distance_by_loops():
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 5)) @ np.diag([5.0, 3.0, 1.0, 0.5, 0.2])
    fitted = SubspaceResidual.fit(features, num_components=2, num_rounds=1)
    for row, found in zip(features, fitted.distances(features), strict=True):
        place = np.array(
            [min(max((v - c) / s, -4), 4) for v, c, s in zip(row, fitted.centre, fitted.scale, strict=True)]
        )
        apart = place - fitted.mean
        for component in fitted.components:
            apart = apart - (apart @ component) * component
        assert found == pytest.approx(np.sqrt(sum(v * v for v in apart)), abs=1e-9)


def test_subspace_residual_trimmed_rounds_leave_outliers_outside():
    random = np.random.default_rng(1)
    usual = random.normal(size=(200, 2)) @ random.normal(size=(2, 8)) + 0.05 * random.normal(size=(200, 8))
    strange = random.normal(size=(20, 8)) * 2
    both = np.concatenate([usual, strange])
    distances = SubspaceResidual.fit(both, num_components=2).distances(both)
    assert roc_auc_score(np.r_[np.zeros(200), np.ones(20)], distances) > 0.98


def test_rank_logits_are_the_log_odds_of_the_rank():
    reference = np.array([0.1, 0.2, 0.3, 0.4])
    rank = (2 + 0.5) / 5
    assert rank_logits(reference, np.array([0.25]))[0] == pytest.approx(np.log(rank / (1 - rank)))
    assert np.isfinite(rank_logits(reference, np.array([-9.0, 9.0]))).all()


def test_transfer_without_labels_ranks_and_keeps_the_sources_rate():
    task = make_task()
    learner = TRANSFERS["anomaly_guided"]().fit(task)
    assert (
        roc_auc_score(
            make_rows(140, domain="new", seed=2, shift=3.0, scale=1.5).labels, learner.predict_logits(task.target)
        )
        > 0.75
    )
    rate = learner.predict_probability(task.target)[:, 1].mean()
    assert rate == pytest.approx(task.source.targets.mean(), abs=0.02)


@pytest.mark.parametrize("num_labels", [0, 12, 40])
def test_transfer_cannot_reach_a_hidden_target_label(num_labels):
    task = make_task(num_labels)
    garbled = replace(task.target, kinds=np.full(len(task.target), "x", dtype=object))
    hidden = ~task.target.is_labelled
    grades = np.where(hidden, 0.9, np.nan)
    other = replace(task, target=replace(garbled, label_probability=grades))
    first, second = (TRANSFERS["anomaly_guided"]().fit(told) for told in (task, other))
    np.testing.assert_array_equal(first.mix_, second.mix_)
    np.testing.assert_array_equal(first.coefficients_, second.coefficients_)


def test_transfer_with_labels_fits_the_mix_and_survives_a_reload(tmp_path):
    task = make_task(60)
    learner = TRANSFERS["anomaly_guided"]().fit(task)
    assert not np.allclose(learner.mix_[1:], 0.5)
    save_learner(learner, tmp_path / "saved")
    again = load_learner(tmp_path / "saved")
    np.testing.assert_array_equal(again.predict_logits(task.target), learner.predict_logits(task.target))


def test_transfer_of_a_learner_without_descriptors_is_refused():
    task = replace(make_task(), make_learner=lambda: LEARNERS["logistic_regression"]({}, seed=0))
    with pytest.raises(BadParamsError, match="no descriptors"):
        TRANSFERS["anomaly_guided"]().fit(task)
