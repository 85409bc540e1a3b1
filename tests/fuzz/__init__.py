"""A fuzz run of the decoders behind the predictor, against an oracle of its own."""
