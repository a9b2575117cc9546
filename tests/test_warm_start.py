"""Warm start against training from scratch: what is learned when, and what the figures are of."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score
from small_tables import make_table

from core.data.samples import concatenate
from core.learners import LEARNERS
from core.lifecycle.retrain.warm_start import REHEARSAL, SCRATCH, WARM, WAYS, compare_starts

FIRST, REGRESSION = np.arange(100), np.arange(100, 150)
DELIVERIES = [np.arange(start, start + 30) for start in (150, 180, 210)]


class Remembering:
    """A learner that writes down what it is told; it scores by the place of a row and by how much it knows."""

    def __init__(self, told, known=()):
        self.told, self.known = told, tuple(known)

    def fit(self, train, valid=None):
        return self._learned("fit", train, ())

    def continue_on(self, target, valid=None):
        return self._learned("continue_on", target, self.known)

    def _learned(self, how, rows, before):
        self.told.append((how, [places_of(rows)]))
        return Remembering(self.told, [*before, *places_of(rows)])

    def predict_probability(self, samples):
        assert not set(places_of(samples)) & set(self.known), "a row is scored by a model that learned it"
        positive = 0.5 + 0.4 * np.sin(np.array(places_of(samples)) * (1.0 + len(self.known)))
        return np.column_stack([1 - positive, positive])


def places_of(samples):
    return [int(sample_id.rsplit("/", 1)[1]) for sample_id in samples.sample_ids]


def play(samples, make_learner, **told):
    return compare_starts(samples, FIRST, DELIVERIES, REGRESSION, make_learner, report=lambda _: None, **told)


def test_each_way_learns_its_rows_after_they_were_scored_and_the_last_delivery_is_learned_by_none():
    told = []
    result = play(make_table(), lambda: Remembering(told))
    (first,), *rest = [rows for _, rows in told]
    assert first == list(FIRST) and len(rest) == 2 * len(WAYS)
    known = list(FIRST)
    for number, delivery in enumerate(DELIVERIES[:2]):
        (scratch,), (warm,), (rehearsal,) = rest[3 * number : 3 * number + 3]
        assert scratch == [*known, *delivery] and warm == list(delivery)
        assert rehearsal[:30] == list(delivery) and len(set(rehearsal[30:])) == 30 and set(rehearsal[30:]) <= set(known)
        known += list(delivery)
    assert [how for how, _ in told] == ["fit", *(["fit", "continue_on", "continue_on"] * 2)]
    assert result["rows"] == {"first": 100, "deliveries": 90, "regression": 50}


def test_a_delivery_of_one_class_is_scored_and_learned_with_the_next():
    samples, told = make_table(), []
    labels = samples.labels.copy()
    labels[DELIVERIES[0]] = 1.0
    labels[FIRST[:2]], labels[DELIVERIES[1][:2]] = [0.0, 1.0], [0.0, 1.0]
    result = play(samples.with_labels(labels), lambda: Remembering(told))
    assert [len(rows[0]) for _, rows in told] == [100, 160, 60, 120]
    assert result["rows"]["deliveries"] == 90


def test_figures_are_those_of_the_model_before_each_delivery_and_of_the_last_on_the_first_period():
    samples, options = make_table(), {"strength": 1.0}

    def make():
        return LEARNERS["logistic_regression"](options, seed=0)

    result = play(samples, make)
    model, logits = make().fit(samples.take(FIRST)), []
    start = model.predict_logits(samples.take(REGRESSION))
    for number, rows in enumerate(DELIVERIES):
        logits.append(model.predict_logits(samples.take(rows)))
        if number < 2:
            model = model.continue_on(samples.take(rows))
    targets, warm = samples.labels[150:240], result["next_delivery"][WARM]
    assert warm["auc"]["value"] == pytest.approx(roc_auc_score(targets, np.concatenate(logits)))
    probability = 1 / (1 + np.exp(-np.concatenate(logits)))
    assert warm["brier"] == pytest.approx(brier_score_loss(targets, probability))
    gap = warm["auc"]["value"] - result["next_delivery"][SCRATCH]["auc"]["value"]
    assert warm["auc_minus_scratch"]["value"] == pytest.approx(gap)
    old = result["first_period"]
    assert old["first_model"]["auc"]["value"] == pytest.approx(roc_auc_score(samples.labels[REGRESSION], start))
    last = model.predict_logits(samples.take(REGRESSION))
    assert old[WARM]["auc"]["value"] == pytest.approx(roc_auc_score(samples.labels[REGRESSION], last))
    assert "auc_minus_scratch" not in old[SCRATCH] and set(old) == {"first_model", SCRATCH, WARM, REHEARSAL}


def test_what_turned_is_forgotten_by_the_warm_start_and_kept_by_scratch_with_more_old_rows():
    old, new = make_table(400, seed=1), make_table(150, seed=2, domain="new", slope=-1.0)
    samples = concatenate([old, new])
    result = compare_starts(
        samples, np.arange(300), [np.arange(400 + 30 * n, 430 + 30 * n) for n in range(5)], np.arange(300, 400),
        lambda: LEARNERS["logistic_regression"]({"strength": 0.1}, seed=0), report=lambda _: None,
    )  # fmt: skip
    assert result["first_period"][WARM]["auc_minus_scratch"]["high"] < 0
    assert result["first_period"][REHEARSAL]["auc"]["value"] > result["first_period"][WARM]["auc"]["value"]
