"""llama.cpp's server, whose scores are logits: https://github.com/ggml-org/llama.cpp/tree/master/tools/server."""

from __future__ import annotations

from handler.dialects import superset
from handler.dialects.fields import DOCUMENTS
from handler.dialects.protocol import Dialect, openai_error

DIALECT = Dialect(
    name="llamacpp",
    names=DOCUMENTS,
    defaults={"raw_scores": True},
    render=superset.render,
    render_error=openai_error,
    example={
        "model": "some-model",
        "query": "What is panda?",
        "documents": ["hi", "It is a bear.", "The giant panda is a bear species endemic to China."],
        "top_n": 3,
    },
)
