"""The arrays of B search trees that grow side by side: what was imagined where, how often, and what it brought.

Slot 0 of each tree is its root; simulation n may fill slot n + 1. Statistics are kept an edge (state, action), not a
node, so that two ways into one state can share it: where features are discrete and the model is sure, a state that was
met before is linked, not stored twice. An edge of a chancy model has several outcomes, tried in turn.

Letters: B trees, M slots, A actions a node, K outcomes an edge, D numbers an action.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...world import tree
from ...world.model import State
from .objective import Carry


@dataclass
class SearchTree:
    """Everything known of B trees; `record` and `attach` change it in place."""

    states: State  # B * M rows
    carries: Carry  # B * M rows
    actions: Tensor  # [B, M, A, D]
    child: Tensor  # [B, M, A, K] slot of what follows; -1 where it was not imagined yet
    gain: Tensor  # [B, M, A, K]
    discount: Tensor  # [B, M, A, K] what the return from there on is worth here; 0 where the episode ends
    reached: Tensor  # [B, M, A, K] bool: the objective is attained by this step
    visits: Tensor  # [B, M, A]
    total: Tensor  # [B, M, A] returns of all visits, summed
    logits: Tensor  # [B, M, A] prior; -inf where the action is ruled out
    closed: Tensor  # [B, M, A] bool: nothing new lies beyond (known only where states are recognised)
    value: Tensor  # [B, M] what the node was thought to be worth when it was met
    key: Tensor  # [B, M] fingerprint, 0 in empty slots
    depth: Tensor  # [B, M] steps from the root when the node was met
    low: Tensor  # [B] the least and the greatest mean return of an edge
    high: Tensor  # [B]

    @staticmethod
    def rooted(state: State, carry: Carry, actions: Tensor, logits: Tensor, value: Tensor, slots: int,
               outcomes: int) -> SearchTree:
        """B trees of one node each: root `actions [B, A, D]` and `logits [B, A]`, room for `slots` nodes."""
        b, a, d = actions.shape

        def roomy(leaf: Tensor) -> Tensor:
            room = leaf.new_zeros(b, slots, *leaf.shape[1:])
            room[:, 0] = leaf
            return room.flatten(0, 1)

        def full(value: float, *shape: int) -> Tensor:
            return torch.full((b, *shape), float(value))

        edge, edges = (slots, a), (slots, a, outcomes)
        grown = SearchTree(
            tree.tree_map(roomy, state), tree.tree_map(roomy, carry), actions.new_zeros(b, slots, a, d),
            full(-1, *edges).long(), full(0, *edges), full(1, *edges), full(0, *edges).bool(), full(0, *edge),
            full(0, *edge), full(0, *edge), full(0, *edge).bool(), full(0, slots), full(0, slots).long(),
            full(0, slots).long(), full(torch.inf), full(-torch.inf))
        grown.actions[:, 0], grown.logits[:, 0], grown.value[:, 0] = actions, logits, value
        return grown

    @property
    def batch(self) -> int:
        return self.value.shape[0]

    @property
    def slots(self) -> int:
        return self.value.shape[1]

    def state(self, rows: Tensor, slot: Tensor) -> State:
        """The states in `slot [N]` of trees `rows [N]`."""
        return tree.take(self.states, rows * self.slots + slot)

    def carry(self, rows: Tensor, slot: Tensor) -> Carry:
        return tree.take(self.carries, rows * self.slots + slot)

    def q(self, rows: Tensor, slot: Tensor) -> Tensor:
        """Mean returns of a node's actions, 0 where untried: `[N, A]`."""
        return self.total[rows, slot] / self.visits[rows, slot].clamp_min(1)

    def worth(self, rows: Tensor, slot: Tensor) -> Tensor:
        """The present estimate of a node's value: its own and all returns from it, averaged, `[N]`."""
        tried = self.visits[rows, slot].sum(-1)
        return (self.value[rows, slot] + self.total[rows, slot].sum(-1)) / (1 + tried)

    def prior(self, rows: Tensor, slot: Tensor) -> Tensor:
        """The logits of a node's actions `[N, A]`. As long as all returns in the tree are alike, ways that show nothing
        new are left out: the search spreads to new states until it has found something to compare."""
        alike = ~(self.high[rows] > self.low[rows])[:, None]
        return torch.where(self.closed[rows, slot] & alike, -torch.inf, self.logits[rows, slot])

    def outcome(self, rows: Tensor, slot: Tensor, action: Tensor) -> Tensor:
        """Which of an edge's outcomes is looked at next, `[N]`: one more each time the visits reach the next square
        (progressive widening, Couëtoux et al. 2011), all in turn."""
        visits = self.visits[rows, slot, action].long()
        return visits % (visits.float().sqrt().long() + 1).clamp_max(self.child.shape[3])

    def find(self, rows: Tensor, key: Tensor) -> Tensor:
        """The slot that holds the state with `key [N]`, -1 where none does: `[N]`."""
        same = self.key[rows] == key[:, None]
        return torch.where(same.any(1), same.long().argmax(1), -1)

    def goes_on(self, rows: Tensor, edge: Tensor) -> Tensor:
        """Whether a way leads on beyond `edge [3, N]` (node, action, outcome): what follows was imagined, is not the
        end, and is deeper than the node. A link back to where the search has been is not followed: it goes in circles.
        """
        child = self.child[rows, *edge]
        deeper = self.depth[rows, child.clamp_min(0)] > self.depth[rows, edge[0]]
        return (child >= 0) & deeper & (self.discount[rows, *edge] > 0)

    def attach(self, rows: Tensor, slot: int, depth: Tensor, state: State, carry: Carry, actions: Tensor,
               logits: Tensor, value: Tensor, key: Tensor) -> None:
        """Fill `slot` of the trees `rows [N]` with new nodes."""
        at = rows * self.slots + slot
        tree.tree_map(lambda store, new: store.index_copy_(0, at, new.to(store.dtype)), self.states, state)
        tree.tree_map(lambda store, new: store.index_copy_(0, at, new.to(store.dtype)), self.carries, carry)
        self.actions[rows, slot], self.logits[rows, slot] = actions, logits
        self.value[rows, slot], self.key[rows, slot], self.depth[rows, slot] = value, key, depth

    def record(self, rows: Tensor, slot: Tensor, action: Tensor, returns: Tensor) -> None:
        """One more visit of each edge, with what came of it `[N]`; no tree twice in one call."""
        self.visits[rows, slot, action] += 1
        self.total[rows, slot, action] += returns
        q = self.total[rows, slot, action] / self.visits[rows, slot, action]
        self.low[rows] = self.low[rows].minimum(q)
        self.high[rows] = self.high[rows].maximum(q)
