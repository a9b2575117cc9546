"""The textfile for Prometheus: every sample, escaping by an own parser and by the client's, whole or not there."""

from __future__ import annotations

import re

import pytest
from retrain_journals import journal_of, monitor_report

from core.lifecycle.retrain import prometheus
from core.lifecycle.retrain.prometheus import prometheus_text, write_prometheus

LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"')
SAMPLE = re.compile(r'([a-z_]+)\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\} (\S+)')


def parsed(text: str) -> dict[tuple, float]:
    """A parser of its own for the text format: (family, sorted labels) -> value; families whole, typed and told."""
    assert text.endswith("\n") or not text
    found, seen, family, about = {}, set(), None, []
    for line in text.splitlines():
        if line.startswith("# "):
            _, word, name, *rest = line.split(" ")
            if name != family:
                assert name not in seen, f"{name} is in two places"
                family, about = name, []
                seen.add(name)
            about.append(word)
            assert word == "HELP" or rest == ["gauge"]
            continue
        match = SAMPLE.fullmatch(line)
        assert match and match[1] == family and about == ["HELP", "TYPE"], line
        labels = {key: re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), value)
                  for key, value in LABEL.findall(match[2])}  # fmt: skip
        key = (family, *sorted(labels.items()))
        assert key not in found
        found[key] = float(match[3])
    return found


def test_prometheus_tells_the_last_run_of_every_vertical():
    found = parsed(prometheus_text({"credit_risk": journal_of("held"), "chest_xray": journal_of("promoted")}))
    of = ("vertical", "credit_risk")
    assert found["crossdomain_retrain_last_run_timestamp_seconds", of] == 1280632921.5
    assert found["crossdomain_retrain_duration_seconds", of] == 301.5
    outcomes = {key[1][1]: value for key, value in found.items() if key[0].endswith("_outcome") and of in key}
    assert outcomes == {"promoted": 0, "kept": 0, "refused": 0, "held": 1, "failed": 0, "abandoned": 0}
    assert found["crossdomain_monitor_alarms", of] == 4
    assert found["crossdomain_batch_rows", of] == 1240 and found["crossdomain_batch_quarantined_rows", of] == 12
    assert found["crossdomain_champion_info", ("version", "v0003"), of] == 1
    assert found["crossdomain_champion_info", ("version", "v0004"), ("vertical", "chest_xray")] == 1
    performance = monitor_report().performance
    for kind in ("observed", "estimated"):
        wanted = getattr(performance, kind)
        for metric in ("auc", "cost_per_case"):
            key = ("crossdomain_champion_metric", ("kind", kind), ("metric", metric), of)
            assert found[key] == getattr(wanted, metric).value


def test_prometheus_leaves_out_what_a_run_did_not_reach():
    journal = journal_of("failed", until="take_in") | {"outcome": None, "ended_at": None, "steps": {}}
    found = parsed(prometheus_text({"credit_risk": journal}))
    assert {key[0] for key in found} == {
        "crossdomain_retrain_last_run_timestamp_seconds",
        "crossdomain_retrain_outcome",
    }
    assert found["crossdomain_retrain_outcome", ("outcome", "failed"), ("vertical", "credit_risk")] == 1
    assert prometheus_text({}) == ""


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\\nb", 'x"} 1\nevil{a="', "größe 信用", "\\"])
def test_prometheus_escapes_label_values(name):
    found = parsed(prometheus_text({name: journal_of("kept", until="take_in")}))
    assert {dict(key[1:])["vertical"] for key in found} == {name}


def test_prometheus_equals_what_its_own_client_reads():
    reader = pytest.importorskip("prometheus_client.parser", reason="prometheus-client is no dependency")
    text = prometheus_text({'a"\\b\n': journal_of("promoted"), "b": journal_of("kept")})
    told = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in reader.text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert told == parsed(text)


def test_prometheus_file_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "textfiles" / "crossdomain.prom"
    write_prometheus(path, {"credit_risk": journal_of("kept")})
    before = path.read_text()
    assert parsed(before) and path.stat().st_mode & 0o777 == 0o644

    def only_the_old_one(*_):
        assert [each.name for each in path.parent.glob("*.prom")] == [path.name], "nothing half-written is read"
        raise RuntimeError("killed")

    monkeypatch.setattr(prometheus, "prometheus_text", only_the_old_one)
    with pytest.raises(RuntimeError, match="killed"):
        write_prometheus(path, {})
    assert path.read_text() == before and list(path.parent.iterdir()) == [path]
