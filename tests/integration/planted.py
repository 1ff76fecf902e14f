"""A row in every table, and an object for each picture, of one tenant: what must be out of reach for all others."""

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from PIL import Image as Picture
from sqlalchemy import Connection, insert, text

from services.api.keys import stored
from services.api.scopes import Scope
from shared.database.tables import Table
from shared.memorability.catalogue import find
from shared.storage.objects import Objects

GREY = (120, 120, 120)
CAPTION = "smile chin"
FAR = text("now() + interval '1 day'")


@dataclass
class Planted:
    """The ids of what a tenant has, and a key that allows it everything."""

    tenant: str
    key: str
    job: UUID
    open_job: UUID
    webhook: UUID
    delivery: UUID
    upload: UUID
    deletion: UUID
    key_id: UUID
    images: list[int] = field(default_factory=list)
    faces: list[int] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def path(self, rule_or_path: str) -> str:
        """A path of the API with the ids of this tenant in the places of parameters."""
        ids = {
            "job_id": self.job,
            "image_id": self.images[0],
            "face_id": self.faces[0],
            "webhook_id": self.webhook,
            "delivery_id": self.delivery,
            "upload_id": self.upload,
            "deletion_id": self.deletion,
            "key_id": self.key_id,
        }
        parts = rule_or_path.split("/")
        named = [part.strip("<>{}").rpartition(":")[2] if part[:1] in "<{" and part else None for part in parts]
        return "/".join(part if name is None else str(ids[name]) for part, name in zip(parts, named, strict=True))


def plant(connection: Connection, objects: Objects, tenant: str) -> Planted:
    """A job that is done with two scored faces, one that runs, and one row of everything else."""
    key, row = stored.create(connection, tenant, "test", f"key of {tenant}", list(Scope), None)
    ids = [uuid4() for _ in range(6)]
    there = Planted(tenant, key, *ids, key_id=row.id)
    digest = find("compact").digest
    job = {"tenant": tenant, "name": f"of {tenant}", "captioner": "describer", "bundle": digest, "labels": [tenant]}
    _add(connection, "tenants", name=tenant)
    _add(connection, "jobs", id=there.job, state="completed", finished_at=text("now()"), stored_bytes=30, **job)
    _add(connection, "jobs", id=there.open_job, **job)
    for position, state in enumerate(("succeeded", "succeeded", "failed")):
        there.images.append(_image(connection, objects, there, there.job, position, state))
    _image(connection, objects, there, there.open_job, 0, "ready")
    for job_id, stage, state, images in (
        (there.job, "scoring", "succeeded", 2),
        (there.job, "detection", "failed", 1),
        (there.open_job, "detection", "ready", 1),
    ):
        _add(connection, "job_counts", job_id=job_id, stage=stage, state=state, images=images)
    _add(connection, "paces", job_id=there.job, stage="scoring", slot=text("now()"), passed=2, ended=2)
    _add(connection, "attempts", image_id=there.images[2], stage="detection", attempt=1, reason="worker_lost")
    _add(
        connection,
        "uploads",
        id=there.upload,
        tenant=tenant,
        name="a.png",
        size=9,
        media_type="image/png",
        expires_at=FAR,
    )
    objects.put(f"uploads/{there.upload}", b"not taken")
    _add(connection, "arrivals", job_id=uuid4(), tenant=tenant)
    _add(connection, "idempotency", tenant=tenant, key="once", fingerprint=b"x", job_id=there.job, answer={})
    secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    _add(
        connection,
        "webhooks",
        id=there.webhook,
        tenant=tenant,
        url=f"https://{tenant}.example/hook",
        secret=secret,
        events=["job.completed"],
    )
    payload = {"type": "job.completed", "timestamp": "2026-11-24T05:00:00Z", "data": {"job": str(there.job)}}
    _add(
        connection,
        "deliveries",
        id=there.delivery,
        webhook_id=there.webhook,
        job_id=there.job,
        type="job.completed",
        payload=payload,
        next_attempt_at=None,
    )
    _add(connection, "delivery_attempts", delivery_id=there.delivery, status=500, milliseconds=1)
    _add(
        connection,
        "deletions",
        id=there.deletion,
        tenant=tenant,
        job_id=uuid4(),
        reason="requested",
        prefixes=[],
        last_sweep_at=text("now()"),
        next_sweep_at=None,
        removed_at=text("now()"),
    )
    return there


