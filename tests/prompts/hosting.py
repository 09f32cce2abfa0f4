"""A small server that speaks the wire formats of OpenAI's chat completions and Anthropic's messages."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """What the server answers next: a text, or with another status an error, or any bytes."""

    text: str = "yes"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay_s: float = 0.0


class Server:
    """Answers with its `replies` in turn, the last one for ever, and keeps what it was asked."""

    def __init__(self, port: int) -> None:
        self.port, self.replies, self.requests, self.keys = port, [Reply()], [], []
        self.lock = threading.Lock()

    replies: list[Reply]
    requests: list[dict[str, Any]]
    keys: list[str]

    def next(self) -> Reply:
        with self.lock:
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def serving() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.requests.append(request)
            server.keys.append(self.headers.get("x-api-key") or self.headers.get("Authorization") or "")
            reply = server.next()
            time.sleep(reply.delay_s)
            is_openai = self.path.endswith("/chat/completions")
            body = reply.body if reply.body is not None else _body(request, reply, is_openai)
            kind = "text/event-stream" if request.get("stream") and reply.status == 200 else "application/json"
            try:
                self.send_response(reply.status)
                for name, value in {"Content-Type": kind, **reply.headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                pass

        def log_message(self, *args: Any) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = Server(http.server_address[1])
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()


def _body(request: dict[str, Any], reply: Reply, is_openai: bool) -> bytes:
    if reply.status != 200:
        key = "sk-live-abcdefghijklmnopqrstuvwx"  # as providers do, it repeats a key in its complaint
        error = {"type": "error", "error": {"type": "some_error", "message": f"complaint about {key}"}}
        return json.dumps(error).encode()
    if request.get("stream"):
        events = (_openai_events if is_openai else _anthropic_events)(request, reply.text)
        return b"".join(events)
    model = request["model"]
    if is_openai:
        choice = {"index": 0, "message": {"role": "assistant", "content": reply.text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
        whole = {"id": "1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}
        return json.dumps(whole | {"usage": usage}).encode()
    content = [{"type": "text", "text": reply.text}]
    usage = {"input_tokens": 11, "output_tokens": 3}
    whole = {"id": "1", "type": "message", "role": "assistant", "model": model, "content": content}
    return json.dumps(whole | {"stop_reason": "end_turn", "stop_sequence": None, "usage": usage}).encode()


def _openai_events(request: dict[str, Any], text: str) -> Iterator[bytes]:
    for n, word in enumerate([*text.split(" "), None]):
        delta = {} if word is None else {"role": "assistant", "content": word if n == 0 else f" {word}"}
        choice = {"index": 0, "delta": delta, "finish_reason": "stop" if word is None else None}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": request["model"]}
        yield f"data: {json.dumps(chunk | {'choices': [choice]})}\n\n".encode()
    yield b"data: [DONE]\n\n"


def _anthropic_events(request: dict[str, Any], text: str) -> Iterator[bytes]:
    usage = {"input_tokens": 11, "output_tokens": 1}
    message = {"id": "1", "type": "message", "role": "assistant", "model": request["model"], "content": []}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message | {"stop_reason": None, "stop_sequence": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    for n, word in enumerate(text.split(" ")):
        delta = {"type": "text_delta", "text": word if n == 0 else f" {word}"}
        events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    events += [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]
    for event in events:
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
