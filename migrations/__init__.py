"""The way from any older schema to this one, step by step. `python -m migrations` walks it."""
