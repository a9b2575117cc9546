"""DICOM out: an opinion on a radiograph as a structured report, and its overlay as a secondary capture."""
