"""Training the proposer: invented worlds, what surprises in them put into words, and the rule behind it."""
