"""Transitions and episodes: kept on disk in chunks, drawn from as sequences."""
