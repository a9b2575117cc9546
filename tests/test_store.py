"""The store: rows are only added, many may write at once, and a changed audit shows."""

import multiprocessing
import os
import re
import sqlite3

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from core.errors import BadInputError, CrossdomainError

pytest.importorskip("sqlalchemy")

from core.lifecycle.agreement import agreement_of
from core.lifecycle.database import store_url
from core.lifecycle.store import Store, open_store

TABLES = ("labels", "batches", "proposals", "decisions", "audit")


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'store.sqlite'}"


@pytest.fixture
def store(url):
    return Store(url)


def add(store, who="ann", sample="near/1", label="bad", **more):
    return store.add_label(who=who, vertical="credit_risk", domain="near", sample_id=sample, label=label, **more)


def propose(store, **more):
    values = {"who": "ann", "vertical": "credit_risk", "domain": "near", "model_digest": "d", "threshold": 0.3}
    values |= {"cost_false_negative": 5.0, "cost_false_positive": 1.0, "reason": "losses"} | more
    return store.add_proposal(**values)


def file_of(url):
    return url.removeprefix("sqlite:///")


def test_current_labels_latest_of_each_labeller_and_sample_counts(store):
    add(store, label="good")
    add(store, label="bad", seconds=4.5, note="unsure", batch="monday")
    add(store, who="bob", label="good")
    found = store.current_labels("credit_risk", "near")
    assert found[["who", "label"]].values.tolist() == [["ann", "bad"], ["bob", "good"]]
    assert found.loc[0, ["seconds", "note", "batch"]].tolist() == [4.5, "unsure", "monday"]
    assert store.current_labels("credit_risk", "near", who="bob")["who"].tolist() == ["bob"]
    assert len(store.current_labels("credit_risk", "far")) == 0


def test_undo_label_the_label_before_counts_again(store):
    add(store, label="good")
    second = add(store, label="bad")
    store.undo_label(second, who="ann")
    assert store.current_labels("credit_risk", "near")["label"].tolist() == ["good"]


def test_undo_label_of_another_an_unknown_or_twice_is_refused(store):
    first = add(store)
    with pytest.raises(BadInputError, match="ann's, not bob's"):
        store.undo_label(first, who="bob")
    undo = store.undo_label(first, who="ann")
    with pytest.raises(BadInputError, match="taken back already"):
        store.undo_label(first, who="ann")
    for label_id in (undo, 99):
        with pytest.raises(BadInputError, match=f"no label {label_id}"):
            store.undo_label(label_id, who="ann")


def test_add_label_without_its_texts_names_them(store):
    with pytest.raises(BadInputError, match="needs its who, label"):
        add(store, who=" ", label="")
    assert len(store.audit_rows()) == 0


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", ["UPDATE {} SET who = 'x'", "DELETE FROM {}"])
def test_store_change_of_a_row_is_refused_by_the_database(store, url, table, statement):
    propose(store)
    store.decide_proposal(1, who="bob", decision="declined", reason="no")
    add(store)
    with sqlite3.connect(file_of(url)) as connection:
        connection.execute("INSERT INTO batches VALUES (1, 'now', 'ann', 'v', 'd', 'b', '{}')")
        with pytest.raises(sqlite3.IntegrityError, match="only added"):
            connection.execute(statement.format(table))


def test_proposal_is_decided_once_with_who_and_why(store):
    number = propose(store, figures={"cost": 1.5})
    store.decide_proposal(number, who="olga", decision="adopted", reason="agreed")
    found = store.proposals("credit_risk")[0]
    assert (found.threshold, found.figures, found.decision) == (0.3, {"cost": 1.5}, "adopted")
    assert (found.decided_by, found.decision_reason) == ("olga", "agreed")
    with pytest.raises(BadInputError, match="was adopted by olga"):
        store.decide_proposal(number, who="bob", decision="declined", reason="no")
    assert store.proposals("chest_xray") == []


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"threshold": 1.2}, "no probability"),
        ({"threshold": float("nan")}, "no probability"),
        ({"cost_false_negative": 0.0}, "Costs of 0.0"),
        ({"reason": " "}, "Without reason"),
    ],
)
def test_proposal_with_a_wrong_value_is_refused(store, wrong, expected):
    with pytest.raises(BadInputError, match=expected):
        propose(store, **wrong)


