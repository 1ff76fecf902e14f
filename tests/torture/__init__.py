"""Faults, made on purpose, against the real system."""
