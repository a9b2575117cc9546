"""Streamlit dashboards: a router and thin pages over what the pipeline wrote. None is here yet."""
