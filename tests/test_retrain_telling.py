"""The report of a retraining run: every outcome, every early end, escaping, one file, and what the figures show."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from retrain_journals import comparison, earlier_runs, journal_of

from core.artifacts import read_json
from core.lifecycle.retrain.evidence_sections import history_section, judge_section
from core.lifecycle.retrain.report_words import duration_text, interval_text, p_value_text
from core.lifecycle.retrain.retrain_figures import MAX_COMPARISONS, draw_comparisons, draw_history
from core.lifecycle.retrain.retrain_report import write_report

EVIL = '<script>alert("$x_1")</script>'


class Page(HTMLParser):
    """Elements, texts, and every address that a browser would ask for."""

    VOID = ("meta", "br")

    def __init__(self, source: str):
        super().__init__()
        self.tags, self.open, self.addresses, self.texts = [], [], [], []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "xlink:href", "data")]

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "xlink:href", "data")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(text)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page_of(folder: Path, journal: dict, history=(), **settings) -> Page:
    write_report(folder, journal, history, **{"vertical_title": "Credit risk", "metric": "auc", **settings})
    source = (folder / "report.html").read_text(encoding="utf-8")
    page = Page(source)
    assert page.open == []
    assert all(address.startswith("#") for address in page.addresses), "the page is one file"
    assert not re.search(r"url\((?!#)", source) and "@import" not in source
    return page


@pytest.mark.parametrize(
    ("outcome", "headline"),
    [
        ("promoted", "v0004 is the new champion in place of v0003."),
        ("kept", "v0003 stays the champion."),
        ("refused", "v0004 was refused; v0003 stays in service."),
        ("held", "v0004 is held for a person to decide; v0003 stays in service meanwhile."),
    ],
)
def test_report_of_every_outcome_has_all_sections(outcome, headline, tmp_path):
    page = page_of(tmp_path, journal_of(outcome), earlier_runs(3))
    for wanted in (
        headline,
        outcome,
        "12 rows are in the quarantine: 'income' holds no number.",
        "4 of 9 tests alarm",
        "Reference, estimated",
        "Kolmogorov-Smirnov",
        "From run to run",
        "crossdomain registry rollback credit_risk --reason",
    ):
        assert wanted in page.text, wanted
    assert page.tags.count("svg") == (1 if outcome == "kept" else 4)
    assert ("crossdomain registry promote credit_risk v0004" in page.text) == (outcome == "held")
    told = read_json(tmp_path / "report.json")
    assert told["journal"] == journal_of(outcome)
    assert told["summary"]["outcome"] == outcome and told["summary"]["num_alarms"] == 4
    assert told["summary"]["champion_metric"].keys() == {"observed", "estimated"}


@pytest.mark.parametrize("until", ["", "take_in", "watch", "train", "judge"])
@pytest.mark.parametrize("outcome", ["refused", "held", None])
def test_report_of_a_run_that_ended_early_tells_how_far_it_came(outcome, until, tmp_path):
    journal = journal_of(outcome or "failed", until=until or "take_in")
    journal |= {"outcome": outcome, "ended_at": None} | ({} if until else {"steps": {}})
    page = page_of(tmp_path, journal)
    assert page.text.count("not reached") == {"": 5, "take_in": 4, "watch": 3, "train": 2, "judge": 1}[until]
    assert ("The batch was not taken in." in page.text) == (not until)
    assert (outcome or "failed") in page.text and "registry rollback" not in page.text
    assert read_json(tmp_path / "report.json")["summary"]["champion"] is None


def test_report_of_the_first_champion_is_made_without_batch_or_monitor(tmp_path):
    journal = journal_of("promoted") | {"batch": None}
    journal["steps"]["take_in"]["result"] = {"domain": "my_bank", "batch": None, "notes": [], "batches": ["2009-01"]}
    journal["steps"]["watch"]["result"] = {"batch_problems": [], "recommendation": None, "reports": []}
    journal["steps"]["judge"]["result"] |= {"comparisons": []}
    journal["steps"]["decide"]["result"] |= {"champion": "v0001", "previous": None, "challenger": "v0001"}
    page = page_of(tmp_path, journal)
    assert "v0001 is the new champion." in page.text and "There is no champion to watch yet." in page.text
    assert "No new batch" in page.text and "registry rollback" not in page.text and "svg" not in page.tags


def test_report_of_a_batch_that_was_set_aside_says_how_to_take_it_back(tmp_path):
    journal = journal_of("held", until="watch", batch="2010-03 (2)")
    watched = journal["steps"]["watch"]["result"]
    watched |= {"batch_problems": ["No value at all in: income."], "recommendation": {"action": "hold", "reasons": []}}
    journal["steps"]["set_aside"] = {"seconds": 1.0, "result": {"batch": "2010-03 (2)", "path": "data/held"}}
    told = {"champion": "v0003", "previous": "v0003", "challenger": None, "reason": "No value at all in: income."}
    journal["steps"]["decide"] = {"seconds": 0.1, "result": {**told, "outcome": "held", "set_aside": ["2010-03 (2)"]}}
    page = page_of(tmp_path, journal)
    assert "Batch 2010-03 (2) is held for a person to decide; v0003 stays in service meanwhile." in page.text
    assert "Look here: No value at all in: income." in page.text
    assert "crossdomain batches take-back credit_risk my_bank '2010-03 (2)' --reason" in page.text
    assert "Roll back to the champion before v0003, if there is one" in page.text
    assert page.text.count("not needed") == 2 and "not reached" not in page.text, "neither trained nor judged"


def test_report_escapes_every_name_that_came_from_outside(tmp_path):
    journal = journal_of("refused", batch=EVIL)
    journal["vertical"] = "credit risk; rm -rf"
    journal["steps"]["take_in"]["result"]["notes"] = [EVIL]
    journal["steps"]["judge"]["result"]["comparisons"][3]["slice"] = EVIL
    journal["steps"]["judge"]["result"]["gates"][0] |= {"name": EVIL, "value": EVIL}
    journal["steps"]["decide"]["result"]["reason"] = EVIL
    test = next(test for test in journal["steps"]["watch"]["result"]["reports"][0]["report"]["tests"])
    test |= {"name": EVIL, "is_alarm": True}
    page = page_of(tmp_path, journal, [journal | {"run": EVIL}], vertical_title=EVIL)
    assert "script" not in page.tags and page.text.count(EVIL) > 8
    assert "rollback 'credit risk; rm -rf' --reason" in page.text


def test_report_is_the_same_file_for_the_same_journal(tmp_path):
    for name in ("one", "two"):
        page_of(tmp_path / name, journal_of("promoted"), earlier_runs(4))
    assert (tmp_path / "one" / "report.html").read_bytes() == (tmp_path / "two" / "report.html").read_bytes()


def test_report_shows_the_auc_where_the_monitor_does_not_know_the_metric(tmp_path):
    page = page_of(tmp_path, journal_of("promoted"), metric="pr_auc")
    assert "Area under the ROC curve of the champion, by run" in page.text
    page = page_of(tmp_path, journal_of("promoted"), metric="accuracy")
    assert "Accuracy of the champion, by run" in page.text


def test_report_has_both_colour_schemes_and_the_house_style(tmp_path):
    page_of(tmp_path, journal_of("kept"))
    source = (tmp_path / "report.html").read_text()
    assert "prefers-color-scheme:dark" in source and ".verdict.refuse" in source and "max-width:600px" in source


def markers(axes) -> list[tuple[float, float, str, bool]]:
    """(x, y, marker, is it full) of each single mark."""
    lines = [line for line in axes.get_lines() if line.get_marker() not in ("None", None)]
    return [
        (*(float(values[0]) for values in line.get_data()), line.get_marker(), line.get_markerfacecolor() != "#FFFFFF")
        for line in lines
    ]


def test_forest_plot_shows_value_interval_and_what_is_sure():
    rows = [
        comparison("fresh hold-out", "auc", "sex = female", -0.05, 0.02),
        comparison("fresh hold-out", "auc", "", 0.03, 0.01),
        comparison("regression set", "auc", "", 0.01, 0.02),
        {**comparison("regression set", "auc", "age $19^2", 0.0, 0.0), "difference": None, "low": None, "high": None},
    ]
    [axes] = draw_comparisons(rows, title="AUC").axes
    assert markers(axes) == [(0.03, 3, ">", True), (0.01, 2, "o", False), (-0.05, 1, "<", True)]
    texts = [text.get_text() for text in axes.texts]
    assert texts[:2] == ["fresh hold-out: all rows", "+0.030"] and texts[-1] == "cannot be told"
    spans = [tuple(line.get_xdata()) for line in axes.get_lines() if len(line.get_xdata()) == 2][:3]
    assert spans[0] == pytest.approx((0.02, 0.04))


def test_forest_plot_of_many_slices_keeps_the_hold_outs_and_says_what_is_left_out():
    slices = [comparison("fresh hold-out", "auc", f"region = {number}", 0.01, 0.02) for number in range(40)]
    journal = journal_of("promoted")
    journal["steps"]["judge"]["result"]["comparisons"] = [*slices, comparison("fresh hold-out", "auc", "", 0.01, 0.02)]
    [axes] = draw_comparisons(journal["steps"]["judge"]["result"]["comparisons"], title="AUC").axes
    assert len(markers(axes)) == MAX_COMPARISONS and axes.texts[0].get_text() == "fresh hold-out: all rows"
    [(caption, _)] = judge_section(journal).drawings
    assert caption == f"{41 - MAX_COMPARISONS} more in the table."


def test_history_figure_marks_observed_estimated_alarms_and_outcomes():
    runs = earlier_runs(6)
    upper, middle, lower = draw_history(runs, metric="auc", title="AUC").axes
    reports = [run["steps"].get("watch", {}).get("result", {}).get("reports") for run in runs]
    told = [each[0]["report"]["performance"] if each else None for each in reports]
    wanted = [
        (place, (each["observed"] or each["estimated"])["auc"]["value"], "o", each["observed"] is not None)
        for place, each in enumerate(told)
        if each
    ]
    assert markers(upper) == wanted and [mark[0] for mark in wanted] == [0, 2, 3, 4, 5]
    assert not wanted[2][3], "the fourth run has no labels"
    assert [mark[2] for mark in markers(lower)] == ["^", "D", "s", "s", "^", "X"]
    assert [text.get_text() for text in middle.texts] == ["4", "–", "0", "0", "4", "4"]


def test_history_of_many_runs_names_the_newest():
    runs = [journal_of("kept", run=number, shift=0.0) for number in range(1, 100)]
    lower = draw_history(runs, metric="auc", title="AUC").axes[2]
    names = [label.get_text() for label in lower.get_xticklabels()]
    assert names[-1] == "r0099" and len(names) <= 8
    section = history_section(runs, metric="auc")
    assert "The newest 24 of 99 runs." in section.drawings[0][0] and len(section.tables[0][1]) == 99


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(None, "–"), (2.34, "2.3 s"), (42, "42 s"), (59.6, "60 s"), (185.2, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_durations_are_told_in_the_unit_that_fits(seconds, wanted):
    assert duration_text(seconds) == wanted


def test_numbers_that_are_not_known_are_dashes():
    assert interval_text(None) == interval_text({"value": None}) == p_value_text(None) == "–"
    assert interval_text({"value": 0.5, "low": None, "high": 0.6}) == "0.500"
    assert p_value_text(0.0004) == "< 0.001" and p_value_text(0.0414) == "0.041"


def test_report_json_is_json_for_every_reader(tmp_path):
    journal = journal_of("promoted")
    journal["steps"]["judge"]["result"]["gates"][1]["value"] = float("nan")
    page_of(tmp_path, journal)
    json.loads((tmp_path / "report.json").read_text(), parse_constant=lambda name: pytest.fail(name))
