"""Loading a causal language model with its tokenizer: any that transformers finds, in any dtype and quantisation."""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch

from ...errors import GedankenError, UserError, nearest
from .decoding import Decoder
from .weights import LOCAL, resolve

PLAIN_CHAT = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
_loading = threading.Lock()


def load(
    name: str,
    device: str | None = None,
    dtype: str | None = None,
    quantization: Mapping[str, Any] | None = None,
    device_map: str | Mapping[str, Any] | None = None,
) -> Decoder:
    """Return the decoder of a model ("local", a folder, or a hub name), loaded once a process.

    Args:
        name: which model.
        device: where all of it shall be.
        dtype: a torch dtype by name; None takes the one it was saved in.
        quantization: `{"quant_method": ..., ...}`, as the configuration class of that method in transformers takes it.
        device_map: where its parts shall be, as accelerate takes it ("auto", or a mapping from modules).

    Raises:
        UserError: a setting is not one that transformers has.
        GedankenError: the model cannot be found or loaded.
    """
    if device is not None and device_map is not None:
        raise UserError(f"give the language model '{name}' a device or a device_map, not both")
    with _loading:
        return _load(name, device, dtype, _frozen(quantization), _frozen(device_map))


@lru_cache(maxsize=4)
def _load(
    name: str, device: str | None, dtype: str | None, quantization: str | None, device_map: str | None
) -> Decoder:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    settings: dict[str, Any] = {"dtype": _dtype(dtype)}
    if quantization is not None:
        settings["quantization_config"] = _quantization(json.loads(quantization))
    if device_map is not None:
        settings["device_map"] = json.loads(device_map)
    place = resolve(name)
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=name == LOCAL)
            model = AutoModelForCausalLM.from_pretrained(place, local_files_only=name == LOCAL, **settings)
            model = model.to(device) if device else model
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise GedankenError(
            f"cannot load the language model '{name}': {str(error).strip()}; give a folder that holds a causal model, "
            "its name on the Hugging Face hub, or 'local' for the embedded one"
        ) from error
    if tokenizer.chat_template is None:
        tokenizer.chat_template = PLAIN_CHAT
    return Decoder(model, tokenizer)


def _frozen(setting: Any) -> str | None:
    return None if setting is None else json.dumps(setting, sort_keys=True)


def _dtype(name: str | None) -> Any:
    if name is None or name == "auto":
        return "auto"
    found = getattr(torch, name.removeprefix("torch."), None)
    if not isinstance(found, torch.dtype):
        known = [n for n in dir(torch) if isinstance(getattr(torch, n), torch.dtype)]
        raise UserError(f"torch has no dtype '{name}'{nearest(name, known)}; usual are float32, bfloat16, float16")
    return found


def _quantization(settings: dict[str, Any]) -> Any:
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING, AutoQuantizationConfig

    method = str(settings.get("quant_method", ""))
    kind = AUTO_QUANTIZATION_CONFIG_MAPPING.get(method)
    is_bitsandbytes = bool(settings.get("load_in_8bit") or settings.get("load_in_4bit"))
    if kind is None and not is_bitsandbytes:
        known = sorted(AUTO_QUANTIZATION_CONFIG_MAPPING)
        raise UserError(
            f"transformers has no quantisation '{method}'{nearest(method, known)}; "
            f"give {{'quant_method': ...}}, one of {', '.join(known)}"
        )
    if kind is not None:
        takes = inspect.signature(kind).parameters
        unknown = [] if "kwargs" in takes else [name for name in settings if name not in (*takes, "quant_method")]
        if unknown:
            raise UserError(
                f"the quantisation '{method}' takes no {', '.join(map(repr, unknown))}{nearest(unknown[0], takes)}; "
                f"it takes {', '.join(takes)}"
            )
    try:
        return AutoQuantizationConfig.from_dict(settings)
    except (TypeError, ValueError, ImportError) as error:
        raise UserError(f"the quantisation '{method}' cannot be used: {error}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Spare the user a progress bar for what takes a fraction of a second."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
