"""Impossible combinations in the section of a predicted number stop before any work."""

import pytest
from small_values import VERTICAL, value_params

from core.errors import BadParamsError
from core.regression.choices import check_regression_choices
from core.stages.value_train import make_regression_transfer


def test_choices_that_fit_pass():
    check_regression_choices(VERTICAL, value_params())
    check_regression_choices(VERTICAL, value_params(train={"candidates": ["source_offset"]}))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train": {"regressor": "rigde"}}, "Did you mean 'ridge'"),
        ({"train": {"transfer": "poled"}}, "Did you mean 'pooled'"),
        ({"train": {"candidates": ["source_ofset"]}}, "Did you mean 'source_offset'"),
        ({"train": {"candidates": ["auto"]}}, "candidate of itself"),
        ({"train": {"regressor_options": {"ridge": {"strenght": 1.0}}}}, "Did you mean 'strength'"),
        ({"train": {"transfer_options": {"source_offset": {"line": 1.0}}}}, "line_strength"),
        ({"train": {"transfer_options": {"auto": {"candidates": []}}}}, "Set train.candidates instead"),
        ({"train": {"transfer": "target_only:ridge"}}, "Set train.regressor instead"),
        ({"train": {"regressor": "source_offset"}}, "Choose transfer 'source_offset'"),
        ({"compare": {"methods": ["target_only", "pooled:domain_tagged"]}}, "Choose transfer 'pooled'"),
        ({"compare": {"methods": ["target_only", "pooled:rigde"]}}, "Did you mean 'ridge'"),
        ({"compare": {"baseline": "pooled"}}, "is not among compare.methods"),
        ({"compare": {"metric": "coverage"}}, "mae, median_absolute_error, r2, rmse"),
        ({"compare": {"metric": "mea"}}, "Did you mean 'mae'"),
        ({"prepare": {"source_domains": []}}, "train.transfer to target_only"),
    ],
)
def test_choices_that_cannot_work_are_refused_with_the_repair(changes, expected):
    with pytest.raises(BadParamsError, match=expected):
        check_regression_choices(VERTICAL, value_params(**changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train": {"band_eror_rate": 0.1}}, "Did you mean 'band_error_rate'"),
        ({"train": {"band_error_rate": 0.5}}, "less than 0.5"),
        ({"compare": {"budgets": [-1]}}, "greater than or equal to 0"),
        ({"export": {"parity_tolerance": 0.0}}, "greater than 0"),
    ],
)
def test_params_that_cannot_be_are_refused(changes, expected):
    with pytest.raises(BadParamsError, match=expected):
        value_params(**changes)


def test_auto_gets_candidates_and_the_options_of_the_others():
    train = {
        "candidates": ["source_offset"],
        "transfer_options": {"auto": {"level": 0.05}, "source_offset": {"line_strength": 2.0}},
    }
    options = make_regression_transfer(value_params(train=train).train, "auto").options
    assert (options.candidates, options.level) == (("source_offset",), 0.05)
    assert options.transfer_options == {"source_offset": {"line_strength": 2.0}}
