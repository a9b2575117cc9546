"""Pictures: decoded safely, fitted to one size, and handed to learners as cells of a table."""
