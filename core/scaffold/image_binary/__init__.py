"""Templates of a vertical that scores pictures for one of two outcomes."""
