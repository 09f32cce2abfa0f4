"""Saving and loading an agent: a folder with everything, of which every file is whole at any moment.

    agent.safetensors   weights, optimiser, random states, the training and the episode under way (belief, goals); in
                        its header, as JSON: versions, schema, counters, settings, short-term memory
    rules.txt           the rules, for people to read, edit and diff
    rules.json          their provenance and evidence
    memory.db           every transition and note
    calls.jsonl         every call of a language model, as a record; not loaded
    journal.jsonl       what a report tells of, with episodes/; not loaded (see journal.py)

Each file is written aside and renamed; the memory is durable by itself. Nothing that is loaded can run code.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..files import write_bytes
from ..prompts.embeddings import LocalEmbeddings
from ..world import processes
from ..world.models.build import name_of
from ..world.schema import Schema
from ..world.unseen import Unseen
from . import underway
from .adapting import Deployment
from .agent import CALLS, Agent
from .packing import pack as pack_state
from .packing import unpack as unpack_state
from .planning.build import planner_name
from .planning.learner import Learner

if TYPE_CHECKING:
    import gymnasium

FORMAT = 3
STATE, MEMORY = "agent.safetensors", "memory.db"


def save(agent: Agent, folder: Path) -> None:
    """Write the agent to `folder`; of several processes only the first one does. Raises `GedankenError` where the disk
    does not let it; what was there stays."""
    from safetensors.torch import save as pack

    if not processes.state().is_main_process:
        return
    mind = agent.mind
    header: dict[str, Any] = {
        "format": FORMAT,
        "env": agent.env.spec.id if agent.env.spec else None,
        "schema": agent.schema.identity(),
        "view": "full" if agent.schema.sight is None else "partial",
        "seed": agent.seed,
        "llm": agent.llm if isinstance(agent.llm, str) else None,
        "embeddings": agent.embeddings.model if isinstance(agent.embeddings, LocalEmbeddings) else None,
        "model": name_of(mind.learned),
        "planner": planner_name(agent.planner),
        "trained_on": agent.trained_on,
        "recalled": list(agent.recalling.seen),
        "deployment": asdict(agent.deployment) if agent.deployment else None,
        "replay": mind.replay.state_dict(),
        "recent": mind.recent.state_dict(),
        "confidence": mind.affect.confidence,
        "visits": {str(k): v for k, v in mind.affect.visits.items()},
    }
    tensors = {"rng": mind.rng.get_state()}
    if isinstance(mind.learned, nn.Module) and agent.trainer is not None:
        tensors |= {f"model.{k}": v.contiguous() for k, v in mind.learned.state_dict().items()}
        more, header["trainer"] = pack_state(agent.trainer.state_dict(), "trainer")
        tensors |= more
    if isinstance(agent.planner, Learner):
        learned, header["learner"] = pack_state(agent.planner.state_dict(), "learner")
        tensors |= learned
    if mind.unseen is not None:
        tensors |= {"unseen.contexts": torch.from_numpy(mind.unseen.contexts),
                    "unseen.counts": torch.from_numpy(mind.unseen.counts)}
    episode, header["underway"] = pack_state(underway.state(agent), "underway")
    tensors |= episode
    folder.mkdir(parents=True, exist_ok=True)
    if mind.memory.path is None or Path(mind.memory.path).resolve() != (folder / MEMORY).resolve():
        mind.memory.snapshot(folder / MEMORY)
    if mind.knowledge.gateway is not None:
        mind.knowledge.gateway.record.move_to(folder / CALLS)
    agent.journal.move_to(folder)
    mind.knowledge.save(folder)
    write_bytes(folder / STATE, pack(tensors, {"gedanken": json.dumps(header)}))


def load(folder: Path, env: gymnasium.Env, **options: Any) -> Agent:
    """The agent saved in `folder`. `env` must be the same world; where only its size differs, the weights and rules
    are taken on and experience starts anew in the same memory. `options` are those of `Agent`.

    Raises `UserError` for a folder that is not a saved agent, a damaged or newer file, or another world.
    """
    header, tensors = _read(folder)
    schema = options.pop("schema", None) or Schema.from_env(env, view=header.get("view", "full"))
    if difference := schema.difference(header["schema"], sizes=False):
        raise UserError(
            f"{folder} was saved for another world ({header['env']}): {difference}; "
            "load it with the environment it was made for"
        )
    options = {
        "seed": header["seed"],
        "llm": header["llm"],
        "embeddings": header.get("embeddings"),
        "model": header["model"],
        "planner": header.get("planner") or "auto",
        "memory": folder / MEMORY,
    } | options
    agent = Agent(env, schema=schema, **options)
    mind = agent.mind
    _restore_model(agent, header, tensors, folder)
    mind.rng.set_state(tensors["rng"])
    mind.knowledge.load(folder)
    if schema.sight is not None and "unseen.counts" in tensors:
        mind.unseen = Unseen(schema, tensors["unseen.contexts"].numpy(), tensors["unseen.counts"].numpy())
    agent.journal.move_to(Path(agent.mind.memory.path).parent)
    if not schema.difference(header["schema"]):
        mind.replay.load_state_dict(header["replay"], exact=False)
        mind.recent.load_state_dict(header["recent"])
        mind.affect.confidence = header["confidence"]
        mind.affect.visits = {int(k): v for k, v in header["visits"].items()}
        agent.trained_on = header["trained_on"]
        train, held_out = header.get("recalled", (0, 0))
        agent.recalling.seen = train, held_out
        if isinstance(agent.planner, Learner) and planner_name(agent.planner) == header.get("planner"):
            agent.planner.load_state_dict(unpack_state(header["learner"], tensors), schema)
        agent.deployment = Deployment(**header["deployment"]) if header.get("deployment") else None
        if agent.trainer is not None:
            agent.trainer.rest(agent.lessons())
    agent.refresh()
    if header.get("underway") and not schema.difference(header["schema"]):
        underway.resume(agent, unpack_state(header["underway"], tensors), header["recent"])
    return agent


def saved_env(folder: Path) -> str | None:
    """The id of the environment an agent was saved with."""
    return _read(folder)[0]["env"]


def saved_header(folder: Path) -> dict[str, Any]:
    """What is said of a saved agent besides its tensors: world, model, planner, counters. Raises `UserError` as `load`
    does."""
    return _read(folder)[0]


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    path = folder / STATE
    if not path.is_file():
        raise UserError(
            f"{folder} is not a saved agent (it has no {STATE}); give the folder that agent.save or "
            "`gedanken learn --out` wrote"
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["gedanken"])
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 - a safetensors file is no mapping
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise UserError(f"{path} is damaged or no agent ({error}); restore it from a copy, or learn again") from error
    if header.get("format") != FORMAT:
        raise UserError(
            f"{path} has format {header.get('format')}, this version reads {FORMAT}; use a matching gedanken"
        )
    return header, tensors


def _restore_model(agent: Agent, header: dict[str, Any], tensors: dict[str, Tensor], folder: Path) -> None:
    model = agent.mind.learned
    if not isinstance(model, nn.Module) or agent.trainer is None:
        return
    weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"the weights in {folder} do not fit the model '{type(model).__name__}' (another version or "
            "size made them); load with the version that saved them, or learn again"
        ) from error
    agent.trainer.load_state_dict(unpack_state(header["trainer"], tensors))
