"""Labels that are numbers, by fifths: draws of them nest and are stratified, what is masked is gone."""

from itertools import pairwise

import numpy as np
import pytest
from regressor_tables import make_values

from core.data.label_budget import draw_budget
from core.data.label_strata import label_strata
from core.errors import BadParamsError


def draw(samples, budget, seed=0):
    return draw_budget(samples, budget, seed, is_number=True)


def kept(samples, budget, seed=0):
    return draw(samples, budget, seed).is_labelled


def test_budgets_of_numbers_nest_and_have_their_size():
    samples = make_values(200)
    masks = [kept(samples, budget) for budget in (0, 5, 20, 80, 200, 500)]
    assert [int(mask.sum()) for mask in masks] == [0, 5, 20, 80, 200, 200]
    for small, large in pairwise(masks):
        assert (large | ~small).all()


def test_budget_keeps_the_numbers_and_masks_the_others():
    samples = make_values(100)
    drawn = draw(samples, 30)
    assert (drawn.labels[drawn.is_labelled] == samples.labels[drawn.is_labelled]).all()
    assert np.isnan(drawn.labels).sum() == 70 and not np.isnan(samples.labels).any()
    assert drawn.inputs is samples.inputs


def test_budget_takes_every_fifth_in_its_share():
    samples = make_values(200)
    fifths = label_strata(samples.labels, is_number=True)
    assert np.bincount(fifths[kept(samples, 50)].astype(int)).tolist() == [10] * 5
    assert sorted(fifths[kept(samples, 5)]) == [0, 1, 2, 3, 4]


def test_budget_does_not_look_at_the_size_of_labels_outside_it():
    samples = make_values(200)
    fifths = label_strata(samples.labels, is_number=True)
    mask = kept(samples, 40)
    poisoned = samples.with_labels(np.where((fifths == 4) & ~mask, samples.labels + 1e9, samples.labels))
    drawn = draw(poisoned, 40)
    assert (drawn.is_labelled == mask).all() and np.nanmax(drawn.labels) < 1e6


def test_budget_of_another_seed_draws_other_labels():
    samples = make_values(200)
    assert not np.array_equal(kept(samples, 40, seed=0), kept(samples, 40, seed=1))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([5.0, 1.0, np.nan, 3.0, 2.0, 4.0, 9.0, 8.0, 7.0, 6.0, 0.0], [2, 0, np.nan, 1, 1, 2, 4, 4, 3, 3, 0]),
        ([0.0, 0.0, 0.0, 0.0, 7.0], [0, 0, 0, 0, 0]),  # one row is no stratum
        ([0.0, 0.0, 0.0, 7.0, 8.0], [0, 0, 0, 1, 1]),  # ties stay together
        ([1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0], [0, 0, 0, 0, 0, 0, 0]),
        ([np.nan, np.nan], [np.nan, np.nan]),
        ([2.0], [0]),
        ([], []),
    ],
)
def test_label_strata_rise_with_the_label_and_hold_two_rows_at_least(labels, expected):
    found = label_strata(np.array(labels), is_number=True)
    assert np.array_equal(found, np.array(expected, dtype=float), equal_nan=True)


def test_label_strata_of_classes_are_the_classes():
    labels = np.array([0.0, 1.0, np.nan, 1.0])
    assert np.array_equal(label_strata(labels, is_number=False), labels, equal_nan=True)


def test_budget_below_zero_is_refused():
    with pytest.raises(BadParamsError, match="below zero"):
        draw(make_values(10), -1)
