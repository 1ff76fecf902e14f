"""One tree of errors. The class says what happened and whether trying again can help; its docstring's first line is the
message a person reads, the rest is the advice. `code` is stable: clients and tests may rely on it.

Foreign errors (botocore, psycopg, httpx, ...) are translated into these once, at the boundary where they arise.
"""


class FacememError(Exception):
    """Something went wrong in facemem."""

    code = "error"

    def __init__(self, detail: str | None = None) -> None:
        # The detail may quote somebody else's bytes; Postgres stores any text without NUL.
        self.detail = (detail or self.title()).replace("\0", "")
        super().__init__(self.detail)

    @classmethod
    def title(cls) -> str:
        """The first line of the docstring, as a sentence for people."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0]

    @classmethod
    def advice(cls) -> str:
        """The rest of the docstring: what to do about it. Empty if there is nothing to add."""
        return " ".join(line.strip() for line in (cls.__doc__ or "").strip().splitlines()[1:]).strip()


class PermanentError(FacememError):
    """This will fail again however often it is tried."""


class TransientError(FacememError):
    """This may work later; the work is put back and tried again."""


class PartUnavailable(TransientError):
    """A part that every image needs does not answer.

    That is no image's fault: images wait until it is back, however long that takes, and no attempt is counted.
    """

    code = "part_unavailable"


# --- One image, for good -----------------------------------------------------------------------------------------


class NotAnImage(PermanentError):
    """The file is not a JPEG, PNG or WebP image.

    Convert it to one of these formats and submit it again.
    """

    code = "not_an_image"


class BrokenImage(PermanentError):
    """The image is damaged or cut off.

    Export it again from its source and submit it again.
    """

    code = "broken_image"


class TooLarge(PermanentError):
    """The image is larger than this service accepts.

    Scale it down; a long side of 2,000 pixels is plenty for faces.
    """

    code = "too_large"


class DecodeCrashed(PermanentError):
    """Reading this image ended the process that reads images.

    Other images are not affected. Export it again from its source, or convert it, and submit it again.
    """

    code = "decode_crashed"


class DecodeTimeout(PermanentError):
    """Reading this image took longer than this service gives to one.

    Other images are not affected. Save it scaled down, and not as a progressive JPEG, and submit it again.
    """

    code = "decode_timeout"


class FetchRefused(PermanentError):
    """The link does not lead to something this service may fetch.

    Links must be https and lead to a public address.
    """

    code = "fetch_refused"


class NotFetched(PermanentError):
    """The link answered, but not with the image.

    Open the link in a browser without being logged in; it must show the image itself.
    """

    code = "not_fetched"


class UploadMissing(PermanentError):
    """There is no such upload for this job, or its file never arrived.

    Upload the file again with POST /v1/uploads and submit it within the time that the answer says.
    """

    code = "upload_missing"


class UploadMismatch(PermanentError):
    """What was uploaded is not what was announced.

    Size, media type and, where it was given, SHA-256 must be those of the file.
    """

    code = "upload_mismatch"


class QuotaExceeded(PermanentError):
    """There was no room for this image: its owner has as many bytes in storage as it may have.

    Delete jobs that are not needed any more, then try the images again that failed for this reason.
    """

    code = "quota_exceeded"


class CaptionRefused(PermanentError):
    """The captioner would not describe this face.

    Submit the image again with the other captioner.
    """

    code = "caption_refused"


# --- Later, perhaps ----------------------------------------------------------------------------------------------


class DecoderUnavailable(PartUnavailable):
    """The process that reads images does not start.

    It needs Linux with seccomp, on x86-64 or 64-bit ARM, and some memory; the worker's log says what was missing.
    """

    code = "decoder_unavailable"


class StorageUnavailable(PartUnavailable):
    """The object storage does not answer.

    Check FACEMEM_STORAGE_URL and whether the server runs. Images wait, uploads are refused; both go on when it is back.
    """

    code = "storage_unavailable"


class BrokerUnavailable(PartUnavailable):
    """Redis does not answer, or takes no messages.

    Check FACEMEM_BROKER_URL, and whether its memory or its disk is full. Nothing is lost while it is away; work goes
    on when it is back.
    """

    code = "broker_unavailable"


class CaptionerUnavailable(PartUnavailable):
    """The captioning server does not answer as it should.

    Start Ollama (`ollama serve`), pull the model, or set FACEMEM_CAPTIONER=describer.
    """

    code = "captioner_unavailable"


class CaptionFailed(TransientError):
    """The captioning server took the face, but gave no usable caption."""

    code = "caption_failed"


class BundleUnavailable(PartUnavailable):
    """A worker does not have the model bundle that this job is scored with, or has it damaged.

    Put the bundle into the folder of bundles (FACEMEM_BUNDLES_FOLDER) of every embedding and scoring worker; they look
    there again by themselves. Or score the job again with a bundle that is there: `facemem rescore`.
    """

    code = "bundle_unavailable"


class FetchFailed(TransientError):
    """The link could not be fetched just now."""

    code = "fetch_failed"


class InternalError(TransientError):
    """Something in facemem broke on this image.

    Please report it with the image's id; its neighbours were not affected.
    """

    code = "internal_error"


class IllegalMove(PermanentError):
    """A state was changed in a way that the table of moves does not have.

    This is a fault of facemem; nothing was written. Please report it.
    """

    code = "illegal_move"


# --- Setting up --------------------------------------------------------------------------------------------------


class ObjectMissing(PermanentError):
    """An object that should be in storage is not there."""

    code = "object_missing"


class DatabaseUnavailable(TransientError):
    """The database cannot be used.

    Check FACEMEM_DATABASE_URL: postgresql+psycopg://user:password@host/database, on PostgreSQL 18.
    """

    code = "database_unavailable"


class SettingsInvalid(PermanentError):
    """Settings are missing or wrong.

    They are environment variables; shared/settings.py explains each, `facemem up` sets those it needs by itself.
    """

    code = "settings_invalid"


class BundleInvalid(PermanentError):
    """The model bundle is missing, damaged or not the one that was asked for.

    Run `facemem models` to see what is there and whether it is whole.
    """

    code = "bundle_invalid"


class BundleAmbiguous(BundleInvalid):
    """Several model bundles have this name.

    Name the one you mean by its digest; `facemem models` lists them.
    """

    code = "bundle_ambiguous"


class WeightsInvalid(PermanentError):
    """The file of weights is damaged, is not the published network's, or holds more than numbers.

    Nothing in it was run. Get senet50_scratch_weight.pkl again from its source, and import that file as it is.
    """

    code = "weights_invalid"


class FolderInUse(PermanentError):
    """facemem is already running on this data folder.

    Use the one that runs, stop it with Ctrl-C where it was started, or set FACEMEM_HOME to another folder.
    """

    code = "folder_in_use"


class StartFailed(PermanentError):
    """A part of facemem did not start.

    The last lines of its log say why; all logs are in the folder `logs` of the data folder.
    """

    code = "start_failed"


class FlowerExposed(PermanentError):
    """Flower would be open to whoever reaches its port, for it has no password.

    Set FACEMEM_FLOWER_PASSWORD. `facemem up` does so by itself, and prints it.
    """

    code = "flower_exposed"


# --- The model ---------------------------------------------------------------------------------------------------


class StatesBroken(PermanentError):
    """Stored states of faces are damaged or belong to another model.

    Submit the images again; their states are then computed anew.
    """

    code = "states_broken"


class ExplanationInexact(PermanentError):
    """The parts of a score do not add up to it.

    This points to a damaged bundle or a faulty processor; no score is given, because none could be explained.
    """

    code = "explanation_inexact"


class DataSetInvalid(PermanentError):
    """The folder does not hold a data set that a model can be trained on.

    It needs one CSV with the columns image and score, and the images that it names; or the 10k US Adult Faces Database.
    """

    code = "data_set_invalid"
