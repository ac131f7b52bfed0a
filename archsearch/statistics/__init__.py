"""Intervals, tests and corrections on plain numbers; knows nothing of studies."""
