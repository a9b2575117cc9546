"""Calibration maps: raw probabilities to ones that can be read as rates. One file a method."""

from core.evaluation.calibrators.base import CALIBRATORS, Calibrator
from core.evaluation.calibrators.isotonic import IsotonicCalibrator
from core.evaluation.calibrators.none import NoCalibrator
from core.evaluation.calibrators.platt import PlattCalibrator
from core.evaluation.calibrators.temperature import TemperatureCalibrator

__all__ = [
    "CALIBRATORS",
    "Calibrator",
    "IsotonicCalibrator",
    "NoCalibrator",
    "PlattCalibrator",
    "TemperatureCalibrator",
]
