"""The command `trainserve`, and the commands that need no package but this."""
