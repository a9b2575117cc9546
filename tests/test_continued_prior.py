"""The source as a prior: whose scale its columns have, how strongly it is held, and blends that continue in part."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from small_tables import make_table
from test_transfers import make_task

from core.errors import BadParamsError
from core.learners import LEARNERS, load_learner, save_learner
from core.learners.binary_table import logits_of
from core.learners.centred_ridge import fit_centred_ridge
from core.transfers import TRANSFERS
from core.transfers.continued_training import can_continue

LINE = {"strength": 5.0, "prior_strength": 0.2}
TREES = {"num_rounds": 20, "early_stopping_rounds": 0, "max_depth": 2}
PARTS = [{"learner": "logistic_regression", "options": LINE}, {"learner": "boosted_trees", "options": TREES}]
FIXED = {"parts": PARTS, "use_equal_weights": True, "use_part_maps": False}


def with_learner(name, options):
    return replace(make_task(), make_learner=partial(LEARNERS[name], options, seed=0))


def test_prior_is_held_by_its_strength_for_each_source_row():
    task = with_learner("logistic_regression", LINE)
    prior = task.make_learner().fit_prior(task.source, task.target)
    design = prior.encoding_.transform(task.source)
    by_hand = fit_centred_ridge(design, task.source.targets, task.source.weights, 0.2 * len(task.source))
    np.testing.assert_allclose(prior.coefficients_, by_hand, atol=1e-6)
    assert prior.strength_ == pytest.approx(0.2 * len(task.source))
    assert prior.continue_on(task.target).strength_ == 5.0  # the target's own rows keep the plain strength


def test_prior_of_a_source_that_lacks_all_columns_changes_nothing():
    """Columns have the target's scale, so that the penalty holds them as it does without a source."""
    task = with_learner("logistic_regression", LINE)
    gaps = task.source.inputs.assign(amount=np.nan, months=np.nan, purpose=None, level=None)
    task = replace(task, source=replace(task.source, inputs=gaps), target=task.target.labelled())
    continued = TRANSFERS["continued_training"]().fit(task)
    alone = TRANSFERS["target_only"]().fit(task)
    np.testing.assert_allclose(logits_of(continued, task.target), logits_of(alone, task.target), atol=0.05)


def test_prior_without_target_rows_is_scaled_by_the_source():
    task = with_learner("logistic_regression", LINE)
    prior = task.make_learner().fit_prior(task.source, task.target.take([]))
    design = prior.encoding_.transform(task.source)
    amount = prior.encoding_.owners.index("amount")
    assert design[:, amount].std() == pytest.approx(1.0, abs=0.1)


def test_continued_blend_is_the_mean_of_a_continued_line_and_trees_of_the_target(tmp_path):
    task = with_learner("blend", FIXED)
    fitted = TRANSFERS["continued_training"]().fit(task)
    line = TRANSFERS["continued_training"]().fit(with_learner("logistic_regression", LINE))
    trees = TRANSFERS["target_only"]().fit(with_learner("boosted_trees", TREES))
    test = make_table(80, seed=9)
    expected = (logits_of(line, test) + logits_of(trees, test)) / 2
    np.testing.assert_allclose(logits_of(fitted, test), expected, atol=1e-6)
    save_learner(fitted, tmp_path / "saved")
    np.testing.assert_allclose(logits_of(load_learner(tmp_path / "saved"), test), expected, atol=1e-6)


def test_continued_blend_fits_the_source_once_for_all_label_draws(monkeypatch):
    task, transfer, calls = with_learner("blend", FIXED), TRANSFERS["continued_training"](), []
    kind = LEARNERS["logistic_regression"]
    fit_prior = kind.fit_prior
    monkeypatch.setattr(kind, "fit_prior", lambda self, *sides: calls.append(1) or fit_prior(self, *sides))
    for num_labels in (40, 60):
        labels = np.where(np.arange(len(task.target)) < num_labels, task.target.labels, np.nan)
        transfer.fit(replace(task, target=replace(task.target, labels=labels)))
    assert len(calls) == 1


@pytest.mark.parametrize(
    "options",
    [
        {**FIXED, "use_equal_weights": False},
        {**FIXED, "use_part_maps": True},
        {**FIXED, "prior_weights": (0.7, 0.3)},
        {**FIXED, "parts": PARTS[1:]},
    ],
)
def test_blend_that_fits_something_between_parts_or_has_no_line_cannot_continue(options):
    task = with_learner("blend", options)
    assert not can_continue(task.make_learner())
    with pytest.raises(BadParamsError, match="cannot be trained on"):
        TRANSFERS["continued_training"]().fit(task)
