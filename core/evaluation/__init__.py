"""Metrics, intervals, paired tests, calibration, slices and the transfer ledger."""
