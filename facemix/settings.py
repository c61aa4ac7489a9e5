"""Typed settings, read from the environment in this one place and passed on as values.

Every setting is an environment variable ``FACEMIX_<NAME>``; ``docs/settings.md`` lists them and a test
compares that page with this class.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from facemix.errors import ConfigError

MEBIBYTE = 1024 * 1024


class Settings(BaseSettings):
    """What an operator may change."""

    model_config = SettingsConfigDict(env_prefix="FACEMIX_", env_ignore_empty=True, extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="address the server binds to")
    port: int = Field(8000, ge=1, le=65535, description="port the server binds to")
    checkpoint: Path | None = Field(
        None, description="folder of the checkpoint to serve; empty means the newest one that ships"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the model runs")
    backend: Literal["auto", "torch", "openvino"] = Field(
        "auto", description="what computes the model; auto takes OpenVINO where it is installed and faster"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="arithmetic of the model; auto takes bf16 where the device has units for it and it agrees"
    )
    detector: Literal["onnxruntime", "openvino", "auto"] = Field(
        "onnxruntime", description="what runs the face detector; auto takes OpenVINO where it is installed and has bf16"
    )
    threads: int = Field(0, ge=0, le=256, description="CPU threads of the model; 0 means one per core")
    workers: int = Field(0, ge=0, le=256, description="photographs looked at in parallel; 0 means one per core")
    isolate: bool = Field(
        True,
        description="look at photographs in processes of their own; one that crashes its decoder costs no other",
    )
    max_batch: int | None = Field(None, ge=1, le=256, description="most frames in a batch; empty means 16, 64 on a GPU")
    max_upload_bytes: int = Field(
        10 * MEBIBYTE, ge=1024, description="largest photograph accepted, in bytes, counted while it arrives"
    )
    max_image_pixels: int = Field(
        50_000_000, ge=1024, description="largest photograph accepted, in pixels, checked before decoding"
    )
    max_body_bytes: int = Field(
        32 * MEBIBYTE,
        ge=4096,
        description="largest request body accepted, in bytes, counted while it arrives",
    )
    allow_heif: bool = Field(False, description="accept HEIC photographs (needs the extra facemix[heif])")
    allow_avif: bool = Field(False, description="accept AVIF photographs")
    max_parents: int = Field(8, ge=2, le=32, description="most faces in one recipe")
    max_steps: int = Field(65, ge=2, le=257, description="most frames in one strip")
    max_cells: int = Field(64, ge=4, le=1024, description="most faces in one grid")
    max_frames: int = Field(600, ge=2, le=3600, description="most frames of one animation")
    max_jobs: int = Field(16, ge=0, le=10_000, description="most jobs that wait while one is worked on")
    max_items: int = Field(200, ge=1, le=2000, description="most mixes of one batch")
    max_queue: int = Field(
        256,
        ge=1,
        le=65536,
        description="most frames worked on or waiting, large results counted as several; requests beyond are answered "
        "503",
    )
    deadline_seconds: float = Field(
        30, gt=0, le=600, description="longest that a request may wait for the model, from the end of its body"
    )
    max_buffered_bytes: int = Field(
        256 * MEBIBYTE,
        ge=4096,
        description="most bytes of bodies in memory at once, and as much again of photographs and faces that jobs "
        "hold; requests beyond are answered 503",
    )
    cache_bytes: int = Field(
        64 * MEBIBYTE,
        ge=0,
        description="memory for crops and latents of photographs seen lately, and as much again each for their aligned "
        "faces and for what detail is carried by; 0 keeps none",
    )
    cache_seconds: float = Field(600, ge=0, le=86400, description="how long these are kept; 0 keeps none")
    max_connections: int = Field(512, ge=0, le=65536, description="most open connections; 0 means no limit")
    max_connections_per_address: int = Field(
        64, ge=0, le=65536, description="most open connections of one address; 0 means no limit"
    )
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/]+(/[^\s?#]*)?$",
        description="address under which clients reach the server, as https://faces.example/mix, for links in answers; "
        "empty takes what the client has called",
    )
    trusted_proxies: str = Field(
        "", description="addresses or networks, by commas, whose X-Forwarded-For is believed; empty means none"
    )
    rate_per_address: str = Field(
        "600/minute", description="requests for work of one address, as 10/second;600/minute; none means no limit"
    )
    rate_per_key: str = Field("3000/minute", description="the same of one API key; a key may have a limit of its own")
    rate_samples: str = Field(
        "1800/minute", description="requests for sample faces, and others that cost little, of one address or key"
    )
    rate_saves: str = Field("120/hour", description="recipes that one address or key may save")
    rate_photo: str = Field(
        "1200/hour", description="looks at one and the same photograph, whoever sends it; none means no limit"
    )
    access: Literal["auto", "open", "keys"] = Field(
        "auto",
        description="who may mix: open lets everybody, keys only those with an API key or a password; "
        "auto is open on loopback and keys elsewhere",
    )
    secret: SecretStr | None = Field(
        None,
        description="from which the keys of this installation are derived, at least 32 characters; "
        "empty makes a file in the data folder",
    )
    session_hours: float = Field(12, gt=0, le=744, description="how long a sign-in to the console lasts")
    consent: Literal["ask", "require", "off"] = Field(
        "ask",
        description="whether whoever sends photographs is asked to state consent; "
        "require refuses requests of programs without it, too",
    )
    gate: bool = Field(True, description="refuse what looks like no photograph of a face: drawings, statues, masks")
    check_results: bool = Field(True, description="withhold results that are no face, or a document's portrait")
    training_data: Path | None = Field(
        None,
        description="prepared data set of the model's training faces, whose pictures explanations then show; "
        "empty shows their hashes alone",
    )
    latent_signers: str = Field(
        "",
        description="public keys, by commas, of other installations whose signed latents are taken; empty means none",
    )
    guard_distance: float = Field(
        0.5, ge=0.1, le=1.0, description="embedding distance below which a result is a protected person's likeness"
    )
    review_share: float = Field(
        0.01, ge=0, le=1, description="share of results that a reviewer looks at afterwards, if there is a reviewer"
    )
    review_hours: float = Field(72, gt=0, le=720, description="when a held result that nobody decided on is deleted")
    review_due_hours: float = Field(24, gt=0, le=720, description="within which time a held result is to be decided on")
    label: bool = Field(True, description="write a small label into results: made by a machine")
    mark: bool = Field(True, description="put an invisible mark into results by which this installation knows them")
    credentials: bool = Field(True, description="sign results with content credentials (C2PA)")
    credentials_certificate: Path | None = Field(
        None, description="PEM file of the certificate chain that signs them; empty makes one at the first start"
    )
    credentials_key: Path | None = Field(None, description="PEM file of its private key")
    budget_day: float | None = Field(
        None, gt=0, description="most that all requests of a day may cost, in the price table's currency"
    )
    budget_month: float | None = Field(None, gt=0, description="the same of a month")
    data_dir: Path = Field(
        Path("~/.local/share/facemix"), description="folder of the database, unless FACEMIX_DATABASE_URL names one"
    )
    database_url: str | None = Field(
        None, description="as postgresql+psycopg://user@host/facemix; empty means SQLite in the data folder"
    )
    blob_url: str | None = Field(
        None, description="where pictures of saved recipes are, as s3://bucket/prefix; empty means the data folder"
    )
    s3_endpoint: str | None = Field(None, description="endpoint of an S3-compatible store; empty means Amazon's")
    s3_region: str | None = Field(None, description="region of the S3 store")
    s3_access_key_id: str | None = Field(None, description="access key; empty means the usual AWS places")
    s3_secret_access_key: SecretStr | None = Field(None, description="secret of the access key")
    keep: Literal["memory", "database"] = Field(
        "memory",
        description="where faces, jobs and answers are kept until they expire; several replicas take the database",
    )
    keep_bytes: int = Field(
        64 * MEBIBYTE, ge=MEBIBYTE, description="most bytes of these; of whoever holds the most the first to expire go"
    )
    face_seconds: float = Field(
        3600, gt=0, le=30 * 86400, description="how long an uploaded face may be mixed by its id"
    )
    job_seconds: float = Field(
        900, gt=0, le=30 * 86400, description="how long the result of a job is kept after it is done"
    )
    link_days: int = Field(
        365, ge=0, le=36500, description="how long a saved recipe may live, in days; 0 lets it live for ever"
    )
    ledger: bool = Field(
        True,
        description="write one row per request to the database: what it cost and whose key, "
        "never an address, a file name or a face",
    )
    ledger_days: int = Field(
        400, ge=0, le=36500, description="for how long these rows are kept, in days; 0 means for ever"
    )
    metrics: bool = Field(True, description="answer GET /metrics with figures for Prometheus")
    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^\s/]+(/\S*)?$",
        description="OpenTelemetry collector for traces (OTLP over HTTP), as http://127.0.0.1:4318; empty sends none",
    )
    log_format: Literal["text", "json"] = Field("text", description="lines for people, or one JSON object per line")
    replicas: int = Field(1, ge=1, le=256, description="replicas behind --engine ray")
    strip_steps: int = Field(33, ge=3, le=257, description="frames that the page fetches to scrub through")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="how much is logged")


def load_settings() -> Settings:
    """Reads the environment.

    Raises:
        ConfigError: a variable has a value that its setting does not accept; all of them are named.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"FACEMIX_{'_'.join(str(part) for part in item['loc']).upper()}={item['input']!r}: {item['msg']}"
            for item in error.errors()
        )
        raise ConfigError(
            f"the environment holds settings that are not valid: {wrong}",
            hint="docs/settings.md lists every setting with its type and default",
        ) from error