def _image(connection: Connection, objects: Objects, there: Planted, job: UUID, position: int, state: str) -> int:
    values: dict[str, Any] = {"job_id": job, "position": position, "name": f"{there.tenant} {position}.jpg"}
    values |= {"state": state, "stage": "scoring" if state == "succeeded" else "detection"}
    if state == "ready":
        values["original_key"] = f"jobs/{job}/originals/{uuid4()}"
        objects.put(values["original_key"], _jpeg())
    if state == "failed":
        values |= {"reason": "not_an_image", "detail": "no picture", "finished_at": text("now()")}
    if state == "succeeded":
        values |= {"photo_key": f"jobs/{job}/photos/{position}.jpg", "width": 224, "height": 224}
        values |= {"derived_bytes": 15, "finished_at": text("now()")}
        objects.put(values["photo_key"], _jpeg())
    image: int = _add(connection, "images", **values)[0]
    if state == "succeeded":
        there.faces.append(_face(connection, objects, job, image, position))
    return image


def _face(connection: Connection, objects: Objects, job: UUID, image: int, position: int) -> int:
    crop = f"jobs/{job}/crops/{image}-0.jpg"
    objects.put(crop, _jpeg())
    box = {"box": [0, 0, 224, 224], "crop_box": [0, 0, 224, 224], "landmarks": [100] * 10, "confidence": 0.99}
    score = {"score": 0.4 + position / 10, "uncertainty": 0.1, "percentile": 71.0, "bundle": find("compact").digest}
    captioner = {"name": "describer", "version": "1"}
    (face,) = _add(
        connection,
        "faces",
        image_id=image,
        job_id=job,
        position=0,
        crop_key=crop,
        caption=CAPTION,
        captioner=captioner,
        scored_at=text("now()"),
        **box,
        **score,
    )
    words = [
        {"text": "smile", "start": 0, "end": 5, "contribution": 0.25},
        {"text": "chin", "start": 6, "end": 10, "contribution": -0.125},
    ]
    parts = np.zeros((2, 9), dtype="<f4")
    parts[0, 0], parts[1, 1] = 0.25, -0.125
    _add(
        connection,
        "explanations",
        face_id=face,
        logit=-0.375,
        constant=-0.5,
        words=words,
        rows=3,
        columns=3,
        contributions=parts.tobytes(),
        attention=np.full_like(parts, 1 / 9).tobytes(),
    )
    return face


def _jpeg() -> bytes:
    content = BytesIO()
    Picture.new("RGB", (224, 224), GREY).save(content, "JPEG")
    return content.getvalue()


def _add(connection: Connection, table: str, **values: Any) -> Any:
    return connection.execute(insert(Table.metadata.tables[table]).values(**values)).inserted_primary_key


def snapshot(connection: Connection, tenant: str) -> dict[str, list[Any]]:
    """Every row of a tenant, as the tenant's role sees it. `last_used_at` of keys is no change of the row's meaning."""
    connection.execute(text("set local role facemem_tenant"))
    connection.execute(text("select set_config('facemem.tenant', :tenant, true)"), {"tenant": tenant})
    rows = {
        table: connection.execute(
            text(f"select to_jsonb(t) - 'last_used_at' from {table} as t order by to_jsonb(t)::text")
        )
        .scalars()
        .all()
        for table in sorted(Table.metadata.tables)
    }
    connection.execute(text("reset role"))
    return rows
