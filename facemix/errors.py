"""One hierarchy for everything that can be refused.

Every error says what was wrong (`message`, with the value), what to do about it (`hint`), and carries a
stable `code` that programs may switch on. The page, the endpoint and the command line all render the same
object; none of them invents wording of its own.
"""

from __future__ import annotations

from typing import Any, ClassVar


class FacemixError(Exception):
    """A refusal with a remedy.

    Attributes:
        code: stable snake_case identifier, part of the interface.
        status: HTTP status used by the endpoint and the page.
        exit_code: exit status used by the command line (documented in ``docs/cli.md``).
        title: a short human name of the kind of problem, the same for every instance.
        message: what was wrong this time, with the offending value.
        hint: what the person can do about it.
        where: which input it concerns (``face_a``, ``parents.1``, a path), or None.
        details: further JSON-serialisable figures for programs.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, message: str, *, hint: str, where: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where
        self.details = details

    def __reduce__(self) -> tuple[Any, ...]:
        """How it travels between processes."""
        return _rebuilt, (type(self), self.message, self.hint, self.where, self.details)

    def copy(self) -> FacemixError:
        """The same refusal without a traceback: an exception that is raised again and again collects them."""
        return type(self)(self.message, hint=self.hint, where=self.where, **self.details)

    def at(self, where: str) -> FacemixError:
        """Names the input that the error concerns, unless a deeper layer has already named one."""
        if self.where is None:
            self.where = where
        return self


def _rebuilt(
    kind: type[FacemixError], message: str, hint: str, where: str | None, details: dict[str, Any]
) -> FacemixError:
    return kind(message, hint=hint, where=where, **details)


def located(where: str | None, message: str) -> str:
    """`message` behind the place that it is about, unless it begins with that place itself."""
    return f"{where}: {message}" if where and not message.startswith((f"{where} ", f"{where}: ")) else message


# --- uploads -----------------------------------------------------------------------------------------------


class ImageError(FacemixError):
    """The bytes cannot be turned into an image."""

    code, status, exit_code, title = "image_unreadable", 422, 3, "The image cannot be read"


class ImageEmpty(ImageError):
    code, status, title = "image_empty", 422, "The file is empty"


class ImageTooLarge(ImageError):
    code, status, title = "image_too_large", 413, "The file is too large"


class ImageTooManyPixels(ImageError):
    code, status, title = "image_too_many_pixels", 413, "The image has too many pixels"


class ImageTooSmall(ImageError):
    code, status, title = "image_too_small", 422, "The image is too small"


class ImageUnsupported(ImageError):
    code, status, title = "image_unsupported", 415, "This kind of file is not supported"


class ImageCorrupt(ImageError):
    code, status, title = "image_corrupt", 422, "The image is damaged"


# --- faces -------------------------------------------------------------------------------------------------


class FaceError(FacemixError):
    """The image is fine, but no usable face was found in it."""

    code, status, exit_code, title = "face_unusable", 422, 4, "The face cannot be used"


class FaceNotFound(FaceError):
    code, title = "face_not_found", "No face was found"


class FaceChoiceInvalid(FaceError):
    code, title = "face_choice_invalid", "There is no such face in the photo"


class FacePlacementInvalid(FaceError):
    """Eyes and mouth were placed by hand where no face can have them."""

    code, title = "face_placement_invalid", "The eyes and the mouth cannot be there"


class FaceTooSmall(FaceError):
    code, title = "face_too_small", "The face is too small"


class FaceTooBlurred(FaceError):
    code, title = "face_too_blurred", "The face is too blurred"


class FaceTooTurned(FaceError):
    code, title = "face_too_turned", "The face is turned too far away"


class FaceNotPhotograph(FaceError):
    """There is a face, but nothing like those of the photographs that the model learned from."""

    code, title = "face_not_photograph", "This does not look like a photograph of a face"


# --- requests ----------------------------------------------------------------------------------------------


class RequestInvalid(FacemixError):
    """The request itself is malformed: a missing field, a weight out of range, a wrong type."""

    code, status, exit_code, title = "request_invalid", 422, 2, "The request is not valid"


class RecipeInvalid(RequestInvalid):
    code, title = "recipe_invalid", "The recipe is not valid"


class BodyTooLarge(RequestInvalid):
    code, status, title = "body_too_large", 413, "The request is too large"


class MediaTypeUnsupported(RequestInvalid):
    code, status, title = "media_type_unsupported", 415, "This content type is not supported"


class NotAcceptable(RequestInvalid):
    code, status, title = "not_acceptable", 406, "None of the accepted types can be produced"


class NotFound(RequestInvalid):
    code, status, title = "not_found", 404, "There is nothing at this address"


class MethodNotAllowed(RequestInvalid):
    code, status, title = "method_not_allowed", 405, "This address does not take that method"


class BodyTimeout(RequestInvalid):
    code, status, title = "body_timeout", 408, "The request took too long to arrive"


class KeyUnknown(RequestInvalid):
    """The key in the Authorization header was never given out, or has been revoked."""

    code, status, title = "key_unknown", 401, "The key is not known"


class KeyRequired(RequestInvalid):
    """This server answers only those who have an API key or are signed in."""

    code, status, title = "key_required", 401, "A key is needed"


class ScopeMissing(RequestInvalid):
    """The key is good, but not for this."""

    code, status, title = "scope_missing", 403, "The key may not do this"


class SiteForeign(RequestInvalid):
    """A page of another site has sent it, through somebody's browser."""

    code, status, title = "site_foreign", 403, "Another site has sent this"


