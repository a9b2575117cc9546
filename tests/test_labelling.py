"""Which case comes next, and people's labels on their way into the domain's folder."""

import numpy as np
import pandas as pd
import pytest
from two_lenders import NEAR, near_rows, write_lender

from core.data.late_labels import add_late_labels, late_batch_names, read_late_labels
from core.data.table_dataset import read_table_domain
from core.errors import BadInputError
from core.lifecycle.labelling import label_queue, labels_to_batch


def predictions(probability, label=np.nan, **more):
    num = len(probability)
    frame = {"sample_id": [f"near/{row}" for row in range(num)], "domain": "near", "label": label}
    return pd.DataFrame(
        {**frame, "probability_good": 1 - np.array(probability), "probability_bad": probability, **more}
    )


def queue_of(frame, **options):
    return label_queue(frame, **{"positive_class": "bad", "threshold": 0.2, **options})


def test_label_queue_orders_by_log_odds_from_the_threshold():
    probability = [0.9, 0.35, 0.1, 0.2, 0.5]
    queue = queue_of(predictions(probability))
    gaps = np.log(np.array(probability) / (1 - np.array(probability))) - np.log(0.2 / 0.8)
    assert queue["sample_id"].tolist() == [f"near/{row}" for row in np.argsort(np.abs(gaps))]
    assert queue["log_odds_to_threshold"].to_numpy() == pytest.approx(gaps[np.argsort(np.abs(gaps))])
    assert not queue["is_second_opinion"].any()


def test_label_queue_labelled_rows_come_last_and_say_so():
    frame = predictions([0.2, 0.21, 0.9, 0.8], label=[1.0, np.nan, np.nan, np.nan])
    queue = queue_of(frame, labelled=["near/1"], done=["near/3"])
    assert queue["sample_id"].tolist() == ["near/2", "near/0", "near/1"]
    assert queue["is_second_opinion"].tolist() == [False, True, True]


def test_label_queue_is_the_same_whatever_the_rows_order():
    frame = predictions([0.2, 0.2, 0.0, 1.0, np.nan, 0.2])
    queue = queue_of(frame)
    assert queue["sample_id"].tolist()[:3] == ["near/0", "near/1", "near/5"]
    assert queue["sample_id"].iloc[-1] == "near/4"  # no probability: no doubt is known
    assert np.isfinite(queue["log_odds_to_threshold"].to_numpy()[:-1]).all()
    pd.testing.assert_frame_equal(queue, queue_of(frame.sample(frac=1, random_state=3)))


def test_label_queue_diverse_takes_each_value_in_turn():
    frame = predictions([0.2, 0.21, 0.22, 0.4, 0.6], camera=["left", "left", "left", "right", None])
    queue = queue_of(frame, diverse_by="camera")
    assert queue["sample_id"].tolist() == ["near/0", "near/3", "near/4", "near/1", "near/2"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"positive_class": "baad"}, "no column 'probability_baad'. Did you mean 'probability_bad'"),
        ({"threshold": 1.5}, "1.5 is no probability"),
        ({"diverse_by": "camera"}, "no column 'camera'"),
    ],
)
def test_label_queue_wrong_option_is_named(options, expected):
    with pytest.raises(BadInputError) as caught:
        queue_of(predictions([0.5]), **options)
    assert expected in str(caught.value)


@pytest.fixture
def root(tmp_path):
    write_lender(tmp_path / "data", NEAR, near_rows())
    return tmp_path


@pytest.fixture
def store(root):
    pytest.importorskip("sqlalchemy")
    from core.lifecycle.store import Store

    return Store(f"sqlite:///{root / 'store.sqlite'}")


def add(store, sample, label, who="ann"):
    return store.add_label(who=who, vertical="toy_credit", domain="near", sample_id=f"near/{sample}", label=label)


def deliver(store, root, batch):
    return labels_to_batch(store, root, "toy_credit", "near", batch, "olga", role="owner")


def labels_of(root):
    late = read_late_labels(root / "data" / "toy_credit" / "near")
    return dict(zip(late["sample_id"].str.removeprefix("near/"), late["label"], strict=True))


