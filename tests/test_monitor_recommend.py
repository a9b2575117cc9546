"""Every row of the recommendation table, and the order in which they are read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from core.errors import BadParamsError
from core.evaluation.intervals import Interval
from core.lifecycle.monitor.outliers import Outliers
from core.lifecycle.monitor.performance_estimate import Performance
from core.lifecycle.monitor.recommend import MonitorPolicy, recommend
from core.lifecycle.monitor.report import MonitorReport, MonitorTest, PerformanceReport
from core.params import parse_section

NAN = float("nan")


def figures(auc: float, half: float = 0.03) -> Performance:
    any_interval = Interval(0.8, 0.7, 0.9, 0.95)
    return Performance(Interval(auc, auc - half, auc + half, 0.95), *[any_interval] * 4, num_rows=200)


FINE = PerformanceReport(figures(0.80), figures(0.80), figures(0.79), figures(0.80))
UNLABELLED = replace(FINE, observed=None)


def month(*kinds: str, performance: PerformanceReport = FINE, **changes) -> MonitorReport:
    """A month of 200 rows in which one test of each named kind alarms."""
    alarms = [MonitorTest(kind, kind, "m", 1.0, "PSI", 0.4, 0.1, 0.001, 0.01, is_alarm=True) for kind in kinds]
    quiet = MonitorTest("quiet", "input", "m", 0.1, "PSI", 0.01, 0.1, 0.8, 1.0)
    fine = {
        "num_rows": 200,
        "num_groups": 200,
        "num_labelled": 200,
        "num_positive": 60,
        "num_reference_rows": 300,
        "one_class_chance": None,
        "family_error_rate": 0.05,
        "num_permutations": 500,
        "tests": (*alarms, quiet),
        "performance": performance,
        "calibration": None,
        "outliers": Outliers(0.0, {}, ()),
        "left_out": {},
        "problems": (),
    }
    return MonitorReport(**fine | changes)


ONE_CLASS = {"num_positive": 0, "one_class_chance": 0.2}
IMPOSSIBLE = {"num_positive": 0, "one_class_chance": 1e-9}
WORSE_SEEN = replace(FINE, observed=figures(0.70))
WORSE_TOLD = replace(UNLABELLED, estimated=figures(0.70))
TABLE = [
    ("nothing", month(), True, "no_action", "No test alarms"),
    ("nothing, no labels", month(performance=UNLABELLED), False, "no_action", "No test alarms"),
    ("calibration alone", month("calibration"), True, "recalibrate", "Discrimination is not worse"),
    ("calibration, labels not to be learnt from", month("calibration"), False, "recalibrate", "calibration"),
    ("input", month("input", performance=UNLABELLED), False, "adapt", "no labels of both classes"),
    ("embedding", month("embedding", performance=UNLABELLED), False, "adapt", "embedding alarm"),
    ("prediction", month("prediction", performance=UNLABELLED), False, "adapt", "prediction alarm"),
    ("input, labels of one class", month("input", **ONE_CLASS), True, "adapt", "no labels of both classes"),
    ("input, labels", month("input"), True, "retrain", "input alarm"),
    ("embedding, labels", month("embedding"), True, "retrain", "embedding alarm"),
    ("prediction and calibration, labels", month("prediction", "calibration"), True, "retrain", "calibration alarm"),
    ("discrimination", month("performance"), True, "retrain", "performance alarm"),
    ("discrimination and calibration", month("performance", "calibration"), True, "retrain", "performance alarm"),
    ("seen under its limit", month(performance=WORSE_SEEN), True, "retrain", "observed AUC 0.700 is surely under"),
    ("told under its limit", month("input", performance=WORSE_TOLD), False, "retrain", "estimated AUC 0.700"),
    ("too few rows", month(tests=(), problems=("The batch has 9 rows.",)), True, "hold", "9 rows"),
    ("impossible labels", month("calibration", **IMPOSSIBLE), True, "hold", "All 200 labelled rows are negative"),
    ("outlier flood", month("input", outliers=Outliers(0.6, {"a": 120}, ())), True, "hold", "60% of the rows"),
    ("vanished column", month("input", outliers=Outliers(0.0, {}, ("age",))), True, "hold", "No value at all in: age"),
    ("hold before retrain", month(performance=WORSE_SEEN, problems=("Few.",)), True, "hold", "Few."),
    ("some outliers", month(outliers=Outliers(0.1, {"a": 20}, ())), True, "no_action", "No test alarms"),
    ("one class by chance", month(**ONE_CLASS), True, "no_action", "No test alarms"),
]


@pytest.mark.parametrize(
    ("report", "has_labels", "action", "reason"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_recommendation_table(report, has_labels, action, reason):
    found = recommend(report, MonitorPolicy(), has_labels=has_labels)
    assert found.action == action
    assert any(reason in told for told in found.reasons), found.reasons
    assert json.loads(json.dumps(found.as_dict())) == {"action": action, "reasons": list(found.reasons)}


@pytest.mark.parametrize(
    ("policy", "action"),
    [
        ({}, "no_action"),
        ({"min_auc": 0.85}, "retrain"),
        ({"min_auc": 0.81}, "no_action"),
        ({"min_auc": 0.5}, "no_action"),
    ],
)
def test_absolute_limit_counts_when_the_whole_interval_is_under_it(policy, action):
    assert recommend(month(), MonitorPolicy(**policy), has_labels=True).action == action


def test_limit_of_a_missing_auc_is_never_broken():
    nothing = replace(figures(0.8), auc=Interval(NAN, NAN, NAN, 0.95))
    report = month(performance=PerformanceReport(nothing, nothing, nothing, nothing))
    assert recommend(report, MonitorPolicy(min_auc=0.9), has_labels=True).action == "no_action"


def test_estimate_is_held_against_the_references_estimate():
    """A champion that promises more than it keeps does so on both sides."""
    boaster = PerformanceReport(figures(0.80), figures(0.80), None, figures(0.95))
    assert recommend(month(performance=boaster), has_labels=False).action == "no_action"


def test_misspelt_policy_names_the_nearest():
    with pytest.raises(BadParamsError, match="max_auc_drop"):
        parse_section(MonitorPolicy, {"max_auc_dorp": 0.1}, where="monitor.policy")
