"""The embedded language model: time to the first token, tokens a second one by one and in batches, with and without a
grammar; beside transformers' own `generate` on the same weights, in the same run, as a ratio.

    python benchmarks/local_model.py [--quick] [--seed 0] [--json PATH]

A prompt is 300 tokens of a world's description, the same for all questions, and a short question. All decode greedily,
on one thread. Seconds are the process's own on the processor, which on an idle machine are those of the clock; what the
first token took by the clock stands beside it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import torch
from common import Figures, options

from gedanken.prompts.local.decoding import Decoder
from gedanken.prompts.local.grammars import compile_grammar
from gedanken.prompts.local.loading import load
from gedanken.prompts.local.writing import Decoding

PROMPT_TOKENS = 300
ROWS = 8
THINGS = ("door", "key", "box", "wall", "lamp", "ball", "chest", "ladder", "window", "bell", "rope", "stone")
QUESTIONS = ("Tell a long story of the {}.", "Explain in detail what one can do with the {}, and why.",
             "Write a long letter about the {} to a friend who has never seen it.")
GRAMMAR = 'root ::= sentence{40}\nsentence ::= [A-Z] [a-z ]{20,60} ". "'


def main() -> None:
    args = options(__doc__ or "", tokens=(int, 16, "tokens an answer"), repeats=(int, 3, "repetitions"))
    figures = Figures()
    torch.set_num_threads(1)
    tokens, repeats = (8, 1) if args.quick else (args.tokens, args.repeats)
    decoder, rng = load("local"), random.Random(args.seed)
    world = description(decoder, rng)
    prompts = [encoded(decoder, world, rng) for _ in range(ROWS)]
    print(f"  prompts of {min(map(len, prompts))} to {max(map(len, prompts))} tokens, answers of {tokens}", flush=True)
    how = Decoding(max_tokens=tokens)
    grammar = compile_grammar(decoder, GRAMMAR)
    list(decoder.generate(prompts[0], Decoding(max_tokens=1)))  # what is loaded at first use is not what is measured
    rows: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        rows.setdefault(name, []).append(value)

    for turn in range(repeats):
        one, other = prompts[turn % ROWS], prompts[(turn + 1) % ROWS]
        plain = timed(lambda one=one: plain_generate(decoder, [one], 1))
        decoder.prefixes._kept.clear()
        cold = timed(lambda one=one: next(decoder.generate(one, how)))
        shown = time.perf_counter()
        warm = timed(lambda other=other: next(decoder.generate(other, how)))
        add("first token, warm prefix, by the clock|s", time.perf_counter() - shown)
        for name, value in (("plain generate", plain), ("cold", cold), ("warm prefix", warm)):
            add(f"first token, {name}|s", value)
        add("first token, warm prefix, over plain|ratio", warm / plain)

        free, plain = rate(decoder, one, how), plain_rate(decoder, one, tokens)
        add("one by one: after the first token|tokens/s", free)
        add("one by one: plain generate|tokens/s", plain)
        add("one by one: ours over plain|ratio", free / plain)
        held = rate(decoder, one, how, grammar)
        add("one by one: under a grammar|tokens/s", held)
        add("one by one: grammar on over off|ratio", held / free)

        decoder.prefixes.read(one)
        together = timed(lambda: decoder.generate_together(prompts, how))
        alone = sum(timed(lambda p=p: list(decoder.generate(p, how))) for p in prompts[:2]) * ROWS / 2
        plain = timed(lambda: plain_generate(decoder, prompts, tokens))
        written = ROWS * tokens
        add(f"batch of {ROWS}, warm prefix|tokens/s", written / together)
        add(f"batch of {ROWS}: plain generate, padded|tokens/s", written / plain)
        add(f"batch of {ROWS}: ours over plain|ratio", plain / together)
        add(f"batch of {ROWS}: over one by one, warm|ratio", alone / together)
    for name, values in rows.items():
        title, unit = name.split("|")
        figures.add(title, values, unit, "< 1 s" if "warm prefix, by the clock" in title else "")
    figures.write(args.json)


def description(decoder: Decoder, rng: random.Random) -> str:
    """About 300 tokens, as a schema and its instructions are: the same at the beginning of every prompt."""
    text = "Answer from what is said of this world."
    while decoder.count(text) < PROMPT_TOKENS - 40:
        text += f" The {rng.choice(THINGS)} is beside the {rng.choice(THINGS)}, {rng.randint(2, 9)} steps away."
    return text


def encoded(decoder: Decoder, world: str, rng: random.Random) -> list[int]:
    question = rng.choice(QUESTIONS).format(rng.choice(THINGS))
    return decoder.encode([{"role": "system", "content": world}, {"role": "user", "content": question}])


def timed(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Seconds that some work takes, by the processor or another clock."""
    started = clock()
    work()
    return clock() - started


def rate(decoder: Decoder, prompt: list[int], how: Decoding, grammar: object = None) -> float:
    """Tokens a second of one answer after its first."""
    moments = [(time.process_time(), piece.tokens) for piece in decoder.generate(prompt, how, grammar)]
    (first, before), (last, tokens) = moments[0], moments[-1]
    return (tokens - before) / (last - first)


def plain_rate(decoder: Decoder, prompt: list[int], tokens: int) -> float:
    """Tokens a second of transformers' own loop after the first."""
    moments = Moments()
    plain_generate(decoder, [prompt], tokens, moments)
    return (tokens - 1) / (moments.seen[-1] - moments.seen[1])  # the prompt is put first


class Moments:
    """When transformers' `generate` put out the prompt and each token."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def put(self, value: torch.Tensor) -> None:
        self.seen.append(time.process_time())

    def end(self) -> None: ...


@torch.inference_mode()
def plain_generate(decoder: Decoder, prompts: Sequence[list[int]], tokens: int, streamer: object = None) -> None:
    """What `model.generate` does with the same prompts, padded on the left, for exactly so many tokens."""
    width, pad = max(map(len, prompts)), decoder.ends[-1]
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    decoder.model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=tokens, min_new_tokens=tokens,
                           pad_token_id=pad, streamer=streamer)


if __name__ == "__main__":
    main()
