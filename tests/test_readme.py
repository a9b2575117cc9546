"""The README tells the truth: its tables are the JSON's, its commands exist, it is short."""

import re
from pathlib import Path

import pytest

from core.artifacts import read_json
from core.reporting.result_tables import markdown_table, replaced, reporting_verticals, results_of, results_page
from core.vertical import load_vertical

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "verticals/credit_risk/results"
VERTICALS = reporting_verticals(ROOT)


def test_readme_tables_are_those_of_the_result_files():
    assert replaced(ROOT, README) == README, "run `python -m core.reporting.result_tables`"


@pytest.mark.parametrize("vertical", VERTICALS)
def test_results_page_is_that_of_the_result_files(vertical):
    page = (ROOT / "verticals" / vertical / "RESULTS.md").read_text(encoding="utf-8")
    assert results_page(ROOT, vertical) == page, "run `python -m core.reporting.result_tables`"
    assert f"(verticals/{vertical}/RESULTS.md)" in README


def test_readme_is_under_three_hundred_lines():
    assert len(README.splitlines()) < 300


def test_readme_links_exist():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("vertical", VERTICALS)
def test_result_files_have_their_command_and_intervals(vertical):
    found = list(results_of(ROOT, vertical))
    for table, result in found:
        assert result["command"] == f"crossdomain compare {vertical} --protocol {result['protocol']}"
        assert result["protocol"] in load_vertical(vertical).protocols
        assert re.search(r"\d\.\d{4} \[\d\.\d{4}, \d\.\d{4}\]", table.table(result))
        assert not table.is_in_readme or result["command"] in README
    measured = {result["protocol"] for _, result in found}
    for protocol in set(load_vertical(vertical).protocols) - measured:  # nothing is passed over in silence
        assert f"{protocol.upper()} is not measured" in README


def test_markdown_table_has_a_line_for_each_row():
    assert markdown_table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_ci_finds_the_second_command():
    lines = [line for line in README.splitlines() if re.match(r"^python3 -m venv .*pytest", line)]
    assert len(lines) == 1


def test_readme_figures_of_the_imported_lender_are_those_of_its_run():
    auc = read_json(RESULTS / "run_lendingclub_text/metrics.json")["auc"]
    assert f"AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]" in README
    entries = read_json(RESULTS / "run_lendingclub_text/ledger_metrics.json")["entries"]
    (source_only,) = [row for row in entries if (row["method"], row["budget"]) == ("source_only", "all")]
    assert f"`source_only` alone is `{source_only['verdict']}`, {source_only['difference']:.3f}" in README


def test_readme_speed_is_that_of_the_benchmark():
    speed = read_json(RESULTS / "scoring_speed.json")
    (million,) = [row for row in speed["files"] if row["rows"] == 1_000_000]
    assert f"A million applications in {million['seconds']:.0f} s" in README
    assert f"{speed['record']['p50_ms']:.0f} ms at the median, {speed['record']['p95_ms']:.0f} ms" in README
    assert f"`{speed['command'].split(' --')[0]}`" in README


def test_readme_gains_of_the_cells_are_those_of_the_ledger():
    entries = read_json(ROOT / "verticals/defect_detection/results/ledger_elpv_poly.json")["entries"]
    rows = [row for row in entries if row["method"] == "continued_training"]
    told = [f"{row['difference']:+.2f}" for row in rows]
    assert ", ".join(told[:3]) + f" and {told[3]} AUC" in README
    assert all(row["difference_low"] > 0 for row in rows)


def test_readme_speed_of_pictures_is_that_of_the_benchmark():
    speed = read_json(ROOT / "verticals/defect_detection/results/s2.json")
    assert f"{speed['times_as_fast']:.1f}\ntimes as fast as PyTorch eager" in README
    assert f"{speed['largest_difference']:.1e}" in README


