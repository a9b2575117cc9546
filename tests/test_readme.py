"""The README tells the truth: its tables are the JSON's, its commands exist, it is short."""

import re
from pathlib import Path

import pytest

from core.artifacts import read_json
from verticals.credit_risk.protocols import NAMES
from verticals.credit_risk.results_tables import RESULTS, TABLES, markdown_table, replaced

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_tables_are_those_of_the_result_files():
    assert replaced(README) == README, "run `python -m verticals.credit_risk.results_tables --write README.md`"


def test_readme_is_under_three_hundred_lines():
    assert len(README.splitlines()) < 300


def test_readme_links_exist():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("protocol", NAMES)
def test_result_file_has_its_command_and_intervals(protocol):
    assert protocol in TABLES
    result = read_json(RESULTS / f"{protocol}.json")
    assert result["command"] == f"crossdomain compare credit_risk --protocol {protocol}"
    assert result["command"] in README
    assert re.search(r"\d\.\d{4} \[\d\.\d{4}, \d\.\d{4}\]", TABLES[protocol][1](result))


def test_markdown_table_has_a_line_for_each_row():
    assert markdown_table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_ci_finds_the_second_command():
    lines = [line for line in README.splitlines() if re.match(r"^python3 -m venv .*pytest", line)]
    assert len(lines) == 1
