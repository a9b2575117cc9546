"""One function for each stage of the DVC pipeline."""
