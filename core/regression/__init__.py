"""Predicted numbers (a sum, a duration) and their proof: metrics, intervals, bands, slices and the transfer ledger."""