def test_decision_on_an_unknown_proposal_or_of_another_word_is_refused(store):
    with pytest.raises(BadInputError, match="no proposal 7"):
        store.decide_proposal(7, who="bob", decision="adopted", reason="yes")
    propose(store)
    with pytest.raises(BadInputError, match="'maybe' is no decision"):
        store.decide_proposal(1, who="bob", decision="maybe", reason="yes")


def test_audit_knows_every_step_newest_first(store):
    add(store, role="labeller")
    propose(store)
    store.record(who="olga", role="owner", action="read_audit", details={"rows": np.int64(3), "share": np.nan})
    rows = store.audit_rows()
    assert rows["action"].tolist() == ["read_audit", "propose", "label"]
    assert rows["details"].iloc[0] == {"rows": 3, "share": None}
    assert store.audit_rows(vertical="credit_risk", limit=1)["action"].tolist() == ["propose"]
    assert store.verify_audit().is_whole and store.verify_audit().num_rows == 3


def tamper(url, *statements):
    """What somebody with the file in hand can do: take the triggers away and change rows."""
    with sqlite3.connect(file_of(url)) as connection:
        for change in ("update", "delete"):
            connection.execute(f"DROP TRIGGER audit_no_{change}")
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET who = 'eve' WHERE id = 2", 2),
        ("""UPDATE audit SET details = '{"label": "good"}' WHERE id = 3""", 3),
        ("DELETE FROM audit WHERE id = 2", 3),
        ("DELETE FROM audit WHERE id = 1", 2),
    ],
)
def test_verify_audit_changed_row_is_named(store, url, statement, broken):
    for sample in range(4):
        add(store, sample=f"near/{sample}")
    tamper(url, statement)
    check = store.verify_audit()
    assert check.first_broken == broken and f"row {broken}" in check.reason


def test_verify_audit_of_a_row_hashed_anew_names_the_row_after_it(store, url):
    from core.lifecycle.audit_chain import row_hash

    for sample in range(3):
        add(store, sample=f"near/{sample}")
    row = store.audit_rows().iloc[1].to_dict() | {"who": "eve"}
    tamper(url, f"UPDATE audit SET who = 'eve', hash = '{row_hash(row['previous_hash'], row)}' WHERE id = 2")
    assert store.verify_audit().first_broken == 3


def write_fifty(url, who):
    store = Store(url)  # all four open it at once, before there is a file
    for sample in range(50):
        add(store, who=who, sample=f"near/{sample}")


