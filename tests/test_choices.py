"""Impossible combinations in params.yaml stop before any work."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.choices import check_choices
from core.cli.run import check as check_before_a_run
from core.errors import BadParamsError
from core.params import TrainParams, load_params
from core.stages.train import make_transfer
from core.transfers.auto import Auto
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
    for vertical in map(load_vertical, vertical_names()):
        check_before_a_run(vertical, load_params(ROOT / "params.yaml", vertical.name, vertical.params_type))


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
        ({"train": {"transfer_options": {"poled": {}}}}, "Did you mean 'pooled'"),
        ({"train": {"transfer_options": {"auto": {"num_fold": 3}}}}, "auto.num_fold'. Did you mean 'num_folds'"),
        ({"train": {"transfer_options": {"auto": {"candidates": ["pooled"]}}}}, "Set train.candidates instead"),
        ({"train": {"transfer_options": {"auto": {"num_folds": "many"}}}}, "auto.num_folds: .* got 'many'"),
        ({"train": {"transfer_options": {"aligned": {"candidates": ["corl"]}}}}, "corl"),
        ({"train": {"transfer_options": {"fixmatch": {"options": {"treshold": 0.9}}}}}, "Did you mean 'threshold'"),
        ({"train": {"transfer_options": {"self_supervised": {"then": "poled"}}}}, "Did you mean 'pooled'"),
        ({"train": {"transfer_options": {"pooled": {"source_fits": None}}}}, "Did you mean|Choose from"),
        ({"train": {"transfer_options": {"target_only": {"weight": 1}}}}, "has no options"),
    ],
)
def test_choices_that_cannot_work_are_refused(changes, expected):
    with pytest.raises(BadParamsError, match=expected):
        check(**changes)


def test_make_transfer_hands_options_to_the_transfer():
    options = {"importance_weighting": {"flattening": 0.25}, "aligned": {"candidates": ["coral"], "criterion": "snd"}}
    params = TrainParams(transfer_options=options)
    assert make_transfer(params, "importance_weighting").flattening == 0.25
    assert make_transfer(params, "importance_weighting").max_ratio == 10.0
    assert make_transfer(params, "aligned").candidates == ("coral",)
    assert make_transfer(params, "self_supervised").transfer_options == options
    assert make_transfer(params, "pooled").target_multiplier is None


def test_make_transfer_auto_gives_its_candidates_their_options():
    options = {"auto": {"num_folds": 3}, "pooled": {"target_multiplier": 7.0}}
    auto = make_transfer(TrainParams(candidates=("pooled", "target_only"), transfer_options=options), "auto")
    assert isinstance(auto, Auto) and auto.num_folds == 3 and auto.candidates == ("pooled", "target_only")
    made = auto._make_transfers(["pooled", "target_only"], task=None)  # the task is asked for no multiplier
    assert made["pooled"].target_multiplier == 7.0
