"""Ways to go on that a shield knows: every action held, none at all, and drawn ones.

One of them is to bring the agent to a stop, or around, before a limit: what brakes hardest holds one action, what
balances on the way is found among the drawn. They are the same at every look, so that a shield draws no luck.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..world.schema import Schema

MOST = 64
"""Actions of a discrete world that are held, at most."""
HELD = 3
"""Steps that a drawn action is held."""


def backups(schema: Schema, steps: int, drawn: int) -> Tensor:
    """`[steps, K, A]` action sequences of a schema, `drawn` of them random."""
    rng = torch.Generator().manual_seed(0)
    pieces = -(-steps // HELD)
    if schema.discrete_actions:
        every = schema.all_actions()
        held = every if len(every) <= MOST else every[torch.randperm(len(every), generator=rng)[:MOST]]
        some = every[torch.randint(len(every), (pieces, drawn), generator=rng)]
    else:
        size = len(schema.actions)
        held = schema.clamp(torch.tensor([[-torch.inf], [0.0], [torch.inf]]).expand(3, size))
        low, high = held[0], held[2]
        some = low + torch.rand(pieces, drawn, size, generator=rng) * (high - low)
        some = torch.where(torch.tensor([a.is_discrete for a in schema.actions]), some.round(), some)
    return torch.cat([held.expand(steps, -1, -1), some.repeat_interleave(HELD, 0)[:steps]], 1)
