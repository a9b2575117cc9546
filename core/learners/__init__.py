"""Learners: fitted models behind one surface. To register one is to be tested (tests/test_learners.py)."""

from core.learners.base import LEARNERS, Learner, load_learner, save_learner

__all__ = ["LEARNERS", "Learner", "load_learner", "save_learner"]
