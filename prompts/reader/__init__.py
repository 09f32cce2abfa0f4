"""The reader: a small network, trained here and shipped with the package, that reads a sentence as rule lines."""
