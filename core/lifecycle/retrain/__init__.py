"""Retraining on new domain data: one journaled run from a batch to a promoted model or a reasoned refusal."""
