"""Connecting to an S3-compatible server, the same way wherever we do."""

from typing import Any

import boto3
from botocore.config import Config

from shared.settings import Settings

# A storage server that takes longer than this to accept or answer is treated as down; the work is tried again later.
CONNECT_SECONDS = 5
READ_SECONDS = 30


def connect(settings: Settings, endpoint: str | None) -> Any:
    """A boto3 client of the server at `endpoint`, or of AWS. Nothing is opened before the first use.

    Buckets are addressed by path: servers on one host have no subdomains for them. Signatures are version 4, also in
    links: only there the size and the type of what may be sent can be signed too.
    """
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key.get_secret_value() if settings.s3_access_key else None,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value() if settings.s3_secret_key else None,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "max_attempts": 3},
            # Servers other than AWS do not all know the newer checksums; integrity is still checked by length.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
