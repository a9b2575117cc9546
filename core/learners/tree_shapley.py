"""Exact Shapley values of shallow trees for many rows at once, by tables over the outcomes of their splits.

XGBoost walks every path of every tree for every row. Here each small subtree becomes a table: the pattern of its
splits' outcomes -> the contributions of its columns; a row costs one look-up a table and column.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial
from typing import Any, Self

import numpy as np
import xgboost

MAX_SPLITS = 8  # of one table: 256 patterns, which one byte holds
ROWS_PER_BLOCK = 16_384  # a block's arrays stay in the processor's cache
LEAF = -1
# Making the tables takes a second; for fewer rows XGBoost's own walk is done sooner.
MIN_ROWS_FOR_TABLES = 2000


@dataclass(frozen=True)
class _Tree:
    """A tree's nodes as arrays. goes_right: category split -> for each code whether it goes right, (codes,) bool."""

    left: np.ndarray
    right: np.ndarray
    column: np.ndarray
    threshold: np.ndarray  # of a leaf: its value
    is_default_left: np.ndarray
    cover: np.ndarray
    goes_right: dict[int, np.ndarray]

    @classmethod
    def of_json(cls, tree: dict[str, Any]) -> _Tree:
        """From XGBoost's own JSON."""
        codes = np.array(tree["categories"], dtype=int)
        segments = zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
        return cls(
            left=np.array(tree["left_children"]),
            right=np.array(tree["right_children"]),
            column=np.array(tree["split_indices"]),
            threshold=np.array(tree["split_conditions"], dtype=np.float32),
            is_default_left=np.array(tree["default_left"], dtype=bool),
            cover=np.array(tree["sum_hessian"], dtype=float),
            goes_right={node: np.bincount(codes[start : start + size]).astype(bool) for node, start, size in segments},
        )

    def goes_left(self, node: int, columns: np.ndarray) -> np.ndarray:
        """(N,) bool for rows in columns (F, N); a missing value takes the default side."""
        values = columns[self.column[node]]
        is_default_left = self.is_default_left[node]
        if node in self.goes_right:
            # behind the codes that the split knows: those it does not (they go left), and missing ones
            sides = np.append(~self.goes_right[node], [True, is_default_left])
            codes = np.minimum(values, len(sides) - 2)
            codes = np.where(np.isnan(codes), len(sides) - 1, codes).astype(np.intp)
            return sides.take(codes, mode="clip")
        # a comparison with NaN is false
        return ~(values >= self.threshold[node]) if is_default_left else values < self.threshold[node]

    def inner_below(self, node: int) -> list[int]:
        """The splits of the subtree at `node`."""
        if self.left[node] == LEAF:
            return []
        return [node, *self.inner_below(self.left[node]), *self.inner_below(self.right[node])]

    def leaf_paths(self, node: int, path: tuple) -> list[tuple[int, tuple]]:
        """(leaf, ((split, is left side), ...)) for each leaf of the subtree at `node`, which `path` led to."""
        if self.left[node] == LEAF:
            return [(node, path)]
        return [
            *self.leaf_paths(self.left[node], (*path, (node, True))),
            *self.leaf_paths(self.right[node], (*path, (node, False))),
        ]


@dataclass(frozen=True)
class _Table:
    """splits: whose outcomes (left = 1) make the pattern. values: (len(columns), 2 ** len(splits))."""

    splits: tuple[int, ...]
    columns: tuple[int, ...]
    values: np.ndarray


