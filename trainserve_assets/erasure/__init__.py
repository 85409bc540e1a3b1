"""Erasing one entity from all that a use case keeps: `trainserve erase`, and what maintenance does for it afterwards."""
