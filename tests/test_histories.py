"""Learning curves: that they tell the loss of the learner as it is, and whose part a row belongs to."""

import numpy as np
import pytest
from small_tables import make_table

from core.data.samples import concatenate
from core.learners import LEARNERS, load_learner, save_learner
from core.learners.part_histories import part_histories
from core.learners.table_encoding import tree_matrix

TREES = {"num_rounds": 25, "early_stopping_rounds": 0, "learning_rate": 0.1}


def log_loss_of(booster, samples, schema):
    margin = booster.predict(tree_matrix(samples, schema), output_margin=True).astype(float)
    chance = 1 / (1 + np.exp(-margin))
    return -np.mean([np.log(p if y else 1 - p) for p, y in zip(chance, samples.targets, strict=True)])


def test_boosted_trees_history_is_the_training_loss_after_so_many_rounds():
    table = make_table()
    learner = LEARNERS["boosted_trees"](TREES).fit(table)
    assert [row["step"] for row in learner.history_] == [1, 10, 20, 25]
    for row in learner.history_:
        assert row["loss"] == pytest.approx(log_loss_of(learner.boosters_[0][: row["step"]], table, learner.schema_))


def test_boosted_trees_history_with_valid_ends_at_the_best_round():
    table, valid = make_table(), make_table(200, seed=8)
    learner = LEARNERS["boosted_trees"]({**TREES, "num_rounds": 300, "early_stopping_rounds": 5}).fit(table, valid)
    last = learner.history_[-1]
    assert last["step"] == learner.boosters_[0].num_boosted_rounds()
    assert last["valid_loss"] == pytest.approx(log_loss_of(learner.boosters_[0], valid, learner.schema_))
    assert last["valid_loss"] == min(row["valid_loss"] for row in learner.history_)


def test_boosted_trees_bags_have_a_curve_each_and_a_second_fit_starts_anew():
    learner = LEARNERS["boosted_trees"]({**TREES, "num_bags": 2}).fit(make_table())
    assert [row["bag"] for row in learner.history_] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert len(learner.fit(make_table()).history_) == 8


def test_random_forest_history_is_its_training_loss():
    table = make_table()
    learner = LEARNERS["random_forest"]({"num_trees": 20}).fit(table)
    (row,) = learner.history_
    assert row["loss"] == pytest.approx(log_loss_of(learner.boosters_[0], table, learner.schema_))


def test_continued_boosters_have_a_curve_of_their_own_also_after_a_reload(tmp_path):
    source, target = make_table(200, seed=3), make_table(200, seed=4, slope=-1.0)
    learner = LEARNERS["boosted_trees"]({**TREES, "num_rounds": 60, "early_stopping_rounds": 10}).fit(source)
    before = list(learner.history_)
    save_learner(learner, tmp_path / "learner")
    for known in (learner, load_learner(tmp_path / "learner")):
        for valid in (None, make_table(200, seed=5, slope=-1.0)):
            grown = known.continue_on(target, valid)
            last = grown.history_[-1]
            assert last["loss"] == pytest.approx(log_loss_of(grown.boosters_[0], target, grown.schema_))
    assert learner.history_ == before


def test_blend_history_names_the_part_of_each_row_down_to_the_innermost():
    parts = [
        {"learner": "logistic_regression", "options": {"strength": 3.0}},
        {"learner": "boosted_trees", "options": TREES},
    ]
    table, source = make_table(), make_table(200, seed=3, domain="source")
    told = {"parts": parts, "use_equal_weights": True, "use_part_maps": False}
    blend = LEARNERS["blend"](told).fit(table)
    assert {row["part"] for row in blend.history_} == {"1_boosted_trees"}
    assert [row["loss"] for row in blend.history_] == [row["loss"] for row in blend.parts_[1].history_]
    stacked = LEARNERS["score_stacked"]({"learner": "blend", "options": told, "target_domain": "target"})
    stacked.fit(concatenate([source, table]))
    assert {row["part"] for row in stacked.history_} == {"source/1_boosted_trees", "target/1_boosted_trees"}


def test_part_histories_of_a_loaded_learner_are_empty(tmp_path):
    save_learner(LEARNERS["boosted_trees"](TREES).fit(make_table()), tmp_path / "learner")
    assert part_histories({"one": load_learner(tmp_path / "learner")}) == []
