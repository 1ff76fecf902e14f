"""One face: its score, why it has it, and what it would have under other words."""

from services.api.schemas import Explanation, FaceResult, ImageResult, JobStatus
from services.api.schemas.faces import FaceInSet
from services.api.schemas.trace import ImageTrace
from services.client.topic import Topic


class Faces(Topic):
    """Faces and images, and pictures of them."""

    def face(self, face_id: int) -> FaceInSet:
        """One face by its id, with its place among those of its job, and how many these are."""
        return self._calls.get(f"/v1/faces/{face_id}", FaceInSet)

    def explanation(self, face: FaceResult) -> Explanation:
        """What every word adds at every region."""
        return self._calls.get(f"/v1/faces/{face.id}/explanation", Explanation)

    def rescore_face(self, face_id: int, caption: str) -> JobStatus:
        """What a face would score if this were its caption: a job of that one face. The face keeps its score."""
        return self._calls.post(f"/v1/faces/{face_id}/rescore", JobStatus, lambda: {"json": {"caption": caption}})

    def trace(self, image_id: int) -> ImageTrace:
        """What the database keeps of one image's way."""
        return self._calls.get(f"/v1/images/{image_id}/trace", ImageTrace)

    def photo(self, image: ImageResult) -> bytes:
        """The image as JPEG: upright, scaled down, without metadata."""
        return self._calls.picture(f"/v1/images/{image.id}/photo")

    def crop(self, face: FaceResult) -> bytes:
        """The face as the model saw it, as JPEG."""
        return self._calls.picture(f"/v1/faces/{face.id}/crop")

    def heatmap(self, face: FaceResult, word: int | None = None) -> bytes:
        """The crop under the map of what each region adds, as PNG; by one word, if its place among `words` of the
        explanation is given.
        """
        return self._calls.picture(f"/v1/faces/{face.id}/heatmap", word=word)

    def words(self, face: FaceResult) -> bytes:
        """The caption with its words coloured by what they add, as PNG."""
        return self._calls.picture(f"/v1/faces/{face.id}/words")

    def explanation_picture(self, face: FaceResult) -> bytes:
        """The whole explanation on one page, as PNG."""
        return self._calls.picture(f"/v1/faces/{face.id}/explanation/picture")
