"""What the backends on AWS share: a client that waits out throttling, its errors in our words, results from scores."""

from __future__ import annotations

import os
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, NoCredentialsError, ReadTimeoutError

from handler import scoring
from handler.contract import ModelId, Ranking, Timings
from handler.encoding import Chunk
from handler.errors import DeadlineExceeded, ModelError, Overloaded, UnprocessableRequest
from handler.results import ranked_results
from handler.scoring import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from handler.contract import RankRequest, Usage
    from handler.model import Manifest
    from handler.runtime import Clock

ATTEMPTS = 5  # in all; botocore's standard mode backs off exponentially, with jitter
READ_TIMEOUT = 25  # seconds; an HTTP API gives up after 30
LEAST_SHARE = 1e-6  # keeps the logit of a score of 0 or 1 finite
THROTTLED = {
    "ThrottlingException",
    "TooManyRequestsException",
    "ServiceQuotaExceededException",
    "ServiceUnavailableException",
}


def client(service: str, options: Mapping[str, Any]) -> Any:
    """A client for ``service``; its region is the manifest's or the function's own."""
    config = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS}, read_timeout=READ_TIMEOUT, connect_timeout=5
    )
    region = options.get("region") or os.environ.get("AWS_REGION") or "us-east-1"
    return boto3.client(service, region_name=region, config=config)


@contextmanager
def in_our_words(who: str = "Bedrock") -> Iterator[None]:
    """Turn botocore's errors into ours. Their messages may quote the request, so they are left out."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in THROTTLED:
            raise Overloaded(f"{who} is throttling, please try again later") from None
        raise ModelError(f"{who} answered {code}") from None
    except (ReadTimeoutError, ConnectTimeoutError):
        raise DeadlineExceeded(f"{who} did not answer in time") from None
    except NoCredentialsError:
        raise ModelError(f"{who} needs credentials, and there are none") from None
    except BotoCoreError as error:
        raise ModelError(f"{who} could not be asked ({type(error).__name__})") from None


def check(request: RankRequest, clock: Clock) -> None:
    """Refuse what a service cannot do, and what there is no time for."""
    if request.highlighting is not None:
        raise UnprocessableRequest("relevant_spans cannot be had from this model", "relevant_spans")
    if request.dry_run:
        raise UnprocessableRequest(
            "dry_run cannot be had from this model, whose tokens are counted elsewhere", "dry_run"
        )
    if clock.expired():
        raise DeadlineExceeded("the time allowed ran out before the model could be asked")


def distinct(request: RankRequest) -> tuple[list[int], list[int]]:
    """Return the first passage of each text that is not blank, and for every passage the first with its text."""
    first: dict[str, int] = {}
    same = [first.setdefault(passage.text, index) for index, passage in enumerate(request.passages)]
    return [index for text, index in first.items() if text.strip()], same


def ranking(  # noqa: PLR0913 - keyword arguments of one call
    request: RankRequest,
    manifest: Manifest,
    scores: Sequence[float],
    usage: Usage,
    clock: Clock,
    *,
    asked: float,
    unscored: int = 0,
) -> Ranking:
    """The answer from relevance scores in [0, 1] by passage; ``asked`` are the seconds spent waiting."""
    shares = np.clip(np.array(scores, np.float64), LEAST_SHARE, 1 - LEAST_SHARE)
    logits = np.log(shares / (1 - shares))
    evidence = []
    for index, logit in enumerate(logits.tolist()):
        evidence.append(Evidence(logit, Chunk(index, b"", 0, 0), logit))
    results = ranked_results(request, evidence, scoring.first_stage(request.passages), manifest)
    total = (perf_counter() - clock.began) * 1000
    timings = Timings(encode=max(total - asked * 1000, 0.0), score=asked * 1000, total=total)
    return Ranking(results, ModelId(manifest.name, manifest.revision), usage, timings, unscored=unscored)
