"""Dashboards over what the pipeline wrote and the saved models; they train nothing and change no artifact."""
