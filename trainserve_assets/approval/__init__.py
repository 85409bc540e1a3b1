"""The decision on a release: what is asked for, what must hold, how approvers sign it, and how it is recorded."""
