"""The greedy coreset against plain loops, and what it is for."""

import numpy as np

from core.learners.coreset import greedy_coreset, random_coreset


def farthest_first(rows, count, start):
    """Algorithm 1 by loops over rows."""
    chosen = [start]
    while len(chosen) < count:
        distances = [min(np.sum((row - rows[c]) ** 2) for c in chosen) for row in rows]
        chosen.append(int(np.argmax(distances)))
    return chosen


def cover_radius(rows, chosen):
    """Largest distance of a row to its nearest chosen row."""
    return np.linalg.norm(rows[:, None] - rows[None, chosen], axis=2).min(axis=1).max()


def test_greedy_coreset_without_projection_equals_plain_loops():
    rows = np.random.default_rng(0).standard_normal((40, 5))
    found = greedy_coreset(rows, 12, seed=0, projection_dim=None, start=7)
    assert found.tolist() == farthest_first(rows, 12, 7)


def test_greedy_coreset_covers_better_than_random_rows():
    generator = np.random.default_rng(1)
    rows = np.concatenate([generator.standard_normal((300, 20)), 12 + generator.standard_normal((6, 20))])
    greedy = greedy_coreset(rows, 30, seed=0, projection_dim=10)
    assert cover_radius(rows, greedy) < 0.8 * cover_radius(rows, random_coreset(len(rows), 30, seed=0))


def test_greedy_coreset_of_equal_rows_never_repeats_a_position():
    assert len(set(greedy_coreset(np.ones((10, 3)), 6, seed=0).tolist())) == 6


def test_coreset_of_more_than_there_are_is_all():
    assert greedy_coreset(np.eye(4), 9, seed=0).tolist() == [0, 1, 2, 3]
    assert random_coreset(4, 9, seed=0).tolist() == [0, 1, 2, 3]
