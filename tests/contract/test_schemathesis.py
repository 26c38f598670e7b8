"""The contract against the application: requests made up from its schemas get answers that its schemas allow."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import negative_data_rejection

from handler.asgi import app
from handler.dialects.registry import SHARED_PATHS
from tests.conftest import KEY

schema = schemathesis.openapi.from_asgi("/openapi.json", app)
schema.config.phases.coverage.enabled = False  # thousands of requests; unit and contract tests hold the edges


@schema.auth()
class Key:
    """The bearer key, which the checks leave out to see that they are refused."""

    def get(self, case: Case, context: Any) -> str:
        return f"Bearer {KEY}"

    def set(self, case: Case, data: str, context: Any) -> None:
        case.headers["authorization"] = data


@schema.parametrize()
@settings(
    derandomize=True,  # the same requests at every run
    database=None,
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_application_keeps_to_its_contract(case: Case) -> None:
    if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
        case.body = within_the_rules(case.body)
    # On a path that several dialects share, a body that breaks the schema of one may be good in another.
    shared = case.path in SHARED_PATHS
    case.call_and_validate(excluded_checks=[negative_data_rejection] if shared else [])


def within_the_rules(body: Any) -> Any:
    """``body`` kept to the rules that a schema cannot state, so that it has to be accepted."""
    if not isinstance(body, dict):
        return body
    # Fusion needs passages with first-stage scores, and documents must have one of the rank_fields.
    body = {name: value for name, value in body.items() if name not in {"fusion", "rank_fields"}}
    pairs = body.get("inputs")
    if isinstance(pairs, list) and all(isinstance(pair, dict) and "text" in pair for pair in pairs):
        body["inputs"] = [{**pair, "text": pairs[0]["text"]} for pair in pairs]  # one query in all
    return body
