"""The spaces of a schema: its features and actions as Gymnasium's libraries take them, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ..errors import UserError, nearest
from ..world.schema import Feature, Schema


def observation_space(schema: Schema) -> spaces.Dict:
    """A space a feature: Discrete for what has few single values, Box for numbers and arrays."""
    return spaces.Dict({f.name: _space(f) for f in schema.features})


def action_space(schema: Schema) -> spaces.Space:
    """Discrete for one action feature, MultiDiscrete for several, Box for real ones, a Dict by name for a mixture.
    Discrete actions are their codes from 0, as in `Schema.all_actions`."""
    actions = schema.actions
    if schema.discrete_actions:
        counts = [a.cardinality or 0 for a in actions]
        return spaces.Discrete(counts[0]) if len(counts) == 1 else spaces.MultiDiscrete(counts)
    if all(a.kind == "real" for a in actions):
        low, high = (np.array([getattr(a, side) for a in actions], np.float32) for side in ("low", "high"))
        return spaces.Box(low, high)
    return spaces.Dict({a.name: spaces.Discrete(a.cardinality) if a.cardinality else _space(a) for a in actions})


def rows_of(schema: Schema, actions: Any, n: int) -> Tensor:
    """Actions of the batched `action_space` as rows `[N, A]`, clamped to their bounds."""
    if isinstance(actions, Mapping):
        actions = np.stack([np.asarray(actions[a.name]).reshape(n) for a in schema.actions], 1)
    rows = np.asarray(actions).reshape(n, len(schema.actions))
    return schema.clamp(torch.as_tensor(rows).to(schema.action_dtype))


def checked(schema: Schema, features: Mapping[str, Any]) -> dict[str, Tensor]:
    """Features given from outside, one row `[*shape]` or many `[M, *shape]`, as tensors `[M, *shape]`.

    Raises `UserError` where a feature is missing or has another shape.
    """
    rows = {}
    for f in schema.features:
        if f.name not in features:
            raise UserError(f"the features to start from have no '{f.name}'{nearest(f.name, features)}")
        value = torch.as_tensor(np.asarray(features[f.name])).to(f.dtype)
        value = value[None] if value.dim() == len(f.shape) else value
        if tuple(value.shape[1:]) != f.shape or value.dim() != len(f.shape) + 1:
            raise UserError(f"feature '{f.name}' has shape {tuple(value.shape)}, expected {f.shape} or (M, *{f.shape})")
        rows[f.name] = value
    counts = {len(v) for v in rows.values()}
    if len(counts) > 1 or 0 in counts:
        raise UserError(f"the features to start from have {sorted(counts)} rows; give equally many of each")
    return rows


def _space(f: Feature) -> spaces.Space:
    if f.kind == "real":
        return spaces.Box(np.float32(f.low), np.float32(f.high), f.shape, np.float32)
    if f.cardinality and not f.shape:
        return spaces.Discrete(f.cardinality, start=f.offset)
    whole = np.iinfo(np.int32)
    low, high = (0, f.cardinality - 1) if f.kind != "integer" and f.cardinality else (
        int(max(f.low, whole.min)), int(min(f.high, whole.max)))
    return spaces.Box(low, high, f.shape, np.int32)


def fitted(value: Tensor, space: spaces.Space) -> np.ndarray:
    """Imagined values in the type and the bounds of their space."""
    array = value.detach().numpy()
    if isinstance(space, spaces.Box):
        array = np.clip(array, space.low, space.high)
    return array.astype(space.dtype)
