"""Few-shot tasks with the offline model: zero-shot, random, nearest and diverse demonstrations, on test splits.

    python benchmarks/fewshot.py [--tasks intents,headlines] [--arms zero-shot,random,nearest] [--seeds 3]
                                 [--quick] [--seed 0] [--json PATH] [--journal FOLDER] [--minutes 3.5]

A seed draws the pool (three quarters of the demonstrations) and the random choices; all arms of a seed share its pool.
Settings (count, decoding) are the task files', tuned on dev splits. Answers are kept a line each: run it again to go on
where `--minutes` ended it. Beside it: a vote of the nearest demonstrations without a language model, and the choices of
langchain-core's SemanticSimilarityExampleSelector.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import torch
from common import Figures, options
from langchain_core.example_selectors import SemanticSimilarityExampleSelector
from langchain_core.vectorstores import InMemoryVectorStore

from gedanken.prompts import Gateway, GatewayConfig, LocalChatModel
from gedanken.prompts.tasks.evaluation import Arm, Result, draw_pool, evaluate
from gedanken.prompts.tasks.journal import Journal
from gedanken.prompts.tasks.taskfile import TaskFile, find_task, load_task

POOL = 0.75


class OutOfTime(Exception):
    """The minutes of this piece are over."""


def main() -> None:
    args = options(
        __doc__ or "",
        tasks=(str, "intents,headlines", "which tasks"),
        arms=(str, "zero-shot,random,nearest", "which arms, of zero-shot, random, nearest, diverse"),
        seeds=(int, 3, "how many seeds"),
        journal=(Path, Path("runs/fewshot"), "folder of the answers"),
        minutes=(float, 1e9, "stop after so many minutes; the same command goes on there"),
    )
    torch.set_num_threads(1)
    deadline = time.monotonic() + 60 * args.minutes
    figures = Figures()

    def watch(done: int, of_all: int) -> None:
        if time.monotonic() > deadline:
            raise OutOfTime

    seeds = range(args.seed, args.seed + (1 if args.quick else args.seeds))
    gateway = Gateway(LocalChatModel(), GatewayConfig(timeout_s=600))
    try:
        for name in ["intents"] if args.quick else args.tasks.split(","):
            file = load_task(find_task(name))
            items = file.test[: 7 if args.quick else None]
            k = file.task.count
            arms = [
                Arm(arm, {"count": 0, "selection": "fixed"} if arm == "zero-shot" else {"count": k, "selection": arm})
                for arm in args.arms.split(",")
            ]
            journal = Journal(None if args.quick else args.journal / f"{name}.jsonl")
            print(f"{name}: {len(items)} test items, {k} demonstrations of {len(file.task.demonstrations)}", flush=True)
            result = evaluate(file.task, items, gateway, arms, seeds, POOL, journal, file.scorer, watch)
            for metric in result.metrics:
                for one in result.results:
                    figures.add(f"{name}, {one.arm.name}: {metric}", one.values[metric], "")
            compare(figures, name, result.metrics[0], {one.arm.name: one for one in result.results})
            if name == "intents":
                figures.add("intents, vote of the 7 nearest, no model: accuracy", vote(file, list(seeds), 7), "")
            beside_langchain(figures, file, list(seeds), len(items))
    except OutOfTime:
        sys.exit(f"{args.minutes:g} minutes are over; the answers are kept, run the same command again")
    figures.write(args.json)


def compare(figures: Figures, name: str, metric: str, results: dict[str, Result]) -> None:
    """The differences of arms, seed by seed."""
    for better, worse in (("nearest", "random"), ("random", "zero-shot"), ("nearest", "zero-shot")):
        if better in results and worse in results:
            pairs = zip(results[better].values[metric], results[worse].values[metric], strict=True)
            figures.add(f"{name}, {better} - {worse}: {metric}", [b - w for b, w in pairs], "", "> spread")


def vote(file: TaskFile, seeds: list[int], k: int) -> list[float]:
    """Accuracy of the majority label of the k nearest demonstrations, the nearest deciding a tie."""
    shares = []
    for seed in seeds:
        pool = draw_pool(file.task.demonstrations, POOL, seed)
        task = file.task.with_settings(demonstrations=pool, selection="nearest", count=k, order="best_first")
        votes = (Counter(d.output for d in task.select(item.input)).most_common(1)[0][0] for item in file.test)
        shares.append(sum(v == item.output for v, item in zip(votes, file.test, strict=True)) / len(file.test))
    return shares


def beside_langchain(figures: Figures, file: TaskFile, seeds: list[int], items: int) -> None:
    """How often langchain-core chooses the same demonstrations, and the ratio of the times it takes."""
    same, ratio = [], []
    for seed in seeds:
        pool = draw_pool(file.task.demonstrations, POOL, seed)
        task = file.task.with_settings(demonstrations=pool, selection="nearest", order="best_first")
        store = InMemoryVectorStore(file.task.similarity)
        peer = SemanticSimilarityExampleSelector(vectorstore=store, k=task.count, input_keys=["input"])
        store.add_texts([d.input for d in pool], metadatas=[{"input": d.input} for d in pool])
        queries = [item.input for item in file.test[:items]]
        file.task.similarity.embed_documents(queries)  # both choose from known vectors
        task.select(queries[0])
        started = time.perf_counter()
        ours = [[d.input for d in task.select(query)] for query in queries]
        between = time.perf_counter()
        theirs = [[found["input"] for found in peer.select_examples({"input": query})] for query in queries]
        ratio.append((between - started) / (time.perf_counter() - between))
        same.append(sum(a == b for a, b in zip(ours, theirs, strict=True)) / len(queries))
    figures.add(f"{file.path.stem}: langchain chooses the same", same, "share of inputs")
    figures.add(f"{file.path.stem}: time to choose, ours / langchain", ratio, "x")


if __name__ == "__main__":
    main()
