"""Every setting of every process, read from the environment in this one place.

A setting `window_images` is the environment variable `FACEMEM_WINDOW_IMAGES`. The defaults suit one laptop;
addresses have no default, because guessing a database is worse than refusing to start.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, HttpUrl, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.errors import SettingsInvalid

MIB = 1024 * 1024

Device = Literal["auto", "cpu", "cuda"]
Engine = Literal["auto", "torch", "openvino"]
Precision = Literal["auto", "float32", "bfloat16"]
Captioner = Literal["auto", "ollama", "describer"]
# Unset by an empty word: compose cannot leave a variable out.
MAY_BE_EMPTY = (
    *("max_stored_bytes", "max_queued_images", "retention_days", "captions_at_once"),
    *("otlp_endpoint", "flower_url", "machine"),
)
Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


class OllamaSettings(BaseSettings):
    """Ollama, for whoever writes captions with it: the captioning workers, and training."""

    model_config = SettingsConfigDict(env_prefix="FACEMEM_", extra="ignore", frozen=True)

    ollama_url: HttpUrl = HttpUrl("http://127.0.0.1:11434")
    ollama_model: str = "llama3.2-vision"
    ollama_prompt: str = (
        "Describe the face you are seeing in one paragraph and ignore the oval shape. "
        "Please provide as much detail as you can."
    )
    ollama_seconds: Seconds = Field(120, description="for one caption, from connecting to the last word")
    ollama_max_tokens: Positive = 300


class Settings(OllamaSettings):
    """The settings of one process. Build it with `settings()`; tests build their own."""

    # Where the parts are.
    database_url: SecretStr = Field(description="PostgreSQL 18, as postgresql+psycopg://user:password@host/database")
    broker_url: SecretStr = Field(description="Redis, as redis://:password@host:6379/0")
    storage_url: str = Field(description="s3://bucket, or folder:/absolute/path for one machine")
    s3_endpoint: str | None = Field(None, description="address of an S3-compatible server; unset means AWS")
    s3_public_endpoint: str | None = Field(
        None, description="the address by which clients reach it to upload directly; unset: the same"
    )
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    s3_region: str = "us-east-1"

    # The API.
    api_host: str = "127.0.0.1"
    api_port: int = 8400
    api_processes: Positive = 1
    keys: Literal["auto", "required", "off"] = Field(
        "auto", description="whether a request needs a key; auto: unless the API listens to this machine only"
    )
    api_names: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="names, with commas between, under which a service without keys may be called"
    )
    requests_per_minute: Positive = Field(600, description="with one key, photos and crops not among them")
    pictures_per_minute: Positive = Field(6000, description="with one key: photos and crops, as a gallery shows them")
    submissions_per_minute: Positive = Field(60, description="with one key: jobs, uploads, and what is scored again")
    max_stored_bytes: Positive | None = Field(
        None, description="bytes of images that one tenant may have in storage; unset: no limit"
    )
    max_queued_images: Positive | None = Field(
        None, description="unfinished images that one tenant may have; unset: no limit"
    )
    max_images_per_job: Positive = Field(1_000_000, description="images in one submission")
    max_file_bytes: Positive = Field(32 * MIB, description="bytes of one image")
    max_submission_bytes: Positive = Field(2048 * MIB, description="bytes of one submission in all")
    max_manifest_bytes: Positive = Field(512 * MIB, description="bytes of one manifest")
    max_unpacked_bytes: Positive = Field(4096 * MIB, description="bytes of an archive's members in all, unpacked")
    idempotency_hours: Positive = Field(
        48, description="so long a submission repeated with its Idempotency-Key gets the first one's answer"
    )

    upload_seconds: Positive = Field(
        24 * 3600, le=7 * 24 * 3600, description="so long a direct upload may be sent, and then submitted"
    )
    uploads_at_once: Positive = Field(1000, description="direct uploads announced in one call")

    # Flower, the window on the workers. It refuses to start without a password.
    flower_host: str = "127.0.0.1"
    flower_port: int = 5555
    flower_user: str = "flower"
    flower_password: SecretStr | None = None
    flower_url: HttpUrl | None = Field(
        None, description="where people find Flower, for pages that link to it; unset: nothing links to it"
    )

    # Intake of images by link.
    fetch_seconds: Seconds = Field(30, description="for one image, from connecting to the last byte")
    fetch_private_addresses: bool = Field(
        False, description="also fetch from private addresses and http (tests, intranets)"
    )

    # Webhooks. They go to private addresses and by http where intake does.
    max_webhooks: Positive = Field(20, description="of one tenant")
    webhook_seconds: Seconds = Field(15, description="for one delivery, from finding the host to the answer")
    webhook_kept_days: Positive = Field(30, description="so long deliveries and their attempts can be looked up")

    s3_sources: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="what s3:// links may lead to: s3://bucket/prefix/, with commas between; {tenant} is its name",
    )

    # Computing. `auto` is what is fastest here with results as good; which that was is kept with each score.
    device: Device = "auto"
    engine: Engine = Field("auto", description="what finds faces; auto: openvino on a CPU where it is installed")
    precision: Precision = Field(
        "auto", description="in which numbers encoders compute; auto: bfloat16 where the processor has it"
    )

    # Detection.
    max_pixels: Positive = Field(100_000_000, description="width x height of one image")
    detection_long_side: Positive = Field(
        1024, description="images are scaled down to this before faces are looked for"
    )
    detection_min_face: Positive = Field(40, description="smallest face looked for, in pixels after scaling")
    detection_threshold: float = Field(0.95, ge=0, le=1, description="confidence a face must reach")
    detection_max_faces: Positive = Field(32, description="faces kept of one image, largest first")
    crop_margin: float = Field(0.25, ge=0, le=1, description="added on each side of a face, as a share of its box")

    # Captioning.
    captioner: Captioner = "auto"
    captions_at_once: Positive | None = Field(
        None, description="requests that one captioning worker has in flight; unset: as many as Ollama makes use of"
    )

    # The model.
    bundle: str = Field("compact", description="default bundle: its name, its digest, or the path of its folder")
    bundle_digest: str | None = Field(None, description="SHA-256 the default bundle must have; another is refused")
    bundles_folder: Path | None = Field(None, description="a folder of bundles beside those that facemem came with")

    # Keeping.
    retention_days: Positive | None = Field(
        None, description="so long jobs that name no retention are kept after their end; unset: until they are deleted"
    )

    # Pace. Of a job at most `window_images` images wait for a worker at once; or as many as workers are at, if more.
    # Several jobs share that, a batch for each at least.
    window_images: Positive = 128
    tick_seconds: Seconds = Field(0.2, description="how often the dispatcher looks for work")
    dispatch_lease_seconds: Seconds = Field(3600, description="a message not delivered by then is sent again")
    lost_message_seconds: Seconds = Field(
        10, description="so long may a queue be empty while images wait for its messages"
    )
    run_lease_seconds: Seconds = Field(30, description="a worker not heard of for so long has lost its batch")
    max_run_seconds: Seconds = Field(1800, description="a batch that gets nothing done for so long ends its worker")
    deaf_worker_seconds: Seconds = Field(
        60, description="a worker with free hands that lets a message lie, or stands still, for so long ends itself"
    )
    silent_dispatcher_seconds: Seconds = Field(
        60, description="a dispatcher whose rounds do not end for so long ends itself; /readyz tells of it"
    )
    retry_delay_seconds: Seconds = Field(5, description="before the second attempt; doubles with each further one")
    max_attempts: Positive = Field(4, description="of one image at one stage")
    unavailable_delay_seconds: Seconds = Field(
        15, description="before looking again whether storage, Ollama ... is back"
    )

    # Every process.
    machine: str | None = Field(
        None, description="this machine's name, for workers in containers: Flower shows it; unset: the host's name"
    )
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otlp_endpoint: HttpUrl | None = Field(
        None, description="OpenTelemetry: who takes traces, as OTLP over HTTP; unset: nobody (needs facemem[tracing])"
    )
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="where this process answers Prometheus; unset: nowhere; 0: a port that is free",
    )
    metrics_host: str = Field("127.0.0.1", description="on which address; whoever reaches it needs no key")
    heartbeat_file: Path | None = Field(
        None, description="a file whose time a worker or dispatcher renews every second, for who starts it again"
    )
    threads: int = Field(0, ge=0, description="compute threads of this process; 0 leaves it to the library")

    @field_validator("s3_sources", mode="before")
    @classmethod
    def _sources(cls, places: object) -> object:
        if not isinstance(places, str):
            return places
        return tuple(place.strip() for place in places.split(",") if place.strip())

    @field_validator("s3_sources")
    @classmethod
    def _whole_sources(cls, places: tuple[str, ...]) -> tuple[str, ...]:
        for place in places:
            if not place.startswith("s3://") or not place.endswith("/") or place.startswith("s3:///"):
                raise ValueError(f"must be of the form s3://bucket/prefix/, with the last slash, not {place!r}")
        return places

    @field_validator(*MAY_BE_EMPTY, mode="before")
    @classmethod
    def _unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("api_names", mode="before")
    @classmethod
    def _split(cls, names: object) -> object:
        if not isinstance(names, str):
            return names
        return tuple(name.strip().lower() for name in names.split(",") if name.strip())


class LocalSettings(BaseSettings):
    """What a machine that runs everything by itself needs to know. Unset addresses mean: start our own server."""

    model_config = SettingsConfigDict(env_prefix="FACEMEM_", extra="ignore", frozen=True)

    home: Path = Field(Path.home() / ".local/share/facemem", description="folder that keeps the data between runs")
    api_url: str | None = Field(None, description="a facemem that runs elsewhere, for the commands that talk to one")
    api_key: SecretStr | None = Field(None, description="the key to present there, where one is asked for")
    database_url: SecretStr | None = None
    broker_url: SecretStr | None = None
    storage_url: str | None = None
    bundle: str | None = Field(None, description="unset: the one that `facemem models use` chose, else compact")
    bundles_folder: Path | None = Field(None, description="unset: the folder `bundles` of the data folder")


@lru_cache
def settings() -> Settings:
    """The settings of this process. Raises SettingsInvalid, naming each variable that is missing or wrong."""
    try:
        return Settings()
    except ValidationError as error:
        prefix = Settings.model_config["env_prefix"]
        wrong = (f"{prefix}{'.'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in error.errors())
        raise SettingsInvalid("Settings are missing or wrong. " + "; ".join(wrong)) from error
