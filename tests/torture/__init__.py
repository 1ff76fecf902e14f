"""Faults on purpose: what facemem promises is looked up after each."""
