"""The use cases of this installation: each folder is one, by its `defs.yaml`."""