def test_readme_training_speed_is_that_of_the_benchmark():
    result = read_json(ROOT / "verticals/defect_detection/results/s1.json")
    seconds = sum(run["seconds"] for run in result["ours"]) / len(result["ours"])
    assert f"test AUC {result['ours'][0]['auc']:.3f} in {seconds:.0f} s" in README
    assert f"{result['plain_best_auc']:.3f} after four epochs and {result['plain_seconds_to_best']:.0f} s" in README
    assert f"{result['share_of_plain_time']:.2f} of its time, {result['target_share']:.2f} was aimed at" in README
    assert len(result["plain"]["curve"]) == 4


def test_readme_shortcut_of_the_radiographs_is_that_of_x2():
    result = read_json(ROOT / "verticals/chest_xray/results/x2.json")
    cues, target = result["shortcut"]["cues"], result["target"]
    assert [f"{cues[side]['all_together']['auc']:.2f}" for side in ("source", "target")] == ["0.90", "0.90"]
    assert "with AUC 0.90" in README
    assert f"in the other ({cues['fitted_on_source_read_on_target']['auc']:.2f})" in README
    assert f"still give {result['shortcut']['controls']['only_border']['auc']:.2f}." in README
    assert target["0"]["is_refused"]
    assert f"Calibration error {target['50']['ece']:.3f} at 50 labels" in README


def test_readme_figures_of_the_two_hospitals_are_those_of_their_run():
    folder = ROOT / "verticals/chest_xray/results/run_kermany_nih"
    auc = read_json(folder / "metrics.json")["auc"]
    assert f"{auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}], and the release" in README
    gates = {gate["name"]: gate for gate in read_json(folder / "release_metrics.json")["gates"]}
    assert gates["transfer"]["value"] == "negative transfer" and not gates["transfer"]["is_passed"]
    entries = read_json(folder / "ledger_metrics.json")["entries"]
    (moved,) = [row for row in entries if (row["method"], row["budget"]) == ("continued_training", "all")]
    cost, low, high = (-moved[name] for name in ("difference", "difference_high", "difference_low"))
    assert f"costs {cost:.3f} [{low:.3f}, {high:.3f}]" in README


def test_readme_figures_of_the_random_split_and_of_few_labels_are_those_of_d1_and_d3():
    results = ROOT / "verticals/defect_detection/results"
    d1 = {row["method"]: row for row in read_json(results / "d1.json")["ledger"]["entries"]}["multi_stage"]
    assert f"{d1['mean']:.3f} [{d1['low']:.3f}, {d1['high']:.3f}]. D3," in README
    d3 = {(row["method"], row["budget"]): row for row in read_json(results / "d3.json")["ledger"]["entries"]}
    for budget in (50, 200, 800):
        row = d3["multi_stage", budget]
        assert f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}] at {budget}" in README
    last = ", ".join(f"{d3['last_layer_logistic', budget]['mean']:.3f}" for budget in (50, 200, 800))
    assert f"({last})" in README


def test_readme_count_of_the_dicom_files_is_that_of_the_benchmark():
    result = read_json(ROOT / "verticals/chest_xray/results/dicom.json")
    assert (result["files"], result["scored"], result["objects_with_errors"]) == (79, 4, 0)
    assert sum(result["refused_by_reason"].values()) == 75


def test_readme_kills_are_those_of_the_benchmark():
    result = read_json(RESULTS / "retrain_kills.json")
    random, aimed = result["random_kills"]["all"], result["aimed_kills"]["all"]
    assert f"**Killed {random + aimed} times**" in README and f"{random} at random moments, {aimed} aimed" in README
    assert result["failures"] == 0 and not any(result["left_over"].values()) and result["two_at_once"]["is_clean"]
    told = result["comparison_with_a_twin_that_was_not_killed"]
    assert all(value for name, value in told.items() if name.endswith("equal"))
    assert f"after {told['months']} months equal to a twin" in README
    assert f"rollback {result['rollback_seconds']['largest']:.1f} s at most" in README


