"""One table from error to HTTP status."""

from __future__ import annotations

from aws_lambda_powertools.utilities.validation import SchemaValidationError

from handler import errors


def test_every_error_has_its_row() -> None:
    named = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)}
    ours = {error for error in named if issubclass(error, errors.RerankError)}
    assert ours == set(errors.HTTP_ANSWERS)
    assert all(400 <= answer.status < 600 for answer in errors.HTTP_ANSWERS.values())


def test_an_invalid_request_is_what_powertools_raises_without_the_value() -> None:
    error = errors.InvalidRequest("top_n must be an integer", "top_n")
    assert isinstance(error, SchemaValidationError)
    assert (error.path, error.value, str(error)) == (["top_n"], None, "top_n must be an integer")
