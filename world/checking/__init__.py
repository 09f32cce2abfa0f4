"""Checking: what the data and logic say of rules."""