def test_four_processes_at_once_lose_nothing_and_keep_the_chain(url):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_fifty, args=(url, f"labeller_{number}")) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=120)
    assert [writer.exitcode for writer in writers] == [0] * 4
    store = Store(url)
    assert len(store.current_labels("credit_risk", "near")) == 200
    check = store.verify_audit()
    assert check.is_whole and check.num_rows == 200
    with sqlite3.connect(file_of(url)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def random_labels(num, agree_fraction, classes=("bad", "good", "ugly"), seed=0):
    random = np.random.default_rng(seed)
    first = random.choice(classes, num)
    second = np.where(random.random(num) < agree_fraction, first, random.choice(classes, num))
    ids = [f"near/{row:03d}" for row in range(num)]
    return pd.concat(
        [
            pd.DataFrame({"who": "ann", "sample_id": ids, "label": first}),
            pd.DataFrame({"who": "bob", "sample_id": ids, "label": second}),
        ]
    )


@pytest.mark.parametrize("agree_fraction", [0.0, 0.5, 0.9])
def test_agreement_kappa_equals_that_of_scikit_learn(agree_fraction):
    labels = random_labels(120, agree_fraction)
    found = agreement_of(labels, num_bootstrap=300)
    ann, bob = (labels[labels["who"] == who].set_index("sample_id")["label"] for who in ("ann", "bob"))
    assert found.kappa == pytest.approx(cohen_kappa_score(ann, bob))
    assert found.low <= found.kappa <= found.high
    draws = np.random.default_rng(1).integers(120, size=(300, 120))
    slow = [cohen_kappa_score(ann.to_numpy()[rows], bob.to_numpy()[rows]) for rows in draws]
    assert [found.low, found.high] == pytest.approx(np.percentile(slow, [2.5, 97.5]), abs=0.05)


def test_agreement_in_the_store_lists_where_two_differ(store):
    for sample, label in (("near/1", "bad"), ("near/2", "good"), ("near/3", "bad")):
        add(store, sample=sample, label=label)
        add(store, who="bob", sample=sample, label="bad")
    add(store, who="cy", sample="near/9", label="bad")
    found = store.agreement("credit_risk", "near", num_bootstrap=200)
    assert found.labellers == ("ann", "bob") and found.num_samples == 3
    assert found.observed == pytest.approx(2 / 3)
    assert found.disagreements.to_dict("records") == [{"sample_id": "near/2", "ann": "good", "bob": "bad"}]
    assert store.agreement("credit_risk", "near", ("ann", "cy")) is None
    with pytest.raises(BadInputError, match=r"'anne' has labelled nothing here\. Did you mean 'ann'"):
        store.agreement("credit_risk", "near", ("anne", "bob"))


def test_agreement_of_one_labeller_is_none_and_of_one_word_has_no_kappa(store):
    add(store)
    assert store.agreement("credit_risk", "near") is None
    add(store, who="bob")
    assert np.isnan(store.agreement("credit_risk", "near", num_bootstrap=100).kappa)


def test_store_address_is_the_variable_else_below_the_project(tmp_path, monkeypatch):
    monkeypatch.delenv("CROSSDOMAIN_STORE", raising=False)
    add(open_store(tmp_path))
    assert (tmp_path / ".crossdomain" / "store.sqlite").exists()
    monkeypatch.setenv("CROSSDOMAIN_STORE", "sqlite:////elsewhere/s.sqlite")
    assert store_url(tmp_path) == "sqlite:////elsewhere/s.sqlite"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("store.sqlite", "no database URL"),
        ("sqlite://", "in memory is lost"),
        ("oracle9://u:secret@host/x", "no driver for oracle9"),
        ("sqlite:////dev/null/store.sqlite", "cannot be made"),
    ],
)
def test_store_wrong_address_says_what_to_give(address, expected):
    with pytest.raises(CrossdomainError, match=re.escape(expected)) as caught:
        Store(address)
    assert "secret" not in str(caught.value)


def test_store_file_that_is_no_database_says_what_to_check(tmp_path):
    (tmp_path / "store.sqlite").write_text("no database" * 100)
    with pytest.raises(CrossdomainError, match="cannot be used"):
        Store(f"sqlite:///{tmp_path / 'store.sqlite'}")


def test_store_statements_for_postgresql_guard_every_table():
    from sqlalchemy.dialects import postgresql

    from core.lifecycle.tables import create_statements

    statements = [str(s.compile(dialect=postgresql.dialect())) for s in create_statements("postgresql")]
    for table in TABLES:
        assert any(f"BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} " in text for text in statements)
    with pytest.raises(CrossdomainError, match="cannot be kept in mysql"):
        create_statements("mysql")


@pytest.mark.skipif(not os.environ.get("CROSSDOMAIN_TEST_POSTGRES"), reason="needs a PostgreSQL to write to")
def test_store_in_postgresql_adds_rows_and_refuses_changes():
    import sqlalchemy as sa

    address = os.environ["CROSSDOMAIN_TEST_POSTGRES"]
    store = Store(address)
    before = store.verify_audit().num_rows
    store.undo_label(add(store, who="pg"), who="pg")
    assert store.verify_audit().is_whole and store.verify_audit().num_rows == before + 2
    with pytest.raises(sa.exc.DBAPIError, match="only added"), store.writing() as connection:
        connection.execute(sa.text("DELETE FROM audit"))


def test_store_without_sqlalchemy_says_what_to_install(monkeypatch):
    import importlib
    import sys

    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    monkeypatch.delitem(sys.modules, "core.lifecycle.tables")
    with pytest.raises(CrossdomainError, match=re.escape("crossdomain[dashboard]")):
        importlib.import_module("core.lifecycle.tables")
