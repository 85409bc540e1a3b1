"""Windows: the figures of each day and arm, computed from the log as far as it was known."""
