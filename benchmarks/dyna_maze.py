"""Sutton's Dyna maze (Sutton & Barto 2018, example 8.1, figure 8.2): steps an episode with 0, 5 and 50 planning steps.

    python benchmarks/dyna_maze.py [--quick] [--seed 0] [--json PATH]

A 6 x 9 grid, start to goal in 14 steps at least; a reward of 1 at the goal. alpha 0.1, epsilon 0.1, gamma 0.95,
averaged over 30 runs of 50 episodes, the same seeds for every n; prioritised sweeping with alpha 0.5, as in section
8.4. The table is driven directly (a state's key is its cell); `DynaQ` is that table behind features and a world model.
"""

from __future__ import annotations

import statistics

import torch
from common import Figures, options

from gedanken.agent.planning.q_table import QConfig, QTable

MAZE = (".......#G",
        "..#....#.",
        "S.#....#.",
        "..#......",
        ".....#...",
        ".........")
ALPHA, EPSILON, GAMMA, SHORTEST = 0.1, 0.1, 0.95, 14


def moves() -> tuple[list[list[int]], int, int]:
    """Where each action (up, down, right, left) leads from each cell; the start; the goal."""
    height, width, cells = len(MAZE), len(MAZE[0]), "".join(MAZE)
    to = []
    for cell in range(height * width):
        y, x = divmod(cell, width)
        near = [(y - 1, x), (y + 1, x), (y, x + 1), (y, x - 1)]
        to.append([j * width + i if 0 <= j < height and 0 <= i < width and MAZE[j][i] != "#" else cell
                   for j, i in near])
    return to, cells.index("S"), cells.index("G")


def run(updates: int, episodes: int, seed: int, config: QConfig) -> tuple[list[int], int]:
    """Steps of each episode, and the length of the greedy path that was learned (0: it leads nowhere)."""
    to, start, goal = moves()
    table, rng = QTable(4, config), torch.Generator().manual_seed(seed)
    lengths = []
    for _ in range(episodes):
        cell, steps = start, 0
        while cell != goal:
            greedy, chance = torch.rand(2, generator=rng, dtype=torch.float64).tolist()
            row = table.row(cell)
            action = int(chance * 4) if greedy < EPSILON else table.best(row, chance)
            after = to[cell][action]
            table.know(row, action, float(after == goal), GAMMA * (after != goal), table.row(after))
            table.update(row, action)
            if updates:
                table.plan(updates, rng)
            cell, steps = after, steps + 1
        lengths.append(steps)
    cell, greedy_steps = start, 0
    while cell != goal and greedy_steps < 100:
        cell, greedy_steps = to[cell][table.best(table.row(cell), 0.0)], greedy_steps + 1
    return lengths, greedy_steps if cell == goal else 0


def main() -> None:
    args = options(__doc__ or "", runs=(int, 30, "runs to average"), episodes=(int, 50, "episodes a run"))
    torch.set_num_threads(1)
    runs, episodes = (5, 20) if args.quick else (args.runs, args.episodes)
    figures = Figures()
    for name, updates in (("n = 0", 0), ("n = 5", 5), ("n = 50", 50), ("swept, n <= 5", 5)):
        config = QConfig(0.5, sweep=True) if "swept" in name else QConfig(ALPHA)
        found = [run(updates, episodes, seed, config) for seed in range(args.seed, args.seed + runs)]
        mean = [statistics.fmean(lengths[e] for lengths, _ in found) for e in range(episodes)]
        print(f"    {name}: mean steps of episodes 1 to 10: {' '.join(f'{m:.0f}' for m in mean[:10])}", flush=True)
        for episode in (2, 3, 5, 10, episodes):
            figures.add(f"{name}: steps of episode {episode}", [lengths[episode - 1] for lengths, _ in found], "steps")
        settled = [next((e + 1 for e in range(episodes) if lengths[e] <= 1.5 * SHORTEST), episodes)
                   for lengths, _ in found]
        figures.add(f"{name}: first episode within 1.5 times the shortest", settled, "episode")
        figures.add(f"{name}: greedy path is the shortest", [float(path == SHORTEST) for _, path in found], "share",
                    "1" if updates == 50 else "")
    figures.write(args.json)


if __name__ == "__main__":
    main()
