"""Categorical latents: their probabilities, draws that let gradients pass, and the divergence between two of them.

Letters: S latents of K classes each; probabilities are `[..., S, K]`, codes `[..., S]`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def unimix(logits: Tensor, share: float) -> Tensor:
    """Probabilities with `share` of the uniform mixed in: no class ever becomes impossible."""
    return (1 - share) * logits.softmax(-1) + share / logits.shape[-1]


def draw(probs: Tensor, uniform: Tensor | None) -> Tensor:
    """Codes `[..., S]`: drawn by inverse transform from `uniform [..., S, 1]` numbers, or the most likely ones."""
    if uniform is None:
        return probs.argmax(-1)
    return (probs.cumsum(-1) < uniform).sum(-1).clamp_max_(probs.shape[-1] - 1)


def uniforms(*shape: int, rng: torch.Generator | None, like: Tensor) -> Tensor | None:
    """The randomness of draws `[*shape, 1]`; None, for the most likely codes, without `rng`."""
    return None if rng is None else torch.rand(*shape, 1, generator=rng, dtype=like.dtype, device=like.device)


def straight_through(codes: Tensor, probs: Tensor) -> Tensor:
    """One-hot codes `[..., S * K]` whose gradient is that of the probabilities (Bengio et al. 2013)."""
    onehot = F.one_hot(codes, probs.shape[-1]).to(probs.dtype)
    return (onehot + probs - probs.detach()).flatten(-2)


def kl(q: Tensor, p: Tensor) -> Tensor:
    """KL(q || p) summed over the latents, in nats: `[...]`."""
    return (q * (q.log() - p.log())).sum((-1, -2))


def coupled(codes: Tensor, old: Tensor, new: Tensor, rng: torch.Generator | None) -> Tensor:
    """Codes that were drawn from `old` made codes drawn from `new`, changing as few as possible (the maximal coupling).

    A code stays with probability min(1, new / old); otherwise it is drawn from what `new` has more than `old`. What
    does not depend on the difference between the two stays as it was. Without `rng` a code stays unless the most
    likely class changed.
    """
    if rng is None:
        best = new.argmax(-1)
        return torch.where(best == old.argmax(-1), codes, best)
    at = codes[..., None]
    keep, pick = torch.rand(2, *at.shape, generator=rng, dtype=new.dtype, device=new.device).unbind(0)
    stays = keep * old.gather(-1, at) <= new.gather(-1, at)
    more = (new - old).clamp_min(0)
    return torch.where(stays[..., 0], codes, draw(more / more.sum(-1, keepdim=True).clamp_min(1e-12), pick))
