"""An agent that does what it is told, in a house it has never been in.

    python examples/instructions.py [--quick]

It learns to walk by random play, is told the rest in a short manual, and is then given errands in words. Planning is
done in imagination; whether the errand was done is seen in the world. Needs `pip install "gedanken[minigrid]"`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gymnasium
import minigrid  # noqa: F401  registers the environments

from gedanken import Agent, UserError

MANUAL = Path(__file__).parent / "babyai" / "manual.txt"
ERRANDS = (
    "go to the object in front of you",
    "pick up a ball, then go to a key",
    "put a key next to a box",
    "pick up the unicorn",
)


def main(quick: bool = False, seed: int = 0) -> dict[str, bool]:
    """Which errands were done, of those that are understood."""
    env = gymnasium.make("BabyAI-PutNextLocal-v0")
    agent = Agent(env, llm=None, seed=seed)
    agent.tell(MANUAL.read_text(), source="manual")
    agent.learn(steps=600 if quick else 2_000, train=False)
    agent.train(steps=150 if quick else None)
    done = {}
    for errand in ERRANDS:
        try:
            played = agent.run(episodes=1, seed=7_000_000, unseen=False, max_steps=60, instruction=errand)
        except UserError as error:
            print(f"{errand}: {error}")
            continue
        episode = played.episodes[0]
        done[errand] = episode.solved
        print(f"{errand}: {'done' if episode.solved else 'not done'} after {episode.steps} steps. {episode.obstacle}")
    agent.close()
    return done


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
