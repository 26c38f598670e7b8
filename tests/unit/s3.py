"""S3 in this process, for the tests of what reads and writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from handler import objects
from handler.runtime import SETTINGS


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of moto's S3 with the buckets ``data`` and ``results``, both of which the deployment names."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(objects, "SETTINGS", SETTINGS._replace(buckets=("data", "results")))
    with mock_aws():
        objects.client.cache_clear()
        client = objects.client()
        for bucket in ("data", "results", "foreign"):
            client.create_bucket(Bucket=bucket)
        yield client
    objects.client.cache_clear()
