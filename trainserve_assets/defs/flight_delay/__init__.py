"""Flights that arrive late: the use case that the platform is shown with."""
