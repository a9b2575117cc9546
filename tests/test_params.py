import re
from datetime import date
from pathlib import Path

import pytest

from core.errors import BadParamsError, MissingArtifactError
from core.params import VerticalParams, load_params, parse_section, set_params
from core.vertical import load_vertical, vertical_names

ROOT = Path(__file__).parents[1]
MINIMAL = {"prepare": {"target_domain": "bank"}}

TEXT = """\
# kept comment
credit_risk:
  prepare:
    target_domain: bank   # the bank
    source_domains: []
  train:
    transfer: auto
"""


def test_params_of_the_repository_parse_for_every_vertical():
    for name in vertical_names():
        params = load_params(ROOT / "params.yaml", name, load_vertical(name).params_type)
        parse_section(load_vertical(name).options_type, params.options, where=f"{name}.options")


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"prepare": {"target_domain": "bank", "splt": {}}}, "unknown key 'x.prepare.splt'. Did you mean 'split'"),
        (
            {"prepare": {"target_domain": "bank", "split": {"methd": "auto"}}},
            "'x.prepare.split.methd'. Did you mean 'method'",
        ),
        ({**MINIMAL, "trian": {}}, "Did you mean 'train'"),
        ({**MINIMAL, "train": {"calibration": "plat"}}, "x.train.calibration"),
        ({"prepare": {"target_domain": "bank", "label_budget": -1}}, "x.prepare.label_budget"),
        ({"prepare": {"target_domain": "bank", "split": {"test_fraction": 1.5}}}, "test_fraction"),
        ({**MINIMAL, "train": {"threshold_rule": "fixed"}}, "x.train.fixed_threshold: .*'fixed' needs a threshold"),
        ({**MINIMAL, "train": {"fixed_threshold": 0.3}}, "x.train.fixed_threshold: .*which is 'cost'"),
        ({**MINIMAL, "train": {"threshold_rule": "fixed", "fixed_threshold": 1.5}}, "x.train.fixed_threshold"),
        ({}, "x.prepare"),
    ],
)
def test_params_wrong_section_names_the_key(section, expected):
    with pytest.raises(BadParamsError) as caught:
        parse_section(VerticalParams, section, where="x")
    assert re.search(expected, str(caught.value))


def test_set_params_fixed_threshold_is_adopted_with_its_rule(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(TEXT, encoding="utf-8")
    with pytest.raises(BadParamsError, match="fixed_threshold"):
        set_params(path, {"credit_risk.train.fixed_threshold": 0.25})
    set_params(path, {"credit_risk.train.threshold_rule": "fixed", "credit_risk.train.fixed_threshold": 0.25})
    assert load_params(path, "credit_risk").train.fixed_threshold == 0.25


def test_params_two_mistakes_are_both_named():
    with pytest.raises(BadParamsError) as caught:
        parse_section(VerticalParams, {"prepare": {"target": "bank"}, "trian": {}}, where="x")
    assert "x.prepare.target" in str(caught.value)
    assert "x.trian" in str(caught.value)


def test_set_params_keeps_comments_and_changes_the_value(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(TEXT, encoding="utf-8")
    set_params(path, {"credit_risk.train.transfer": "pooled", "credit_risk.prepare.source_domains": ["a", "b"]})
    assert load_params(path, "credit_risk").train.transfer == "pooled"
    assert load_params(path, "credit_risk").prepare.source_domains == ("a", "b")
    assert "# kept comment" in path.read_text(encoding="utf-8")
    assert "# the bank" in path.read_text(encoding="utf-8")


def test_set_params_bad_value_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(TEXT, encoding="utf-8")
    with pytest.raises(BadParamsError, match="transfr"):
        set_params(path, {"credit_risk.train.transfr": "pooled"})
    assert path.read_text(encoding="utf-8") == TEXT


def test_load_params_missing_file_or_section_says_what_to_do(tmp_path):
    with pytest.raises(MissingArtifactError, match="top folder"):
        load_params(tmp_path / "params.yaml", "credit_risk")
    (tmp_path / "params.yaml").write_text(TEXT, encoding="utf-8")
    with pytest.raises(BadParamsError, match="Did you mean 'credit_risk'"):
        load_params(tmp_path / "params.yaml", "credit_risc")


def test_day_without_quotes_is_read_as_its_text():
    section = {"prepare": {"target_domain": "bank", "split": {"test_from": date(2012, 1, 1)}}}
    assert parse_section(VerticalParams, section, where="x").prepare.split.test_from == "2012-01-01"
