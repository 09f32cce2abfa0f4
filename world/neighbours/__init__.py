"""Nearest past transitions as a prediction beside a parametric model's: what happened where it looked like this."""

from .model import Neighbours, NeighboursConfig

__all__ = ["Neighbours", "NeighboursConfig"]