class BudgetSpent(RequestInvalid):
    """What the key may spend in a day or a month is spent."""

    code, status, title = "budget_spent", 402, "The key's budget is spent"


class ConsentMissing(RequestInvalid):
    """The server wants to be told that whoever is in the photographs agreed."""

    code, title = "consent_missing", "Consent has not been stated"


class LatentRefused(RequestInvalid):
    """A latent from outside that is no face of the model."""

    code, title = "latent_refused", "The latent cannot be used"


class PhotographMissing(RequestInvalid):
    """The face is still kept, but not the photograph whose detail was asked for."""

    code, status, title = "photograph_missing", 409, "The photograph is needed again"


class SignatureInvalid(RequestInvalid):
    """A signed file that was changed, or was signed by another installation."""

    code, title = "signature_invalid", "The signature does not fit"


class IdempotencyMismatch(RequestInvalid):
    """The idempotency key came with another request before."""

    code, status, title = "idempotency_mismatch", 422, "The idempotency key belongs to another request"


class IdempotencyInFlight(RequestInvalid):
    """The first request with this idempotency key is still being worked on."""

    code, status, title = "idempotency_in_flight", 409, "The same request is being worked on"


class HeaderTimeout(RequestInvalid):
    code, status, title = "header_timeout", 408, "The request's header took too long to arrive"


class HeaderTooLarge(RequestInvalid):
    code, status, title = "header_too_large", 431, "The request's header is too large"


# --- models ------------------------------------------------------------------------------------------------


class ModelError(FacemixError):
    """The checkpoint is missing, damaged or not the one that is asked for."""

    code, status, exit_code, title = "model_unusable", 503, 5, "The model cannot be used"


class CheckpointMissing(ModelError):
    code, title = "checkpoint_missing", "The checkpoint is missing"


class CheckpointCorrupt(ModelError):
    code, title = "checkpoint_corrupt", "The checkpoint is damaged"


class ModelMismatch(ModelError):
    code, status, title = "model_mismatch", 409, "The latent or recipe belongs to another model"


class ModelNotLive(ModelError):
    """The model that was asked for by name does not answer requests."""

    code, status, title = "model_not_live", 409, "The model is not live"


class PromotionRefused(ModelError):
    """A version lacks what it takes to go live."""

    code, status, title = "promotion_refused", 409, "The model cannot be promoted"


class AttributesMissing(ModelError):
    code, status, title = "attributes_missing", 409, "The model has no attribute directions"


# --- installation, data, overload --------------------------------------------------------------------------


class InstallationError(FacemixError):
    code, status, exit_code, title = "installation", 503, 6, "The installation is incomplete"


class DatasetError(FacemixError):
    code, status, exit_code, title = "dataset", 500, 7, "The data set cannot be used"


class ConfigError(FacemixError):
    code, status, exit_code, title = "config", 500, 2, "The configuration is not valid"


class Busy(FacemixError):
    code, status, exit_code, title = "busy", 503, 8, "The server is busy"


class RateLimited(Busy):
    """More requests than this key or address may send in a minute."""

    code, status, title = "rate_limited", 429, "Too many requests"


