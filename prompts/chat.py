"""Choosing a chat model by one line of text."""

from __future__ import annotations

from importlib import import_module

from langchain_core.language_models import BaseChatModel

from ..errors import UserError, nearest

PROVIDERS = (
    "anthropic", "azure_openai", "bedrock", "cohere", "deepseek", "fireworks", "google_genai", "google_vertexai",
    "groq", "huggingface", "mistralai", "ollama", "openai", "together", "xai",
)  # fmt: skip
FORMS = "'local', 'local:<folder or Hugging Face name>', or '<provider>:<model>' as in 'openai:gpt-4o-mini'"


def chat_model(spec: str | BaseChatModel | None) -> BaseChatModel | None:
    """Return the chat model that `spec` names.

    None stays None, and a chat model itself. "local" is the embedded one, "local:<name>" any causal model of a folder
    or the Hugging Face hub, "<provider>:<model>" any that LangChain's `init_chat_model` knows.

    Raises:
        UserError: the text has no such form, or the provider's package is not installed.
    """
    if spec is None or isinstance(spec, BaseChatModel):
        return spec
    if not isinstance(spec, str):
        raise UserError(f"a chat model is given as text or as a LangChain chat model, not {type(spec).__name__}")
    provider, colon, name = (part.strip() for part in spec.partition(":"))
    if provider == "local" and bool(colon) == bool(name):
        from .local import LocalChatModel

        return LocalChatModel(model=name or "local")
    if not provider or not name:
        raise UserError(f"'{spec}' names no chat model{nearest(spec, ('local', *PROVIDERS))}; give {FORMS}")
    return _hosted(spec, provider, name)


def _hosted(spec: str, provider: str, name: str) -> BaseChatModel:
    try:
        init_chat_model = import_module("langchain.chat_models").init_chat_model
    except ImportError as error:
        raise UserError(
            f"chat model '{spec}' needs LangChain and the provider's package: "
            f"`pip install langchain langchain-{provider.replace('_', '-')}`{_near_provider(provider)}"
        ) from error
    try:
        model: BaseChatModel = init_chat_model(name, model_provider=provider)
    except ImportError as error:
        raise UserError(f"chat model '{spec}': {error}") from error
    except Exception as error:  # a provider's own complaints: unknown names, missing keys
        near = _near_provider(provider)
        raise UserError(f"chat model '{spec}' cannot be made: {error}{near}; give {FORMS}") from error
    return model


def _near_provider(provider: str) -> str:
    return "" if provider in PROVIDERS else nearest(provider, ("local", *PROVIDERS))
