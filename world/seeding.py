"""Seeds from counters: what is random at a step is a function of the step, so that no state of it need be kept."""

from __future__ import annotations

_M = 2**64


def mixed(*numbers: int) -> int:
    """One seed below 2^63 for some counters; neighbours have nothing in common (the finaliser of splitmix64)."""
    x = 0
    for number in numbers:
        x = (x * 0x9E3779B97F4A7C15 + number + 0xD1B54A32D192ED03) % _M
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> shift)) * factor % _M
        x ^= x >> 31
    return x >> 1
