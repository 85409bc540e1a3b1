"""The demonstration: the whole loop on a use case's own history, played through its front doors."""

USE_CASE = "flight_delay"
