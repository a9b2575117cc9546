"""Forecasts of time series and their proof: targets, folds in time, losses, tests of two or many methods, tail risk.

Rows are days in time order. A forecast of row t is made at the end of day t and knows no later day. Returns are
percent a day, variances percent squared a day.
"""
