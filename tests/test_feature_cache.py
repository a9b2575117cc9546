import multiprocessing
import os

import numpy as np
import pytest

from core.data.feature_cache import FeatureCache, cache_root


class Counter:
    """Features of a text: its length and its first character; counts what it computes."""

    def __init__(self):
        self.computed = []

    def __call__(self, texts):
        self.computed.extend(texts)
        return np.array([[len(text), ord(text[0])] for text in texts], dtype=np.float32).reshape(-1, 2)


TEXTS = ["loan", "car", "house", "car", "a much longer text"]


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(root=tmp_path, min_rows=1)


def test_cache_equals_recomputation_and_computes_once(cache):
    counter = Counter()
    first = cache.get("weights", "mean", TEXTS, counter)
    second = cache.get("weights", "mean", TEXTS[::-1], counter)
    np.testing.assert_array_equal(first, Counter()(TEXTS))
    np.testing.assert_array_equal(second, Counter()(TEXTS[::-1]))
    assert sorted(counter.computed) == sorted(set(TEXTS))


def test_cache_of_another_process_is_read(tmp_path):
    FeatureCache(root=tmp_path, min_rows=1).get("weights", "mean", TEXTS, Counter())
    counter = Counter()
    read = FeatureCache(root=tmp_path).get("weights", "mean", [*TEXTS, "new"], counter)
    np.testing.assert_array_equal(read, Counter()([*TEXTS, "new"]))
    assert counter.computed == ["new"]


@pytest.mark.parametrize("other", [("other weights", "mean"), ("weights", "max")])
def test_cache_of_other_weights_or_transform_is_not_used(cache, other):
    cache.get("weights", "mean", TEXTS, Counter())
    counter = Counter()
    cache.get(*other, TEXTS, counter)
    assert len(counter.computed) == len(set(TEXTS))


def test_cache_few_rows_leave_no_file(tmp_path):
    cache = FeatureCache(root=tmp_path, min_rows=10)
    cache.get("weights", "mean", TEXTS, Counter())
    assert cache.size_bytes() == 0


def test_cache_above_its_bound_drops_what_was_used_longest_ago(tmp_path):
    cache = FeatureCache(root=tmp_path, min_rows=1)
    for position, text in enumerate(["first", "second", "third"]):
        cache.get("weights", "mean", [text], Counter())
        newest = max(tmp_path.rglob("*.npy"), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (1000 + position, 1000 + position))
    cache.get("weights", "mean", ["first"], Counter())  # a use makes it the newest
    cache.max_bytes = cache.size_bytes()
    cache.get("weights", "mean", ["fourth"], Counter())
    counter = Counter()
    cache.get("weights", "mean", ["first", "second", "third", "fourth"], counter)
    assert counter.computed == ["second"]


def test_cache_cut_short_is_computed_again(cache, tmp_path):
    cache.get("weights", "mean", TEXTS, Counter())
    (segment,) = tmp_path.rglob("*.npy")
    segment.write_bytes(segment.read_bytes()[:-20])
    read = FeatureCache(root=tmp_path).get("weights", "mean", TEXTS, Counter())
    np.testing.assert_array_equal(read, Counter()(TEXTS))


def test_clear_removes_every_feature(cache):
    cache.get("weights", "mean", TEXTS, Counter())
    cache.clear()
    assert cache.size_bytes() == 0
    counter = Counter()
    cache.get("weights", "mean", TEXTS, counter)
    assert counter.computed


def _fill(root, seed):
    texts = [f"text {number}" for number in np.random.default_rng(seed).permutation(60)]
    for start in range(0, 60, 10):
        FeatureCache(root=root, min_rows=1, max_bytes=2000).get("weights", "mean", texts[start : start + 10], Counter())


def test_two_processes_share_one_cache(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_fill, args=(tmp_path, seed)) for seed in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    texts = [f"text {number}" for number in range(60)]
    read = FeatureCache(root=tmp_path).get("weights", "mean", texts, Counter())
    np.testing.assert_array_equal(read, Counter()(texts))
    assert not list(tmp_path.rglob(".*"))  # nothing half-written is left


def test_root_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("CROSSDOMAIN_CACHE", str(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.delenv("CROSSDOMAIN_CACHE")
    assert cache_root().name == "crossdomain"
