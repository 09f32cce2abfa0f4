"""Whether a world model keeps the promises of the seam (`WorldModel`), said so that its author can mend it.

In the spirit of Gymnasium's `check_env`. Each check is a few lines: it tries the model on some rows and yields what is
wrong, with its remedy. N rows, B sequences, T steps, A action features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from . import tree
from .distributions import Board, Categorical, Normal
from .model import Batch, Outcome, State, WorldModel, begin
from .refine import Refined
from .rules.parse import parse
from .schema import Feature, Features, Schema
from .trial import Trial, random_actions, random_features

PROVIDED = frozenset({"reward", "end", "uncertainty", "value", "policy", "stochastic", "exact", "local", "latent"})
_METHODS = ("initial", "observe", "step", "assimilate", "decode", "loss")
_CLOSE = 1e-3


def check_world_model(model: WorldModel, features: Features | None = None, rows: int = 6, seed: int = 0) -> list[str]:
    """Try a world model and return what breaks the seam, each with its remedy (empty: all is well).

    `features [M, *shape]` are where it is tried from, repeated to `rows` rows; by default random ones within the
    schema's bounds. A simulator that cannot be set to those is tried from what its environment shows.
    """
    missing = [name for name in ("schema", "provides", *_METHODS) if not hasattr(model, name)]
    if missing:
        return [f"the model has no {', '.join(map(repr, missing))}: see the protocol WorldModel in world/model.py"]
    trial = Trial(model, seed, rows, features)
    problems: dict[str, None] = {}
    for check in CHECKS:
        try:
            problems |= dict.fromkeys(check(trial))
        except Exception as error:  # whatever a model raises is what its author is to know
            what = (check.__doc__ or check.__name__).split(".")[0]
            problems[f"'{what}' could not be checked: {type(error).__name__}: {error}"] = None
    return list(problems)


# --- the checks ---------------------------------------------------------------------------------------------------


def _provides(trial: Trial) -> Iterator[str]:
    """`provides` names what the model can do."""
    provides = trial.model.provides
    if not isinstance(provides, frozenset):
        yield f"`provides` is a {type(provides).__name__}: make it a frozenset of {', '.join(sorted(PROVIDED))}"
    elif strange := provides - PROVIDED:
        yield f"`provides` names {', '.join(sorted(strange))}, which nobody asks for: use {', '.join(sorted(PROVIDED))}"


def _states(trial: Trial) -> Iterator[str]:
    """A state is a tree of tensors, rows first."""
    n = trial.rows
    after, _ = trial.model.step(trial.begun(), trial.action)
    for name, state in (("initial(N)", trial.model.initial(n)), ("observe(...)", trial.begun()), ("step(...)", after)):
        try:
            leaves = tree.leaves(state)
        except TypeError as error:
            yield f"the state that {name} gives is no tree of tensors ({error}): use dataclasses, dicts and tuples"
            continue
        if not leaves:
            yield f"the state that {name} gives has no tensor: rows could not be taken from it"
        for leaf in leaves:
            if not leaf.dim() or leaf.shape[0] != n:
                yield (f"the state that {name} gives for N = {n} has a leaf of shape {tuple(leaf.shape)}: every leaf's "
                       "first axis is N, so that planners can take, repeat and join rows")


def _decoding(trial: Trial) -> Iterator[str]:
    """`decode` gives what was observed."""
    decoded = trial.model.decode(trial.begun())
    yield from _mistyped("decode", trial.schema, decoded, trial.rows)
    yield from _unlike("observe", decoded, trial.features, torch.ones(trial.rows, dtype=torch.bool))
    anew = trial.model.observe(trial.begun(), trial.action, trial.elsewhere, torch.ones(trial.rows, dtype=torch.bool))
    yield from _unlike("observe (with `reset`)", trial.model.decode(anew), trial.elsewhere,
                       torch.ones(trial.rows, dtype=torch.bool))


def _outcome(trial: Trial) -> Iterator[str]:
    """`step` gives an `Outcome` of the right shapes."""
    n = trial.rows
    after, out = trial.model.step(trial.begun(), trial.action)
    for name, kind in (("reward", torch.float32), ("cont", torch.float32), ("feasible", torch.bool),
                       ("uncertainty", torch.float32)):
        value = getattr(out, name)
        if tuple(value.shape) != (n,) or value.dtype != kind:
            yield (f"Outcome.{name} is {tuple(value.shape)} of {value.dtype}, expected ({n},) of {kind}: one value a "
                   "row")
        elif kind == torch.float32 and not bool(value.isfinite().all()):
            yield f"Outcome.{name} is not finite: planners rank such futures last, or learn nothing"
    if tuple(out.cont.shape) == (n,) and bool(((out.cont < 0) | (out.cont > 1)).any()):
        yield "Outcome.cont leaves [0, 1]: it is the probability of going on (put the logit through sigmoid)"
    yield from _distributions(trial.schema, out, n)
    yield from _unlike("step (without rng, against Outcome.mode)", trial.model.decode(after), out.mode,
                       torch.ones(n, dtype=torch.bool))


def _distributions(schema: Schema, out: Outcome, n: int) -> Iterator[str]:
    if list(out.features) != list(schema.base):
        yield (f"Outcome.features has {list(out.features)}, the schema {list(schema.base)}: give one distribution a "
               "feature, in that order")
    for f in schema.features:
        d = out.features.get(f.name)
        if d is None:
            continue
        if not isinstance(d, Categorical | Board | Normal):
            yield (f"Outcome.features['{f.name}'] is a {type(d).__name__}: use Categorical, Board or Normal of "
                   "world/distributions.py, which rules can correct")
            continue
        if f.cardinality and isinstance(d, Categorical | Board) and d.logits.shape[-1] != f.cardinality:
            yield (f"Outcome.features['{f.name}'] has logits for {d.logits.shape[-1]} values, the schema lists "
                   f"{f.cardinality}: rules may ask for a value that was never seen")
        elif bool(f.cardinality) == isinstance(d, Normal):
            yield (f"Outcome.features['{f.name}'] is a {type(d).__name__}, but '{f.name}' "
                   + ("has listed values: use Categorical" if f.cardinality else "is a number: use Normal"))
        else:
            yield from _mistyped("Outcome.mode", replace(schema, features=(f,), derived=(), grid=None),
                                 {f.name: d.mode()}, n)
            if not bool(d.log_prob(d.mode()).isfinite().all()):
                yield f"Outcome.features['{f.name}'] gives its own mode no finite log-probability: check its scale"


def _promises(trial: Trial) -> Iterator[str]:
    """`provides` is honest."""
    _, out = trial.model.step(trial.begun(), trial.action)
    provides = trial.model.provides
    silent = {"reward": bool((out.reward == 0).all()), "end": bool((out.cont == 1).all()),
              "uncertainty": bool((out.uncertainty == 0).all())}
    for name, is_silent in silent.items():
        if name not in provides and not is_silent:
            yield f"the model predicts '{name}' and does not say so: add it to `provides`, or nobody will look"
    if "uncertainty" in provides and silent["uncertainty"]:
        yield "`provides` names 'uncertainty' and Outcome.uncertainty is zero everywhere: take it out of `provides`"
    for name, value in (("value", out.value), ("policy", out.action_logits)):
        if (name in provides) != (value is not None):
            said = "and Outcome has none" if value is None else "but Outcome has one: add it to `provides`"
            yield f"`provides` {'names' if name in provides else 'does not name'} '{name}' {said}"
        elif value is not None and value.shape[:1] != (trial.rows,):
            yield f"the {name} of an Outcome is {tuple(value.shape)}: its first axis is N = {trial.rows}"
    if "latent" in provides and not callable(getattr(trial.model, "latent", None)):
        yield "`provides` names 'latent' and the model has no method `latent(state) -> [N, Z]`"


def _randomness(trial: Trial) -> Iterator[str]:
    """All randomness comes from `rng`."""
    def brought(seeded: bool) -> dict[str, Tensor]:
        after, out = trial.model.step(trial.begun(), trial.action, trial.rng() if seeded else None)
        return {**trial.model.decode(after), " reward": out.reward, " cont": out.cont}

    before = torch.get_rng_state()
    if _differ(brought(False), brought(False)):
        yield ("two steps without `rng` from one state differ: take the most likely step, and draw only from `rng` "
               "(dropout off: call `eval()`)")
    if _differ(brought(True), brought(True)):
        yield "two steps with `rng` of one seed differ: draw everything from `rng`, nothing from a global generator"
    if not torch.equal(before, torch.get_rng_state()):
        yield "a step draws from torch's global generator: pass `generator=rng` to every draw"


def _rows(trial: Trial) -> Iterator[str]:
    """Rows do not know of each other."""
    state = trial.begun()
    _, together = trial.model.step(state, trial.action)
    index = torch.tensor([trial.rows - 1, 0])
    _, apart = trial.model.step(tree.take(state, index), trial.action[index])
    a = {**tree.take(dict(together.mode), index), " reward": together.reward[index], " cont": together.cont[index]}
    if _differ(a, {**apart.mode, " reward": apart.reward, " cont": apart.cont}):
        yield ("two rows alone bring something else than among the others: a row's outcome hangs on its own state only "
               "(no batch norm, no average over the rows)")


def _unchanged(trial: Trial) -> Iterator[str]:
    """A call changes neither its arguments nor the model."""
    def snapshot(value: Any) -> list[Tensor]:
        return [leaf.detach().clone() for leaf in tree.leaves(value)]

    def same(a: list[Tensor], b: list[Tensor]) -> bool:
        return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))

    model, n = trial.model, trial.rows
    some = torch.arange(n) % 2 == 0
    calls: dict[str, Callable[[State, dict[str, Tensor], Tensor], Any]] = {
        "observe": lambda s, f, a: model.observe(s, a, f),
        "step": lambda s, f, a: model.step(s, a, trial.rng()),
        "assimilate": lambda s, f, a: model.assimilate(s, f, some),
        "decode": lambda s, f, a: model.decode(s),
    }
    for name, call in calls.items():
        features = {k: v.clone() for k, v in trial.elsewhere.items()}
        state, action = trial.begun(), trial.action.clone()
        kept, own = [snapshot(x) for x in (state, features, action)], _own(model)
        call(state, features, action)
        for what, value, old in zip(("state", "features", "action"), (state, features, action), kept, strict=True):
            if not same(snapshot(value), old):
                yield f"`{name}` changes the {what} it was given: work on a copy, without in-place operations"
        changed = [k for k, v in _own(model).items() if k not in own or own[k] != v]
        if changed:
            yield (f"`{name}` changes {', '.join(changed)} of the model: put what changes into the state, so that a "
                   "call can be repeated, resumed and run beside others")


def _assimilation(trial: Trial) -> Iterator[str]:
    """`assimilate` makes the features true on `rows`, and on those only."""
    model, some = trial.model, torch.arange(trial.rows) % 2 == 0
    state, _ = model.step(trial.begun(), trial.action)
    before = {k: v.clone() for k, v in model.decode(state).items()}
    told = model.assimilate(state, trial.elsewhere, some)
    yield from _unlike("assimilate", model.decode(told), trial.elsewhere, some)
    off = tree.differ(model.decode(told), before) & ~some
    if bool(off.any()):
        yield "`assimilate` changes rows where `rows` is False: choose per row (tree.choose(rows, corrected, state))"


def _refinement(trial: Trial) -> Iterator[str]:
    """A rule holds in imagination, and in the state that it leaves behind."""
    for f in trial.schema.features:
        if f.shape or (f.kind == "integer" and not f.cardinality):
            continue
        value, text = _some_value(f, trial.elsewhere[f.name][0])
        refined = Refined(trial.model, [parse(f"expect {f.name}' == {text}", trial.schema)])
        state, out = refined.step(begin(refined, trial.features), trial.action)
        for what, got in (("says", out.mode[f.name]), ("remembers", refined.inner.decode(state.inner)[f.name])):
            if not torch.allclose(got.float(), torch.full_like(got, value).float(), atol=_CLOSE, rtol=_CLOSE):
                yield (f"refined by \"expect {f.name}' == {text}\" the model {what} {got[0].item():g} instead: "
                       "`assimilate` must make every value that the schema allows true of the state")
        return


def _learning(trial: Trial) -> Iterator[str]:
    """`loss` can be minimised."""
    model = trial.model
    if not isinstance(model, nn.Module):
        return
    b, t = 4, 5
    long = random_features(trial.schema, b * (t + 1), trial.rng())
    batch = Batch({k: v.view(b, t + 1, *v.shape[1:]) for k, v in long.items()},
                  random_actions(trial.schema, (b, t), trial.rng()), torch.rand(b, t, generator=trial.rng()),
                  torch.rand(b, t, generator=trial.rng()) < 0.2, torch.arange(t).expand(b, t) < t - 1)
    losses = model.loss(batch, trial.rng())
    if not isinstance(losses, Mapping) or not losses:
        yield "`loss` gives no named losses: return a dict of scalars, whose sum is minimised"
        return
    for name, value in losses.items():
        if not isinstance(value, Tensor) or value.dim() or not bool(value.isfinite()):
            yield f"the loss '{name}' is {value!r:.60}, not a finite scalar tensor: average over the real transitions"
            return
    total = sum(losses.values(), torch.zeros(()))
    if not total.requires_grad:
        yield "the losses have no gradient: compute them without `no_grad` or `detach`"
        return
    found = [g for g in torch.autograd.grad(total, list(model.parameters()), allow_unused=True) if g is not None]
    if not any(bool(g.abs().sum() > 0) for g in found):
        yield "no parameter gets a gradient from the losses: nothing would be learned"
    if not all(bool(g.isfinite().all()) for g in found):
        yield "a gradient of the losses is not finite: clamp what may overflow (exp, log, division)"


CHECKS = (_provides, _states, _decoding, _outcome, _promises, _randomness, _rows, _unchanged, _assimilation,
          _refinement, _learning)


# --- what they share ----------------------------------------------------------------------------------------------


def _mistyped(where: str, schema: Schema, features: Features, n: int) -> Iterator[str]:
    for f in schema.features:
        if f.name not in features:
            yield f"{where} gives no '{f.name}': give every base feature of the schema"
            continue
        value = features[f.name]
        if tuple(value.shape) != (n, *f.shape) or value.dtype != f.dtype:
            yield (f"{where} gives '{f.name}' as {tuple(value.shape)} of {value.dtype}, expected {(n, *f.shape)} of "
                   f"{f.dtype} (feature.dtype)")


def _unlike(where: str, got: Features, wanted: Features, rows: Tensor) -> Iterator[str]:
    """What of `got` is not as wanted on `rows`."""
    for name, value in wanted.items():
        if name in got and got[name].shape == value.shape and not torch.allclose(
                got[name][rows].float(), value[rows].float(), atol=_CLOSE, rtol=_CLOSE):
            yield (f"after {where} `decode` gives another '{name}' than it should: keep the features that were observed"
                   " or assimilated last in the state, or encode them anew (where that is learned, check it trained)")


def _differ(a: Features, b: Features) -> bool:
    return any(a[k].shape != b[k].shape or not torch.allclose(a[k].float(), b[k].float(), atol=_CLOSE, equal_nan=True)
               for k in a if k in b)


def _own(model: Any) -> dict[str, Any]:
    """What a model keeps of its own, by name, as something to compare."""
    if isinstance(model, nn.Module):
        weights = {k: v.detach().numpy().tobytes() for k, v in model.state_dict().items()}
        plain = {k: v for k, v in vars(model).items() if not k.startswith("_")}
    else:
        weights, plain = {}, vars(model) if hasattr(model, "__dict__") else {}
    return weights | {k: v.detach().clone().numpy().tobytes() if isinstance(v, Tensor) else repr(v)
                      for k, v in plain.items()}


def _some_value(f: Feature, value: Tensor) -> tuple[float, str]:
    """A value of a scalar feature, and how a rule writes it."""
    if f.kind == "category":
        name = f.values[int(value)]
        return float(value), name if name.isidentifier() else f'"{name}"'
    if f.kind == "boolean":
        return float(value), "true" if bool(value) else "false"
    return (float(value), f"{int(value)}") if f.is_discrete else (float(f"{float(value):.3f}"), f"{float(value):.3f}")
