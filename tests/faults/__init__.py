"""Faults that a study must survive, each provoked for real: by `make faults`, and some times by pytest."""
