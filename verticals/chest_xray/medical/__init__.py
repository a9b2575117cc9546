"""MONAI the way the field uses it: bundle, maps with their sanity check, datasets, transforms and metrics."""
