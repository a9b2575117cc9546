"""Verticals that score rows of a table: scorer, prediction of files and records, reasons, sections of the report."""