def test_readme_warm_starts_are_those_of_r3():
    credit = read_json(RESULTS / "r3.json")["learners"]
    cells = read_json(ROOT / "verticals/defect_detection/results/r3.json")["learners"]["image_probe"]
    linear, trees = (credit[name]["next_delivery"] for name in ("logistic_regression", "boosted_trees"))
    for told in (linear["warm"], trees["warm"], cells["next_delivery"]["warm"], cells["next_delivery"]["rehearsal"]):
        gap = told["auc_minus_scratch"]
        assert f"{gap['value']:.3f} [{gap['low']:.3f}, {gap['high']:.3f}]" in README and gap["high"] < 0
    both = [told["rehearsal"]["auc_minus_scratch"] for told in (linear, trees)]
    assert f"{both[0]['value']:.3f}, {both[1]['value']:.3f} (both within chance)" in README
    assert all(gap["low"] < 0 < gap["high"] for gap in both)


def test_readme_load_is_that_of_the_benchmark():
    told = read_json(RESULTS / "dashboard_load.json")
    without = read_json(RESULTS / "dashboard_load_no_pause.json")["together"]
    together, alone = told["together"], told["alone"]
    switch, score = together["page_switch"]["p95"], together["score"]["p95"]
    assert f"page switch p95 {switch:.1f} s, score {score:.1f} s" in README
    assert f"{without['page_switch']['p95']:.1f} and {without['score']['p95']:.1f} s" in README
    assert f"alone, median, {alone['page_switch']['p50']:.1f} and {alone['score']['p50']:.1f} s" in README
    assert f"first page {told['first_page']['warm']['p50']:.1f} s warm" in README


def test_readme_false_alarms_are_those_of_the_benchmark():
    result = read_json(RESULTS / "monitor.json")
    alarms = result["false_alarms"]["alarms"]
    told = f"{100 * alarms['rate']:.1f} % [{100 * alarms['low']:.1f}, {100 * alarms['high']:.1f}]"
    assert f"{told} of {alarms['replays']:,} months without drift, 5 % was aimed at" in README
    months = [delay["median_month_of_first_alarm"] for delay in result["delay"].values()]
    assert f"first seen in month {min(months):.0f} to {max(months):.0f}, by kind" in README


def test_readme_claims_of_the_markets_are_the_verdicts_of_m1():
    markets = read_json(ROOT / "verticals/market_risk/results/m1.json")["markets"]
    moved = {
        market: {(e["budget"], e["horizon"]): e for e in ledger["entries"] if e["method"] == "network_lp_ft"}
        for market, ledger in markets.items()
    }
    verdicts = {market: {key: entry["verdict"] for key, entry in entries.items()} for market, entries in moved.items()}
    assert {verdicts["nasdaq"][budget, "mean"] for budget in (250, 500, 1000, "all")} == {"gain"}
    gains = [moved["nasdaq"][budget, "mean"]["transfer_difference"] for budget in (250, 500, 1000, "all")]
    assert min(gains) == gains[-1]  # "least with a long one"
    assert set(verdicts["wti"].values()) == {"no difference"}
    assert {horizon for (_, horizon), verdict in verdicts["sp500"].items() if verdict == "gain"} == {1}
    assert "negative transfer" not in {verdict for told in verdicts.values() for verdict in told.values()}
    standing = [
        (m, *key) for m, entries in moved.items() for key, e in entries.items() if e["transfer_p_adjusted"] < 0.05
    ]
    assert sorted(standing) == [("nasdaq", 250, 1), ("nasdaq", 1000, 1)]
    pooled = [
        e["verdict"]
        for market in ("sp500", "nasdaq")
        for e in markets[market]["entries"]
        if (e["method"], e["budget"], e["horizon"]) == ("har_pooled", "all", "mean")
    ]
    assert pooled == ["negative transfer"] * 2
