"""Gymnasium's MuJoCo bodies: the numbers of the observation by generic names, written back as positions and speeds.

An observation begins with the positions (`qpos`, less those it leaves out) and the speeds (`qvel`); what follows
(forces, inertias) follows from these and cannot be written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UserError
from ..schema import Schema
from .classic import updated
from .generic import generic

if TYPE_CHECKING:
    import gymnasium


def mujoco(env: gymnasium.Env) -> Schema:
    """The generic schema; rules can correct its simulator where the observation says which numbers are which."""
    structure = getattr(env.unwrapped, "observation_structure", {})
    is_known = {"skipped_qpos", "qpos", "qvel"} <= set(structure)
    schema = generic(env)
    return replace(schema, restore=_restore) if is_known else schema


def _restore(env: gymnasium.Env, features: Mapping[str, np.ndarray]) -> bool | None:
    inner: Any = env.unwrapped
    structure = inner.observation_structure
    skipped, positions, speeds = (int(structure[k]) for k in ("skipped_qpos", "qpos", "qvel"))
    wanted = np.concatenate([np.ravel(v) for v in features.values()]).astype(np.float64)
    shown = np.asarray(inner._get_obs(), np.float64)
    rest = slice(positions + speeds, None)
    if not np.allclose(wanted[rest], shown[rest].astype(np.float32)):
        raise UserError("only the positions and speeds of a MuJoCo body can be written: the other numbers that it "
                        "shows follow from them")
    qpos, qvel = inner.data.qpos.copy(), inner.data.qvel.copy()
    # A speed that is shown clipped and was not changed stays what it was.
    is_new = shown.astype(np.float32) != wanted.astype(np.float32)
    qpos[skipped:] = np.where(is_new[:positions], wanted[:positions], qpos[skipped:])
    qvel[:] = np.where(is_new[positions:rest.start], updated(qvel, wanted[positions:rest.start]), qvel)
    inner.set_state(qpos, qvel)
    healthy = getattr(inner, "is_healthy", None)
    return None if healthy is None else not healthy and bool(getattr(inner, "_terminate_when_unhealthy", True))
