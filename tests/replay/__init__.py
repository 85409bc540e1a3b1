"""The second half of 2013 lived through again, day by day: what monitoring would have said, and how soon of what goes wrong.

`python -m tests.replay` plays it, and writes the table of docs/monitoring.md; see `tests.replay.table`.
"""
