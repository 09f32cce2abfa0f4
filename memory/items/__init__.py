"""What other programs keep in a memory file."""
