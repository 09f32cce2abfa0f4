"""The parts of the miner (`world/miner.py`): terms, conditions, claims, linear laws, guards, repairs."""
