"""Learners: fitted models behind one surface. To register one is to be tested (tests/test_learners.py)."""

# Importing a module files its learner in LEARNERS.
from core.learners import (  # noqa: F401
    aligned,
    anomaly_guided,
    blend,
    boosted_trees,
    domain_tagged,
    gaussian_features,
    golden_template,
    image_classifier,
    image_probe,
    kernel_logistic,
    logistic_regression,
    memory_bank,
    one_class_ensemble,
    random_forest,
    score_stacked,
    scorecard,
    student_teacher,
    surface_cues,
    text_encoder,
    text_fusion,
    weight_soup,
)
from core.learners.base import LEARNERS, Learner, load_learner, save_learner

__all__ = ["LEARNERS", "Learner", "load_learner", "save_learner"]
