"""The assets of a use case, one file for each noun; each file makes its definitions from a use case."""
