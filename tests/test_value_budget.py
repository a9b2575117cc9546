"""Draws of labels that are numbers: they nest, are stratified, and what is masked is gone."""

from itertools import pairwise

import numpy as np
import pytest
from regressor_tables import make_values

from core.errors import BadParamsError
from core.regression.value_budget import draw_value_budget, label_fifths


def kept(samples, budget, seed=0):
    return draw_value_budget(samples, budget, seed).is_labelled


def test_value_budgets_nest_and_have_their_size():
    samples = make_values(200)
    masks = [kept(samples, budget) for budget in (0, 5, 20, 80, 200, 500)]
    assert [int(mask.sum()) for mask in masks] == [0, 5, 20, 80, 200, 200]
    for small, large in pairwise(masks):
        assert (large | ~small).all()


def test_value_budget_keeps_the_numbers_and_masks_the_others():
    samples = make_values(100)
    drawn = draw_value_budget(samples, 30, 0)
    assert (drawn.labels[drawn.is_labelled] == samples.labels[drawn.is_labelled]).all()
    assert np.isnan(drawn.labels).sum() == 70 and not np.isnan(samples.labels).any()
    assert drawn.inputs is samples.inputs


def test_value_budget_takes_every_fifth_in_its_share():
    samples = make_values(200)
    fifths = label_fifths(samples.labels)
    assert np.bincount(fifths[kept(samples, 50)].astype(int)).tolist() == [10] * 5
    assert sorted(fifths[kept(samples, 5)]) == [0, 1, 2, 3, 4]


def test_value_budget_does_not_look_at_the_size_of_labels_outside_it():
    samples = make_values(200)
    fifths = label_fifths(samples.labels)
    mask = kept(samples, 40)
    poisoned = samples.with_labels(np.where((fifths == 4) & ~mask, samples.labels + 1e9, samples.labels))
    drawn = draw_value_budget(poisoned, 40, 0)
    assert (drawn.is_labelled == mask).all() and np.nanmax(drawn.labels) < 1e6


def test_value_budget_of_another_seed_draws_other_labels():
    samples = make_values(200)
    assert not np.array_equal(kept(samples, 40, seed=0), kept(samples, 40, seed=1))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([5.0, 1.0, np.nan, 3.0, 2.0, 4.0], [4, 0, np.nan, 2, 1, 3]),
        ([0.0, 0.0, 0.0, 0.0, 7.0], [0, 0, 0, 0, 1]),  # ties stay together
        ([np.nan, np.nan], [np.nan, np.nan]),
        ([2.0], [0]),
    ],
)
def test_label_fifths_rise_with_the_label(labels, expected):
    assert np.array_equal(label_fifths(np.array(labels)), np.array(expected, dtype=float), equal_nan=True)


def test_value_budget_below_zero_is_refused():
    with pytest.raises(BadParamsError, match="below zero"):
        draw_value_budget(make_values(10), -1, 0)
