"""What is said of a case beside its decision: which kind of positive it is, and findings; measured, told, shown."""
