"""The release: who may decide, what was decided, and what is live because of it."""
