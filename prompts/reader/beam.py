"""Beam search over rule tokens: the likeliest readings of one sentence, each with its log-probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import torch

from .codec import START, STOP, WORD_ID
from .network import MAX_OUTPUT, Memory, Network, Question


@torch.inference_mode()
def search(network: Network, question: Question, width: int, best: int) -> list[tuple[list[int], float]]:
    """Up to `best` whole outputs for a question of one row, the likeliest first, as (ids, log-probability)."""
    memory = network.read(question)
    alive: list[tuple[list[int], float]] = [([WORD_ID[START]], 0.0)]
    done: list[tuple[list[int], float]] = []
    stop = WORD_ID[STOP]
    for _ in range(MAX_OUTPUT - 1):
        ids = torch.tensor([prefix for prefix, _ in alive])
        logp = network.write(_repeated(memory, len(alive)), ids)[:, -1].float().log_softmax(-1)
        total = logp + torch.tensor([score for _, score in alive])[:, None]
        scores, flat = total.flatten().topk(min(2 * width, total.numel()))
        grown: list[tuple[list[int], float]] = []
        for score, place in zip(scores.tolist(), flat.tolist(), strict=True):
            row, token = divmod(place, total.shape[1])
            if token == stop:
                done.append((alive[row][0][1:], score))
            elif len(grown) < width:
                grown.append(([*alive[row][0], token], score))
        done = sorted(done, key=lambda pair: -pair[1])[:best]
        if not grown or (len(done) == best and grown[0][1] <= done[-1][1]):
            break
        alive = grown
    return done


@torch.inference_mode()
def likelihoods(network: Network, question: Question, outputs: Sequence[Sequence[int]]) -> list[float]:
    """The log-probability of each of some whole outputs for a question of one row."""
    if not outputs:
        return []
    memory = network.read(question)
    rows = [[WORD_ID[START], *ids, WORD_ID[STOP]] for ids in outputs]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [WORD_ID[STOP]] * (longest - len(row)) for row in rows])
    logp = network.write(_repeated(memory, len(rows)), ids[:, :-1]).float().log_softmax(-1)
    each = logp.gather(-1, ids[:, 1:, None])[..., 0]
    return [float(each[i, : len(row) - 1].sum()) for i, row in enumerate(rows)]


def _repeated(memory: Memory, n: int) -> Memory:
    return Memory(**{f.name: getattr(memory, f.name).expand(n, *getattr(memory, f.name).shape[1:])
                     for f in fields(memory)})
