"""Templates of a vertical that predicts a number from table rows."""
