"""Kept activations: equal to computing again, shared by processes, bounded."""

import multiprocessing
import os

import numpy as np
import pytest

from core.learners.activation_cache import ActivationCache, clear_activations

DIGESTS = [f"picture {row}" for row in range(10)]


class Counter:
    """Computes (n, 2, 3) from positions and counts what it was asked."""

    def __init__(self, offset=0):
        self.rows, self.offset = [], offset

    def __call__(self, rows):
        self.rows += rows
        return np.stack([np.arange(6.0).reshape(2, 3) + 10 * (row + self.offset) for row in rows])


@pytest.fixture
def cache(tmp_path):
    return ActivationCache(root=tmp_path, min_rows=1)


def test_activation_cache_equals_computing_again(cache):
    counter = Counter()
    cache.get("weights", "cut 3", DIGESTS, counter, batch_size=4)
    again = Counter()
    kept = ActivationCache(root=cache.root).get("weights", "cut 3", DIGESTS, again)
    assert counter.rows == list(range(10))
    assert again.rows == []
    assert kept.shape == (10, 2, 3)
    np.testing.assert_array_equal(kept[[7, 0, 7]], Counter()([7, 0, 7]))
    np.testing.assert_array_equal(kept[:], Counter()(list(range(10))))


def test_activation_cache_of_other_items_computes_only_the_new_ones_in_order(cache):
    cache.get("weights", "cut 3", DIGESTS[2:5], Counter(2))
    counter = Counter()
    kept = cache.get("weights", "cut 3", DIGESTS, counter)
    assert counter.rows == [0, 1, 5, 6, 7, 8, 9]
    np.testing.assert_array_equal(kept[:], Counter()(list(range(10))))


@pytest.mark.parametrize(("weights", "transform"), [("others", "cut 3"), ("weights", "cut 4")])
def test_activation_cache_of_other_weights_or_another_cut_is_not_mixed_up(cache, weights, transform):
    cache.get("weights", "cut 3", DIGESTS, Counter())
    counter = Counter(100)
    kept = cache.get(weights, transform, DIGESTS, counter)
    assert len(counter.rows) == 10
    np.testing.assert_array_equal(kept[:], Counter(100)(list(range(10))))


def test_activation_cache_of_equal_items_computes_them_once(cache):
    counter = Counter()
    kept = cache.get("weights", "cut 3", ["same", "other", "same"], counter)
    assert counter.rows == [0, 1]
    np.testing.assert_array_equal(kept[[2]], kept[[0]])


def test_activation_cache_values_beyond_half_precision_stay_finite(cache):
    kept = cache.get("weights", "cut 3", ["huge"], lambda rows: np.full((1, 2), 1e9))
    assert np.isfinite(kept[:]).all()


def test_activation_cache_of_few_rows_writes_nothing(tmp_path):
    kept = ActivationCache(root=tmp_path, min_rows=64).get("weights", "cut 3", DIGESTS, Counter())
    np.testing.assert_array_equal(kept[:], Counter()(list(range(10))))
    assert ActivationCache(root=tmp_path).size_bytes() == 0


def test_activation_cache_evicts_what_was_used_longest_ago_and_what_is_open_can_be_read(cache):
    old = cache.get("weights", "old", DIGESTS, Counter())
    used = cache.get("weights", "used", DIGESTS, Counter())
    for number, path in enumerate(cache.root.glob("activations/*/*.npy")):
        os.utime(path, (1000 + number, 1000 + number))
    cache.get("weights", "used", DIGESTS, Counter())
    small = ActivationCache(root=cache.root, min_rows=1, max_bytes=cache.size_bytes())
    small.get("weights", "new", DIGESTS, Counter())
    assert small.size_bytes() <= small.max_bytes
    assert not small.has_room(small.max_bytes + 1)
    counters = {name: Counter() for name in ("old", "used", "new")}
    for name in ("used", "new"):
        small.get("weights", name, DIGESTS, counters[name])
        assert counters[name].rows == []
    small.get("weights", "old", DIGESTS, counters["old"])
    assert len(counters["old"].rows) == 10
    np.testing.assert_array_equal(old[:], used[:])


def test_activation_cache_of_a_broken_segment_computes_again(cache):
    cache.get("weights", "cut 3", DIGESTS, Counter())
    for path in cache.root.glob("activations/*/*.npy"):
        path.write_bytes(path.read_bytes()[:100])
    kept = cache.get("weights", "cut 3", DIGESTS, Counter())
    np.testing.assert_array_equal(kept[:], Counter()(list(range(10))))


def test_activation_cache_on_a_read_only_root_still_answers(tmp_path):
    root = tmp_path / "file"
    root.write_text("not a folder")
    kept = ActivationCache(root=root, min_rows=1).get("weights", "cut 3", DIGESTS, Counter())
    np.testing.assert_array_equal(kept[:], Counter()(list(range(10))))


def write_many(root, start):
    """A process of its own."""
    for _ in range(10):
        digests = [f"picture {row}" for row in range(start, start + 30)]
        kept = ActivationCache(root=root, min_rows=1).get("weights", "cut 3", digests, Counter(start), batch_size=5)
        if not np.array_equal(kept[:], Counter(start)(list(range(30)))):
            raise SystemExit(1)


def test_activation_cache_shared_by_two_writers_gives_both_the_right_rows(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_many, args=(tmp_path, start)) for start in (0, 15)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    counter = Counter()
    kept = ActivationCache(root=tmp_path).get("weights", "cut 3", [f"picture {row}" for row in range(45)], counter)
    assert counter.rows == []
    np.testing.assert_array_equal(kept[:], Counter()(list(range(45))))
    assert not list(tmp_path.glob("activations/*/.*"))


def test_clear_activations_removes_all(cache):
    cache.get("weights", "cut 3", DIGESTS, Counter())
    clear_activations(cache.root)
    assert cache.size_bytes() == 0
