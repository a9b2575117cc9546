"""C2 and C3 on a small generated lender: what they fit on, what they write, and that they say how they chose."""

import numpy as np
import pandas as pd
import pytest
from tiny_text_backbone import random_texts, write_tiny_backbone

from core.artifacts import read_json
from core.data.domain import ColumnSpec, DomainSpec, write_domain_spec
from core.errors import MissingArtifactError
from verticals.credit_risk.protocols import c2, c3

COLUMNS = (
    ColumnSpec("id", use="key"),
    ColumnSpec("issued", kind="date", use="time", date_format="%Y-%m-%d"),
    ColumnSpec("income", kind="number", monotone=-1),
    ColumnSpec("rate", kind="number", monotone=1),
    ColumnSpec("purpose"),
    ColumnSpec("description", kind="text"),
    ColumnSpec("recoveries", kind="number", is_after_outcome=True),
    ColumnSpec("bad", use="label"),
)
SPEC = DomainSpec("lendingclub_text", "credit_risk", COLUMNS, positive=("1",), negative=("0",))
FEW_TREES = {"num_rounds": 15, "early_stopping_rounds": 0}


def write_domain(root, *, flip_from="9999", num_rows=900, seed=0):
    """Loans of 2010 to 2012; from `flip_from` on the outcomes are turned round."""
    random = np.random.default_rng(seed)
    days = pd.Timestamp("2010-01-01") + pd.to_timedelta(np.arange(num_rows) * 1095 // num_rows, unit="D")
    income, rate = random.lognormal(11, 0.5, num_rows), random.normal(12, 3, num_rows)
    texts = np.array(random_texts(num_rows, seed=seed), dtype=object)
    texts[random.random(num_rows) < 0.3] = None
    logits = -1.2 - 1.5 * (np.log(income) - 11) + 0.25 * (rate - 12)
    is_bad = random.random(num_rows) < 1 / (1 + np.exp(-logits))
    told = np.where(days >= pd.Timestamp(flip_from) if flip_from < "9" else False, ~is_bad, is_bad)
    frame = pd.DataFrame(
        {
            "id": [str(row) for row in range(num_rows)],
            "issued": days.strftime("%Y-%m-%d"),
            "income": income.round(2).astype(str),
            "rate": rate.round(2).astype(str),
            "purpose": random.choice(["car", "debt"], num_rows),
            "description": texts,
            "recoveries": np.where(told, "100", "0"),
            "bad": np.where(told, "1", "0"),
        }
    ).astype(object)
    folder = root / "data" / "credit_risk" / "lendingclub_text"
    (folder / "rows").mkdir(parents=True)
    write_domain_spec(folder, SPEC)
    frame.to_parquet(folder / "rows" / "initial.parquet", index=False)
    return root


@pytest.fixture
def small(tmp_path, tmp_path_factory, monkeypatch):
    """Small settings of both protocols."""
    backbone = write_tiny_backbone(tmp_path_factory.mktemp("tiny"))
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path / "cache"))
    text = {"backbone": backbone, "max_length": 16, "strength": 100.0}
    parts = {
        "logistic_regression": {"learner": "logistic_regression", "options": c2.LINEAR},
        "boosted_trees": {"learner": "boosted_trees", "options": FEW_TREES},
        "text_only": {"learner": "text_encoder", "options": text},
    }
    blend = {**c2.ADDED_UP, "num_repeats": 1}
    methods = {
        "xgboost_plain": ("boosted_trees", {**FEW_TREES, "max_depth": 2}),
        **{name: (part["learner"], part["options"]) for name, part in parts.items()},
        "table_blend": ("blend", {**blend, "parts": [parts["logistic_regression"], parts["boosted_trees"]]}),
        "fused": ("blend", {**blend, "parts": list(parts.values())}),
    }
    monkeypatch.setattr(c2, "METHODS", methods)
    monkeypatch.setattr(c2, "REHEARSALS", c2.REHEARSALS[-1:])
    monkeypatch.setattr(c2, "FINE_TUNED", {"backbone": backbone, "strategy": "full", "training": {"epochs": 1}})
    monkeypatch.setattr(c3, "FINAL", c3.Periods("2012-01-01", "2012-07-01", "2013-01-01", (0, 60)))
    monkeypatch.setattr(c3, "REHEARSAL", c3.Periods("2011-01-01", "2011-07-01", "2012-01-01", (0, 60)))
    for name in ("NUM_DRAWS", "NUM_STRESS_DRAWS", "NUM_REHEARSAL_DRAWS"):
        monkeypatch.setattr(c3, name, 2)
    monkeypatch.setattr(c3, "NUM_BOOTSTRAP", 100)
    return tmp_path


