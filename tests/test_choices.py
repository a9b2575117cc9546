"""Impossible combinations in params.yaml stop before any work."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.choices import check_choices
from core.errors import BadParamsError
from core.params import load_params
from core.vertical import load_vertical, vertical_names

ROOT = Path(__file__).parents[1]


def check(*, train=None, compare=None, prepare=None):
    params = load_params(ROOT / "params.yaml", "credit_risk")
    changed = replace(
        params,
        train=replace(params.train, **(train or {})),
        compare=replace(params.compare, **(compare or {})),
        prepare=replace(params.prepare, **(prepare or {})),
    )
    check_choices(load_vertical("credit_risk"), changed)


def test_choices_of_the_repository_fit():
    for name in vertical_names():
        check_choices(load_vertical(name), load_params(ROOT / "params.yaml", name))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train": {"learner": "bosted_trees"}}, "Did you mean 'boosted_trees'"),
        ({"train": {"transfer": "poled"}}, "Did you mean 'pooled'"),
        ({"train": {"learner_options": {"blend": {"part": []}}}}, "Did you mean 'parts'"),
        ({"train": {"learner_options": {"bland": {}}}}, "Did you mean 'blend'"),
        ({"train": {"transfer": "continued_training", "learner": "scorecard"}}, "choose boosted_trees, logistic"),
        ({"train": {"transfer": "pooled"}, "prepare": {"source_domains": ()}}, "needs a source"),
        ({"compare": {"baseline": "pooled"}}, "is not among compare.methods"),
        ({"compare": {"methods": ("target_only:scorcard",)}}, "Did you mean 'scorecard'"),
    ],
)
def test_choices_that_cannot_work_are_refused(changes, expected):
    with pytest.raises(BadParamsError, match=expected):
        check(**changes)
