"""The models of this service and what is to be known of them."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from services.api.parts import parts
from services.api.schemas import Model, Models
from shared.memorability.catalogue import shipped

api = APIBlueprint(
    "models", __name__, url_prefix="/v1", abp_tags=[Tag(name="models", description="Bundles and cards.")]
)


@api.get("/models", summary="List models", responses={200: Models})
def index() -> dict[str, Any]:
    """Every bundle with its card: data, protocol, figures with intervals, limits."""
    models = [
        Model(name=bundle.name, digest=bundle.digest, active=bundle.digest == parts().bundle, card=bundle.card)
        for bundle in shipped()
    ]
    return Models(models=models).model_dump(mode="json")