def quiet(_):
    """No report."""


def test_c2_writes_intervals_paired_differences_and_how_it_chose(small):
    told = c2.run(write_domain(small), report=quiet)
    written = read_json(small / "verticals" / "credit_risk" / "results" / "c2.json")
    assert written["protocol"] == "c2" and written["command"].endswith("--protocol c2")
    assert written["num_looks_at_test_period"] == 2 and written["looks_at_test_period"].startswith("Two")
    assert "inside the training period" in written["how_chosen"] and written["fine_tuning"].startswith("not run")
    by_method = {row["method"]: row for row in written["methods"]}
    assert set(by_method) == set(c2.METHODS)
    for name, row in by_method.items():
        assert row["low"] < row["auc"] < row["high"]
        assert row["with_text"]["rows"] + row["without_text"]["rows"] == written["rows"]["test"]
        assert (
            row["verdict"] == "baseline" if name == "xgboost_plain" else row["difference_low"] < row["difference_high"]
        )
    compared = {(row["part"], row["on"]): row for row in written["fused_against_parts"]}
    assert set(compared) == {(p, o) for p in (*c2.PARTS, "table_blend") for o in ("all", "with_text", "without_text")}
    gap = by_method["fused"]["auc"] - by_method["text_only"]["auc"]
    assert compared["text_only", "all"]["difference"] == pytest.approx(gap)
    parts = {name: by_method[name]["auc"] for name in (*c2.PARTS, "table_blend")}
    target = written["target"]
    assert target["better_single_part"] == max(parts, key=parts.get)
    assert target["is_fused_at_least_better_part"] == (by_method["fused"]["auc"] >= max(parts.values()))
    assert told["target"] == target


def test_c2_reads_no_column_known_after_the_outcome(small):
    told = c2.run(write_domain(small), report=quiet)
    assert told["not_read"] == ["recoveries"] and "recoveries" not in told["features"]
    assert max(row["auc"] for row in told["methods"]) < 0.95  # recoveries alone would give 1


def test_c2_with_turned_test_outcomes_fits_the_same_models(small, tmp_path_factory):
    told = c2.run(write_domain(small), report=quiet)
    turned = c2.run(write_domain(tmp_path_factory.mktemp("turned"), flip_from=c2.TEST_FROM), report=quiet)
    assert turned["rehearsal"] == told["rehearsal"]
    for one, other in zip(told["methods"], turned["methods"], strict=True):
        assert other["mean_probability"] == one["mean_probability"] and other["selection"] == one["selection"]
        assert other["auc"] == pytest.approx(1 - one["auc"])


def test_c2_on_request_fine_tunes_the_encoder(small):
    told = c2.run(write_domain(small, num_rows=400), report=quiet, include_finetuning=True)
    assert told["fine_tuning"] == "run" and told["methods"][-1]["method"] == "text_fine_tuned"


def test_protocol_without_its_domain_names_the_import(tmp_path):
    with pytest.raises(MissingArtifactError, match="crossdomain import credit_risk lendingclub_text"):
        c2.run(tmp_path, report=quiet)