def test_labels_to_batch_takes_agreement_and_names_disputes(store, root):
    add(store, "L0001", "bad")
    add(store, "L0002", "bad")
    add(store, "L0002", "bad", who="bob")
    add(store, "L0003", "bad")
    add(store, "L0003", "good", who="bob")
    done = deliver(store, root, "first")
    assert (done.num_new, done.num_taken_back) == (2, 0)
    assert done.disputed.to_dict("records") == [{"sample_id": "near/L0003", "ann": "bad", "bob": "good"}]
    assert labels_of(root) == {"L0001": "bad", "L0002": "bad"}
    late = read_late_labels(root / "data" / "toy_credit" / "near").set_index("sample_id")
    assert late.loc["near/L0002", "labelled_by"] == "ann, bob"
    audit = store.audit_rows(action="make_batch").iloc[0]
    assert (audit["who"], audit["role"], audit["subject"]) == ("olga", "owner", "first")
    assert audit["details"]["disputed"] == ["near/L0003"]


def test_labels_to_batch_twice_without_news_says_so_and_writes_nothing(store, root):
    add(store, "L0001", "bad")
    assert "1 new labels" in str(deliver(store, root, "first"))
    again = deliver(store, root, "second")
    assert again.batch is None and "No new label" in str(again)
    assert late_batch_names(root / "data" / "toy_credit" / "near") == ["first"]
    assert len(store.audit_rows(action="make_batch")) == 1
    add(store, "L0004", "good")
    assert deliver(store, root, "second").num_new == 1


def test_labels_to_batch_settled_dispute_and_changed_mind_are_news(store, root):
    add(store, "L0001", "bad")
    deliver(store, root, "first")
    add(store, "L0001", "good", who="bob")
    assert deliver(store, root, "second").batch is None  # disputed now: what was delivered stands
    add(store, "L0001", "good")
    assert deliver(store, root, "third").num_new == 1
    assert labels_of(root) == {"L0001": "good"}


def test_labels_to_batch_label_taken_back_gives_back_the_one_before(store, root):
    rows = near_rows().set_index("loan_id")["outcome"]
    folder = root / "data" / "toy_credit" / "near"
    add_late_labels(folder, pd.DataFrame({"sample_id": ["near/L0002"], "label": ["bad"]}), "by_hand")
    turned = {"bad": "good", "good": "bad"}[rows["L0001"]]
    ids = [add(store, "L0001", turned), add(store, "L0002", "good")]
    deliver(store, root, "first")
    for label_id in ids:
        store.undo_label(label_id, who="ann")
    done = deliver(store, root, "second")
    assert (done.num_new, done.num_taken_back) == (0, 2)
    assert labels_of(root) == {"L0001": rows["L0001"], "L0002": "bad"}
    manifest = read_table_domain(folder).manifest.set_index("sample_id")
    assert manifest.loc["near/L0001", "label"] == (rows["L0001"] == "bad")
    assert deliver(store, root, "third").batch is None


@pytest.mark.parametrize(("sample", "label"), [("nobody", "bad"), ("L0001", "baad")])
def test_labels_to_batch_refused_label_leaves_neither_file_nor_row(store, root, sample, label):
    add(store, "L0002", "good")
    add(store, sample, label)
    with pytest.raises(BadInputError):
        deliver(store, root, "first")
    assert labels_of(root) == {} and len(store.audit_rows(action="make_batch")) == 0


def test_labels_to_batch_name_that_exists_is_refused(store, root):
    add(store, "L0001", "bad")
    deliver(store, root, "first")
    add(store, "L0002", "bad")
    with pytest.raises(BadInputError, match="'first' was made already"):
        deliver(store, root, "first")


def test_labels_to_batch_data_of_an_older_version_gets_its_labels_again(store, root):
    add(store, "L0001", "bad")
    deliver(store, root, "first")
    (root / "data" / "toy_credit" / "near" / "labels" / "first.parquet").unlink()
    assert deliver(store, root, "second").num_new == 1
    assert labels_of(root) == {"L0001": "bad"}


def test_labels_to_batch_failed_commit_leaves_no_file(store, root, monkeypatch):
    from contextlib import contextmanager

    add(store, "L0001", "bad")
    writing = store.writing

    @contextmanager
    def failing():
        with writing() as connection:
            yield connection
            raise OSError("the disk is full")

    monkeypatch.setattr(store, "writing", failing)
    with pytest.raises(OSError, match="disk is full"):
        deliver(store, root, "first")
    monkeypatch.undo()
    assert labels_of(root) == {}
    assert deliver(store, root, "first").num_new == 1
