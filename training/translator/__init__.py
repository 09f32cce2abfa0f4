"""Training data and training of the translator from English to rules."""