class BudgetExhausted(RateLimited):
    """What all requests together may cost in a day or a month is spent."""

    code, title = "budget_exhausted", "The server's budget is spent"


class PhotoLimited(RateLimited):
    """The same photograph was sent too often."""

    code, title = "photo_limited", "This photograph was sent too often"


class TooManyConnections(Busy):
    code, title = "too_many_connections", "The server has too many open connections"


class DeadlineExceeded(Busy):
    """The request waited so long that its answer would come too late; no more work was spent on it."""

    code, title = "deadline_exceeded", "The request waited too long"


class EngineFailed(Busy):
    """The thread that runs the model died while it worked on this; a new one takes its place."""

    code, title = "engine_failed", "The model stopped while working on this"


class Stopping(Busy):
    code, title = "stopping", "The server is stopping"


class NotReady(FacemixError):
    code, status, exit_code, title = "not_ready", 503, 8, "The model is still being loaded"


class BatchIncomplete(FacemixError):
    """Some rows of a batch came to nothing; its manifest says why."""

    code, status, exit_code, title = "batch_incomplete", 500, 10, "Some of the batch failed"


# --- safety and review -------------------------------------------------------------------------------------


class ResultWithheld(FacemixError):
    """What came out is not given out."""

    code, status, exit_code, title = "result_withheld", 422, 11, "The result is withheld"


class DocumentStyle(ResultWithheld):
    """What came out could pass for the portrait of an identity document."""

    code, title = "document_style", "The result looks like a document's portrait"


class Held(FacemixError):
    """A person looks at the result before it is given out. `details` has ``review_id`` and ``status_path``, but where
    there is no queue to put it into, as on the command line."""

    code, status, exit_code, title = "held_for_review", 202, 12, "A person will look at the result first"


class Halted(FacemixError):
    """The operator has stopped generation."""

    code, status, exit_code, title = "halted", 503, 8, "Mixing is switched off"


class SignInRequired(FacemixError):
    code, status, exit_code, title = "sign_in_required", 401, 2, "Sign in first"


class SignInFailed(FacemixError):
    """Name or password is wrong; which, is not said."""

    code, status, exit_code, title = "sign_in_failed", 401, 2, "That did not sign you in"


class RoleMissing(FacemixError):
    """The person is signed in, but may not do this."""

    code, status, exit_code, title = "role_missing", 403, 2, "Your role may not do this"


class FormStale(FacemixError):
    """A form of the console came without the word that ties it to the session."""

    code, status, exit_code, title = "form_stale", 403, 2, "The form is out of date"


class VersionConflict(FacemixError):
    """Somebody else has changed it meanwhile."""

    code, status, exit_code, title = "version_conflict", 409, 2, "Somebody else was faster"


class NothingToAppeal(VersionConflict):
    """It was not rejected, was appealed before, or its time is up."""

    code, title = "nothing_to_appeal", "It cannot be appealed"


class SealBroken(FacemixError):
    """Sealed bytes cannot be opened; never the fault of whoever asks."""

    code, status, exit_code, title = "seal_broken", 500, 9, "Sealed data cannot be opened"


# --- storage -----------------------------------------------------------------------------------------------


class StorageUnavailable(FacemixError):
    """The database or the blob store does not answer."""

    code, status, exit_code, title = "storage_unavailable", 503, 9, "The storage is not available"


class StorageFull(StorageUnavailable):
    code, status, title = "storage_full", 507, "The storage is full"


class SchemaTooNew(StorageUnavailable):
    code, title = "schema_too_new", "The database belongs to a newer facemix"


class RecordMissing(FacemixError):
    """It was never stored, has expired, or was deleted."""

    code, status, exit_code, title = "record_missing", 404, 2, "There is no such record"


class FaceGone(RecordMissing):
    """A face that was uploaded earlier is not kept any more, or belongs to another key."""

    code, title = "face_gone", "The face is not kept any more"


class JobGone(RecordMissing):
    """A job was never started, has expired, was deleted, or belongs to another key."""

    code, title = "job_gone", "There is no such job"


class JobUnfinished(FacemixError):
    """The result of a job was asked for that has not ended, or not well."""

    code, status, exit_code, title = "job_unfinished", 409, 2, "The job has no result"


class Internal(FacemixError):
    """A defect of facemix itself; the cause stands in the log, never in the answer."""

    code, status, exit_code, title = "internal", 500, 1, "Something went wrong on the server"
