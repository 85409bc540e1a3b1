"""The HTTP interface that predictor and proxy have in common: messages, problems, API pages, the server."""