def test_c3_scene_parts_are_apart_in_time_and_the_source_has_its_own_name(small):
    root = write_domain(small)
    scene = c3.open_scene(root, c3.FINAL)
    assert set(scene.source.domains) == {"lendingclub_text:before_2012"}
    assert set(scene.pool.domains) == set(scene.test.domains) == {"lendingclub_text"}
    ids = [set(part.sample_ids) for part in (scene.source, scene.pool, scene.test)]
    assert not ids[0] & ids[1] and not ids[1] & ids[2] and sum(map(len, ids)) == 900
    numbers = [sorted(int(i.split("/")[1]) for i in part) for part in ids]  # rows were written in the order of time
    assert numbers[0][-1] < numbers[1][0] and numbers[1][-1] < numbers[2][0]
    assert scene.source.schema.names("text") == []


def test_c3_writes_both_baselines_verdicts_and_how_it_chose(small):
    c3.run(write_domain(small), report=quiet)
    written = read_json(small / "verticals" / "credit_risk" / "results" / "c3.json")
    assert "before 2012" in written["how_chosen"] and "second half of 2012" in written["looks_at_test_period"]
    rows = written["ledger"]["auto_against_better_single"]
    target = written["target"]
    assert target["reached_at"] == [row["budget"] for row in rows if row["difference"] >= 0]
    assert target["significantly_below_at"] == [row["budget"] for row in rows if row["difference_high"] < 0]
    assert target["is_reached"] == (len(target["reached_at"]) == len(rows))
    for name in ("ledger", "shuffled_source", "rehearsal", "rehearsal_shuffled_source"):
        told = written[name]
        methods = set(c3.METHODS if name == "ledger" else c3.STRESS_METHODS)
        for baseline in ("target_only", "source_only"):
            entries = [e for e in told[f"against_{baseline}"]["entries"] if e["budget"] == 60]
            assert {e["method"] for e in entries} == methods
            assert {e["verdict"] for e in entries if e["method"] == baseline} == {"baseline"}
            assert all(e["low"] <= e["mean"] <= e["high"] and e["draws"] == 2 for e in entries)
        zero, few = told["auto_against_better_single"]
        assert zero["budget"] == 0 and zero["better_single"] == "source_only" and zero["difference"] == 0
        assert zero["is_at_least_better_single"] and zero["guard_closed_fraction"] is None
        assert few["difference"] == pytest.approx(few["auto_auc"] - few["better_single_auc"])
        assert few["is_at_least_better_single"] == (few["difference"] >= 0)
        assert 0 <= few["guard_closed_fraction"] <= 1


def test_c3_shuffled_source_knows_less_and_differs_by_draw(small):
    scene = c3.open_scene(write_domain(small), c3.FINAL)
    shuffled = c3.Scene(scene.source, scene.pool, scene.test, is_shuffled=True)
    labels = [shuffled.source_of_draw(draw).labels for draw in (0, 1)]
    assert not np.array_equal(*labels) and labels[0].sum() == scene.source.labels.sum()
    found = [c3._run_cell(s, ("source_only",), 0, 0)[0].probability[:, 1] for s in (scene, shuffled)]
    correlation = [np.corrcoef(score, scene.test.targets)[0, 1] for score in found]
    assert correlation[0] > 0.2 and correlation[0] > correlation[1] + 0.1


def test_c3_runs_do_not_read_test_outcomes(small, tmp_path_factory):
    scenes = [
        c3.open_scene(root, c3.FINAL)
        for root in (
            write_domain(small),
            write_domain(tmp_path_factory.mktemp("turned"), flip_from=c3.FINAL.test_from),
        )
    ]
    assert not np.array_equal(scenes[0].test.labels, scenes[1].test.labels)
    told, turned = (c3._run_cell(scene, c3.METHODS, 60, 1) for scene in scenes)
    for one, other in zip(told, turned, strict=True):
        np.testing.assert_array_equal(one.probability, other.probability)
