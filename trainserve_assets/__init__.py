"""The Dagster code location: dataset, candidates, evaluation, release, and what watches the log."""
