"""English sentences of rules and limits, read word by word by a grammar over a schema's vocabulary."""

from .reader import English, Reader

__all__ = ["English", "Reader"]
