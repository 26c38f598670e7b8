"""Every error a caller can meet: one root exception and one table to HTTP status and error type.

A direct invoke raises these, and the class name is what Step Functions matches in ``ErrorEquals``: the names are
API. Messages name the field and the limit, and never hold any of the caller's text.
"""

from __future__ import annotations

from typing import NamedTuple

from aws_lambda_powertools.utilities.validation.exceptions import SchemaValidationError


class RerankError(Exception):
    """Root of every error that this service raises on purpose.

    ``message`` is one sentence for the caller; ``field`` is the request field at fault, where there is one.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class InvalidRequest(RerankError, SchemaValidationError):  # type: ignore[misc]
    """The request breaks the contract. It is a Powertools ``SchemaValidationError`` too, with the value stripped."""

    def __init__(self, message: str, field: str | None = None) -> None:
        RerankError.__init__(self, message, field)
        self.path = field.split(".") if field else []


class UnprocessableRequest(RerankError):
    """The request is well formed but asks for what cannot be done, such as refusing truncation of a long passage."""


class Unauthorized(RerankError):
    """No API key, or one that is not known here."""


class Forbidden(RerankError):
    """The request names something that this deployment was not given access to."""


class RouteNotFound(RerankError):
    """No such route."""


class MethodNotAllowed(RerankError):
    """The route exists, under another method."""


class ModelNotFound(RerankError):
    """The model asked for is not served here and unknown names are refused (``RERANK_MODEL_STRICT``)."""


class ObjectNotFound(RerankError):
    """The S3 object named does not exist, or not in the version named."""


class ObjectChanged(RerankError):
    """The S3 object is no longer the version that the work began with."""


class CorruptObject(RerankError):
    """The S3 object is not what it should be: broken gzip, not text, not JSON."""


class RunConflict(RerankError):
    """A batch run of this name exists already, with other input or other settings."""


class StorageError(RerankError):
    """S3 kept failing or throttling, however often it was tried."""


class PayloadTooLarge(RerankError):
    """The request body is over the limit."""


class UnsupportedEncoding(RerankError):
    """A ``Content-Encoding`` other than gzip or identity."""


class Overloaded(RerankError):
    """Too many requests at once; the caller should wait and try again."""


class DeadlineExceeded(RerankError):
    """The time allowed ran out and the caller asked for all scores or none."""


class ModelError(RerankError):
    """The model directory is missing, incomplete or corrupt, or the model gave scores that are not finite."""


class InternalError(RerankError):
    """Anything unforeseen. The cause is logged by its type alone."""


class Answer(NamedTuple):
    """How an error looks over HTTP: the status code and a short machine-readable type."""

    status: int
    error_type: str


# Ordered from the special to the general; error_type spelling follows text-embeddings-inference where it has one.
HTTP_ANSWERS: dict[type[RerankError], Answer] = {
    InvalidRequest: Answer(400, "Validation"),
    UnprocessableRequest: Answer(422, "Validation"),
    Unauthorized: Answer(401, "Unauthorized"),
    Forbidden: Answer(403, "Forbidden"),
    RouteNotFound: Answer(404, "NotFound"),
    ModelNotFound: Answer(404, "ModelNotFound"),
    MethodNotAllowed: Answer(405, "MethodNotAllowed"),
    ObjectNotFound: Answer(404, "NotFound"),
    ObjectChanged: Answer(409, "Conflict"),
    CorruptObject: Answer(422, "Validation"),
    RunConflict: Answer(409, "Conflict"),
    StorageError: Answer(503, "Storage"),
    PayloadTooLarge: Answer(413, "PayloadTooLarge"),
    UnsupportedEncoding: Answer(415, "UnsupportedEncoding"),
    Overloaded: Answer(429, "Overloaded"),
    DeadlineExceeded: Answer(503, "DeadlineExceeded"),
    ModelError: Answer(500, "Backend"),
    InternalError: Answer(500, "Internal"),
    RerankError: Answer(500, "Internal"),
}


_AWS_ERROR_NAMES = {
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    409: "ConflictException",
    429: "ThrottlingException",
}


def aws_error_name(status: int) -> str:
    """The exception of Amazon Bedrock's API for an HTTP status."""
    return _AWS_ERROR_NAMES.get(status, "InternalServerException" if status >= 500 else "ValidationException")


def http_answer(error: RerankError) -> Answer:
    """The HTTP status and error type of ``error``."""
    return HTTP_ANSWERS.get(type(error), HTTP_ANSWERS[RerankError])
