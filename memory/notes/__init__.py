"""Notes and facts: what is kept in words, where it came from, and how it is found again."""