@dataclass(frozen=True)
class TreeShapley:
    """Path-dependent TreeSHAP of a whole booster.

    phi_i = sum over leaves, v * sum over S in M - i of |S|! (m - |S| - 1)! / m! * prod_{j in S} o_j *
    prod_{j not in S + i} z_j * (o_i - z_i): M the m columns on the leaf's path, o_j whether the row passes all splits
    on column j, z_j the fraction of training weight that does, v the leaf's value.

    Source: Lundberg et al. 2020, From local explanations to global understanding with explainable AI for trees,
    algorithm 1; the tables: Yang 2021, Fast TreeSHAP, section 3.2.
    """

    num_columns: int
    trees: tuple[tuple[_Tree, tuple[_Table, ...]], ...]

    @classmethod
    def of_booster(cls, booster: xgboost.Booster) -> Self | None:
        """The booster's tables; None where a tree is so deep that tables would not pay."""
        learner = json.loads(booster.save_raw("json"))["learner"]
        trees = []
        for plain in learner["gradient_booster"]["model"]["trees"]:
            tree = _Tree.of_json(plain)
            tables = _tables_of(tree)
            if tables is None:
                return None
            trees.append((tree, tables))
        return cls(int(learner["learner_model_param"]["num_feature"]), tuple(trees))

    def contributions(self, values: np.ndarray) -> np.ndarray:
        """Shape: (N, F) float32 with NaN for missing -> (N, F) float64 log odds."""
        result = np.zeros(values.shape)
        for start in range(0, len(values), ROWS_PER_BLOCK):
            block = slice(start, start + ROWS_PER_BLOCK)
            result[block] = self._block(np.ascontiguousarray(values[block].T)).T
        return result

    def _block(self, columns: np.ndarray) -> np.ndarray:
        """Shape: (F, N) -> (F, N)."""
        result = np.zeros(columns.shape)
        looked_up = np.empty(columns.shape[1])
        for tree, tables in self.trees:
            splits = {split for table in tables for split in table.splits}
            is_left = {split: tree.goes_left(split, columns).view(np.uint8) for split in splits}
            for table in tables:
                bits = np.zeros(columns.shape[1], dtype=np.uint8)
                for position, split in enumerate(table.splits):
                    bits |= is_left[split] << np.uint8(position)
                pattern = bits.astype(np.intp)
                for column, contribution in zip(table.columns, table.values, strict=True):
                    # "clip" is the fast way of `take`; no pattern lies outside the table
                    result[column] += contribution.take(pattern, out=looked_up, mode="clip")
        return result


def _tables_of(tree: _Tree) -> tuple[_Table, ...] | None:
    """Tables of subtrees as large as MAX_SPLITS allows; None if a path alone is longer."""
    tables = []
    open_subtrees: list[tuple[int, tuple]] = [(0, ())]
    while open_subtrees:
        node, path = open_subtrees.pop()
        if len(path) > MAX_SPLITS:
            return None
        splits = [split for split, _ in path] + tree.inner_below(node)
        if len(splits) > MAX_SPLITS:
            open_subtrees += [(tree.left[node], (*path, (node, True)))]
            open_subtrees += [(tree.right[node], (*path, (node, False)))]
        elif splits:
            tables.append(_table(tree, splits, tree.leaf_paths(node, path)))
    return tuple(tables)


def _table(tree: _Tree, splits: Sequence[int], leaf_paths: Sequence[tuple[int, tuple]]) -> _Table:
    """The summed contributions of some leaves for every pattern of the splits' outcomes."""
    columns = sorted({int(tree.column[split]) for split in splits})
    patterns = np.arange(2 ** len(splits))
    is_left = {split: (patterns >> bit & 1).astype(bool) for bit, split in enumerate(splits)}
    values = np.zeros((len(columns), len(patterns)))
    for leaf, path in leaf_paths:
        passes: dict[int, np.ndarray] = {}
        fraction: dict[int, float] = {}
        for split, is_left_side in path:
            column = int(tree.column[split])
            child = (tree.left if is_left_side else tree.right)[split]
            passes[column] = passes.get(column, True) & (is_left[split] == is_left_side)
            fraction[column] = fraction.get(column, 1.0) * float(tree.cover[child] / tree.cover[split])
        shares = _shapley_of_leaf(np.array(list(passes.values()), dtype=float), np.array(list(fraction.values())))
        rows = [columns.index(column) for column in passes]
        values[rows] += float(tree.threshold[leaf]) * shares
    return _Table(tuple(splits), tuple(columns), values)


def _shapley_of_leaf(passes: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    """Shapley values of the game S -> prod_{j in S} o_j prod_{j not in S} z_j, for P patterns at once.

    Shape: o (m, P) of 0 and 1, z (m,) -> (m, P).
    """
    num_columns, num_patterns = passes.shape
    weights = [
        factorial(size) * factorial(num_columns - size - 1) / factorial(num_columns) for size in range(num_columns)
    ]
    shares = np.empty_like(passes)
    for i in range(num_columns):
        by_size = np.zeros((num_columns, num_patterns))  # sum over sets S of one size of their products
        by_size[0] = 1.0
        for j in range(num_columns):
            if j != i:
                grown = by_size * fraction[j]
                grown[1:] += by_size[:-1] * passes[j]
                by_size = grown
        shares[i] = (passes[i] - fraction[i]) * (np.array(weights) @ by_size)
    return shares
