"""The predictor: serves, on one arm of one use case, only what the ledger shows released there."""
