"""The models of this service and what is to be known of them."""

from typing import Any

import structlog
from flask_openapi3 import APIBlueprint, Tag

from services.api.parts import parts
from services.api.problems import NotFound, Problem
from services.api.schemas import Model, ModelPath, Models
from shared.memorability.catalogue import BundleFacts

log = structlog.get_logger()

api = APIBlueprint(
    "models", __name__, url_prefix="/v1", abp_tags=[Tag(name="models", description="Bundles and cards.")]
)


@api.get("/models", summary="List models", responses={200: Models})
def index() -> dict[str, Any]:
    """Every bundle with its card: data, protocol, figures with intervals, limits. Damaged ones are left out."""
    whole, wrong = parts().catalogue.survey()
    for error in wrong:
        log.warning("bundle_left_out", error=error.detail)
    return Models(models=[_model(bundle) for bundle in whole]).model_dump(mode="json")


@api.get("/models/<digest>", summary="See a model", responses={200: Model, 404: Problem, 422: Problem})
def show(path: ModelPath) -> dict[str, Any]:
    """One bundle with its card; bundle_invalid if it is here, but damaged."""
    if parts().catalogue.name_of(path.digest) is None:
        raise NotFound(f"There is no bundle with digest {path.digest}.")
    return _model(parts().whole_bundle(path.digest)).model_dump(mode="json")


def _model(bundle: BundleFacts) -> Model:
    active = bundle.digest == parts().bundle
    return Model(
        name=bundle.name,
        digest=bundle.digest,
        active=active,
        card=bundle.card,
        percentiles=bundle.config["percentiles"],
    )
