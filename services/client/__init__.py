"""A typed client of facemem's HTTP API.

with Facemem("http://127.0.0.1:8400") as facemem:
    job = facemem.submit([Path("portrait.jpg")])
    for status in facemem.watch(job.id):
        print(f"{status.progress:.0%}")
    for image in facemem.results(job.id):
        print(image.image, [face.score for face in image.faces])
"""

from services.client.errors import ApiError, Unreachable
from services.client.facemem import Facemem

__all__ = ["ApiError", "Facemem", "Unreachable"]
