"""Environments that can be cloned, as exact world models."""

from .cloning import Cloning, Copies, Pair, cloning_of, pair
from .proof import check_clone
from .simulator import Simulator

__all__ = ["Cloning", "Copies", "Pair", "Simulator", "check_clone", "cloning_of", "pair"]
