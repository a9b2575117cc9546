import numpy as np
import pandas as pd
import pytest

from core.data.samples import Samples, concatenate


def make(num_rows, *, domain="a", labels=None):
    ids = np.array([f"{domain}/{row}" for row in range(num_rows)])
    return Samples(
        inputs=pd.DataFrame({"x": np.arange(num_rows, dtype=float)}),
        labels=np.zeros(num_rows) if labels is None else np.asarray(labels, dtype=float),
        sample_ids=ids,
        domains=np.full(num_rows, domain),
        weights=np.ones(num_rows),
        groups=ids,
    )


def test_samples_take_keeps_rows_aligned():
    taken = make(5).take([3, 1])
    assert taken.inputs["x"].tolist() == [3.0, 1.0]
    assert taken.sample_ids.tolist() == ["a/3", "a/1"]


def test_samples_take_accepts_a_mask():
    assert make(3).take(np.array([True, False, True])).sample_ids.tolist() == ["a/0", "a/2"]


def test_samples_targets_of_unlabelled_rows_are_refused():
    with pytest.raises(ValueError, match="unlabelled"):
        _ = make(2, labels=[1, np.nan]).targets
    assert make(2, labels=[1, np.nan]).labelled().targets.tolist() == [1]


def test_samples_of_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="labels has 2 rows"):
        Samples(pd.DataFrame({"x": [1.0]}), np.zeros(2), *[np.zeros(1)] * 4)


def test_samples_concatenate_and_of_domains_are_inverse():
    both = concatenate([make(2, domain="a"), make(3, domain="b")])
    assert len(both) == 5
    assert both.of_domains(["b"]).sample_ids.tolist() == ["b/0", "b/1", "b/2"]
