"""Building the API."""

from flask import redirect
from flask.json.provider import DefaultJSONProvider
from flask_openapi3 import Info, OpenAPI

from services.api import health, insights, jobs, models, pictures, problems, results
from services.api.parts import Parts
from services.api.set_findings import SetFindings
from shared import logs
from shared.database.session import connect
from shared.memorability.catalogue import Catalogue
from shared.settings import Settings, settings
from shared.storage.objects import open_objects

ABOUT = (
    "Scores how memorable the faces in photo sets are, and shows why. "
    "The shipped model predicts how memorable people *judge* a face to be; it learned from ratings of synthetic faces."
)


class _InOrder(DefaultJSONProvider):
    """JSON with its fields in the order of the schema, which is the order people read them in."""

    sort_keys = False


def create_app(configured: Settings) -> OpenAPI:
    """The API with the parts that the settings name. Connects to nothing before the first request."""
    app = OpenAPI(
        "facemem",
        info=Info(title="facemem", version="1", description=ABOUT),
        security_schemes={},
        doc_prefix="/docs",
        validation_error_status=422,
        validation_error_model=problems.Problem,
        validation_error_callback=problems.invalid,
    )
    app.config["MAX_CONTENT_LENGTH"] = configured.max_submission_bytes
    app.json = _InOrder(app)
    catalogue = Catalogue(configured.bundle, configured.bundles_folder)
    active = catalogue.default(configured.bundle_digest)
    app.extensions["facemem"] = Parts(
        configured,
        connect(configured.database_url.get_secret_value()),
        open_objects(configured),
        catalogue,
        active.digest,
        {active.digest: active.name},
    )
    app.extensions["facemem_findings"] = SetFindings()
    for part in (jobs, results, insights, pictures, models, health):
        app.register_api(part.api)
    app.add_url_rule("/openapi.json", "openapi_json", lambda: app.api_doc)
    app.add_url_rule("/", "front", lambda: redirect("/docs/swagger"))
    problems.register(app)
    return app


def from_environment() -> OpenAPI:
    """What the server calls in each of its processes."""
    configured = settings()
    logs.configure(configured)
    return create_app(configured)
