"""Choosing a chat model by one line of text. Keys of hosted ones come from the environment, and from nowhere else."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from langchain_core.language_models import BaseChatModel

from ..errors import UserError, nearest
from .gateway.redaction import redactor

KEYS: dict[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    "azure_openai": ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"),
    "bedrock": (),  # finds its credentials in several places
    "cohere": ("COHERE_API_KEY", "CO_API_KEY"),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "fireworks": ("FIREWORKS_API_KEY",),
    "google_genai": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "google_vertexai": (),
    "groq": ("GROQ_API_KEY",),
    "huggingface": (),
    "mistralai": ("MISTRAL_API_KEY",),
    "ollama": (),
    "openai": ("OPENAI_API_KEY",),
    "together": ("TOGETHER_API_KEY",),
    "xai": ("XAI_API_KEY",),
}
"""The providers whose names we help with, and the environment variables one of which holds their key."""
FORMS = "'local', 'local:<folder or Hugging Face name>', or '<provider>:<model>' as in 'openai:gpt-4o-mini'"


def chat_model(spec: str | BaseChatModel | None, timeout_s: float | None = None) -> BaseChatModel | None:
    """Return the chat model that `spec` names.

    None stays None, and a chat model itself. "local" is the embedded one, "local:<name>" any causal model of a folder
    or the Hugging Face hub, "<provider>:<model>" any that LangChain's `init_chat_model` knows. A hosted model does not
    retry by itself, which is for the `Gateway` to do, and lets go of a connection after `timeout_s`.

    Raises:
        UserError: the text has no such form, the provider's package is not installed, or its key is not set.
    """
    if spec is None or isinstance(spec, BaseChatModel):
        return spec
    if not isinstance(spec, str):
        raise UserError(f"a chat model is given as text or as a LangChain chat model, not {type(spec).__name__}")
    provider, colon, name = (part.strip() for part in spec.partition(":"))
    if provider == "local" and bool(colon) == bool(name):
        from .local.model import LocalChatModel

        return LocalChatModel(model=name or "local")
    if not provider or not name:
        raise UserError(f"'{spec}' names no chat model{nearest(spec, ('local', *KEYS))}; give {FORMS}")
    return _hosted(spec, provider, name, timeout_s)


def _hosted(spec: str, provider: str, name: str, timeout_s: float | None) -> BaseChatModel:
    near = "" if provider in KEYS else nearest(provider, ("local", *KEYS))
    try:
        init_chat_model = import_module("langchain.chat_models").init_chat_model
    except ImportError as error:
        raise UserError(
            f"chat model '{spec}' needs LangChain and the provider's package: "
            f"`pip install langchain langchain-{provider.replace('_', '-')}`{near}"
        ) from error
    keys = KEYS.get(provider, ())
    complaint: str | None = None
    try:
        model: BaseChatModel = init_chat_model(name, model_provider=provider)
        if options := _options(model, timeout_s):
            model = init_chat_model(name, model_provider=provider, **options)
    except ImportError as error:
        raise UserError(f"chat model '{spec}': {error}{near}") from error
    except Exception as error:  # a provider's own complaints, which may hold a key: unknown names, missing keys
        complaint = redactor()(str(error)).strip().partition("\n")[0]
    if keys and not any(os.environ.get(key, "").strip() for key in keys):
        raise UserError(f"chat model '{spec}' needs a key: set {' or '.join(keys)} in the environment")
    if complaint is not None:
        raise UserError(f"chat model '{spec}' cannot be made: {complaint.rstrip('.')}{near}; give {FORMS}")
    return model


def _options(model: BaseChatModel, timeout_s: float | None) -> dict[str, Any]:
    """No retries and a time limit, where the model has settings for them."""
    fields = type(model).model_fields
    names = {*fields, *(field.alias for field in fields.values())}
    wanted = {"max_retries": 0, "timeout": timeout_s}
    return {name: value for name, value in wanted.items() if name in names and value is not None}
