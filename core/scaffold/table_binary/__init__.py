"""Templates of a vertical that scores the rows of a table for one of two outcomes."""
