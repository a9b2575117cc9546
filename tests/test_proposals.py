"""A proposed threshold on its way into params.yaml: both the file and the record, or neither."""

import pytest
from typer.testing import CliRunner

from core.cli import app
from core.errors import BadInputError, BadParamsError, CrossdomainError

pytest.importorskip("sqlalchemy")

from core.lifecycle import proposals
from core.lifecycle.proposals import adopt, decline, model_digest
from core.lifecycle.store import open_store
from core.model_manifest import MANIFEST_FILE
from core.params import load_params

PARAMS = """\
credit_risk:
  prepare:
    target_domain: near   # the bank
  train:
    threshold_rule: cost   # how
    seed: 0
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    folder = tmp_path / "artifacts/credit_risk/train/model"
    folder.mkdir(parents=True)
    (folder / MANIFEST_FILE).write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CROSSDOMAIN_STORE", raising=False)
    return tmp_path


@pytest.fixture
def store(root):
    return open_store(root)


def propose(store, root, **more):
    values = {
        "who": "ann",
        "vertical": "credit_risk",
        "domain": "near",
        "model_digest": model_digest(root, "credit_risk"),
    }
    values |= {"threshold": 0.31, "cost_false_negative": 5.0, "cost_false_positive": 1.0, "reason": "losses"} | more
    return store.add_proposal(**values)


def test_adopt_writes_params_and_records_who_and_why(root, store):
    number = propose(store, root)
    done = adopt(root, "credit_risk", number, store=store, who="olga", role="owner", reason="agreed in the board")
    train = load_params(root / "params.yaml", "credit_risk").train
    assert (train.threshold_rule, train.fixed_threshold) == ("fixed", 0.31)
    assert "# the bank" in (root / "params.yaml").read_text()
    assert [str(change) for change in done.changes] == [
        "credit_risk.train.threshold_rule: cost -> fixed",
        "credit_risk.train.fixed_threshold: (not set) -> 0.31",
    ]
    assert done.notes == ()
    found = store.proposals("credit_risk")[0]
    assert (found.decision, found.decided_by, found.decision_reason) == ("adopted", "olga", "agreed in the board")
    audit = store.audit_rows(action="adopted").iloc[0]
    assert (audit["who"], audit["role"], audit["details"]["threshold"]) == ("olga", "owner", 0.31)


def test_adopt_twice_or_without_reason_changes_nothing(root, store):
    number = propose(store, root)
    with pytest.raises(BadInputError, match="Without reason"):
        adopt(root, "credit_risk", number, store=store, who="olga", reason=" ")
    assert (root / "params.yaml").read_text() == PARAMS
    decline("credit_risk", number, store=store, who="olga", reason="too few cases")
    with pytest.raises(BadInputError, match="was declined by olga"):
        adopt(root, "credit_risk", number, store=store, who="olga", reason="after all")
    assert (root / "params.yaml").read_text() == PARAMS


def test_adopt_proposal_of_another_target_or_vertical_is_refused(root, store):
    with pytest.raises(BadInputError, match="for domain 'far'"):
        adopt(root, "credit_risk", propose(store, root, domain="far"), store=store, who="olga", reason="yes")
    with pytest.raises(BadInputError, match="credit_risk has no proposal 2"):
        adopt(root, "credit_risk", propose(store, root, vertical="chest_xray"), store=store, who="olga", reason="yes")


def test_adopt_after_another_training_says_so(root, store):
    number = propose(store, root, model_digest="of last month")
    notes = adopt(root, "credit_risk", number, store=store, who="olga", reason="yes").notes
    assert "another one" in notes[0]


def test_adopt_params_that_cannot_be_written_leaves_no_decision(root, store, monkeypatch):
    number = propose(store, root)

    def refuse(path, changes):
        raise BadParamsError("params.yaml: no")

    monkeypatch.setattr(proposals, "set_params", refuse)
    with pytest.raises(BadParamsError):
        adopt(root, "credit_risk", number, store=store, who="olga", reason="yes")
    assert store.proposals()[0].decision == "" and store.verify_audit().num_rows == 1


def test_adopt_record_that_cannot_be_kept_gives_params_back(root, store, monkeypatch):
    from contextlib import contextmanager

    number = propose(store, root)
    writing = store.writing

    @contextmanager
    def failing():
        with writing() as connection:
            yield connection
            raise OSError("the disk is full")

    monkeypatch.setattr(store, "writing", failing)
    with pytest.raises(OSError, match="disk is full"):
        adopt(root, "credit_risk", number, store=store, who="olga", reason="yes")
    assert (root / "params.yaml").read_text() == PARAMS
    assert store.proposals()[0].decision == ""


def run(*arguments):
    return CliRunner().invoke(app, ["proposals", "credit_risk", *arguments])


def test_proposals_command_lists_adopts_and_says_what_to_run(root, store):
    assert "No proposal yet" in run("list").output
    propose(store, root)
    assert "threshold 0.3100 by ann (costs 5 to 1): losses" in run("list").output
    done = run("adopt", "1", "--reason", "agreed", "--who", "olga")
    assert done.exit_code == 0, done.output
    assert "params.yaml  credit_risk.train.threshold_rule: cost -> fixed" in done.output
    assert "dvc repro report@credit_risk" in done.output
    assert "adopted" in run("list").output and "by olga: agreed" in run("list").output


def test_proposals_command_declines_and_leaves_params(root, store):
    propose(store, root)
    assert "is declined" in run("decline", "1", "--reason", "no", "--who", "olga").output
    assert (root / "params.yaml").read_text() == PARAMS


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["adpt", "1"], "Did you mean 'adopt'"), (["adopt", "1"], "needs a proposal's number and a reason")],
)
def test_proposals_command_wrong_use_is_one_sentence(root, arguments, expected):
    done = run(*arguments)
    assert isinstance(done.exception, CrossdomainError) and expected in str(done.exception)
