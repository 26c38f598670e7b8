"""The request model of the REST API, made from the function's own contract: `python -m infra.request_model`.

API Gateway validates with a small part of JSON Schema draft 4, read through OpenAPI 3.0: a type is one word, and
neither ``null`` nor a choice of types can be said. So the model holds what both can: the required fields and the plain
types of these. Optional fields may be null, which means absent, and passages may be an S3 pointer: both are left to
the function, which names the field and the limit.
"""

from __future__ import annotations

import json
from typing import Any

from handler.contract import RANK_REQUEST_SCHEMA

KEPT = ("type", "maxLength", "description")


def request_model(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI 3.0 schema for API Gateway that accepts everything that ``schema`` does."""
    required: list[str] = schema["required"]
    properties = {name: schema["properties"][name] for name in required}
    return {
        "type": "object",
        "required": required,
        "properties": {
            name: {key: value for key, value in said.items() if key in KEPT} if said["type"] == "string" else {}
            for name, said in properties.items()
        },
    }


if __name__ == "__main__":
    print(json.dumps(request_model(RANK_REQUEST_SCHEMA), indent=2))
