"""Learners: fitted models behind one surface. To register one is to be tested (tests/test_learners.py)."""

# Importing a module files its learner in LEARNERS.
from core.learners import (  # noqa: F401
    blend,
    boosted_trees,
    domain_tagged,
    kernel_logistic,
    logistic_regression,
    random_forest,
    score_stacked,
    scorecard,
    text_encoder,
    text_fusion,
)
from core.learners.base import LEARNERS, Learner, load_learner, save_learner

__all__ = ["LEARNERS", "Learner", "load_learner", "save_learner"]
