"""Building the API."""

from flask import redirect
from flask.json.provider import DefaultJSONProvider
from flask_openapi3 import Info
from werkzeug import Response

from services.api import (
    audit,
    authentication,
    bodies,
    compare,
    control,
    deletions,
    deliveries,
    export,
    faces,
    headers,
    health,
    insights,
    jobs,
    limits,
    measured,
    models,
    pictures,
    problems,
    rate_limits,
    request_log,
    rescore,
    results,
    submit,
    system,
    trace,
    uploads,
    watch,
    web,
    webhooks,
    what_if,
)
from services.api.document import Api
from services.api.keys import endpoints as keys
from services.api.parts import Parts
from services.api.places import Places
from services.api.set_findings import SetFindings
from services.api.shared_reads import SharedReads
from shared import logs, metrics, tracing
from shared.access import keys_required
from shared.database.session import connect
from shared.memorability.catalogue import Catalogue
from shared.pipeline.backlog import Backlog
from shared.settings import Settings, settings
from shared.storage.objects import open_objects

ABOUT = (
    "Scores how memorable the faces in photo sets are, and shows why. "
    "The shipped model predicts how memorable people *judge* a face to be; it learned from ratings of synthetic faces."
)


class _InOrder(DefaultJSONProvider):
    """JSON with its fields in the order of the schema, which is the order people read them in."""

    sort_keys = False


def create_app(configured: Settings) -> Api:
    """The API with the parts that the settings name. Connects to nothing before the first request."""
    app = Api(
        "facemem",
        info=Info(title="facemem", version="1", description=ABOUT),
        security_schemes={},
        doc_prefix="/docs",
        static_folder=None,
        validation_error_status=422,
        validation_error_model=problems.Problem,
        validation_error_callback=problems.invalid,
    )
    app.keys_optional = not keys_required(configured)
    app.config["MAX_CONTENT_LENGTH"] = configured.max_submission_bytes
    app.json = _InOrder(app)
    request_log.register(app)
    measured.register(app)
    headers.register(app)
    catalogue = Catalogue(configured.bundle, configured.bundles_folder)
    active = catalogue.default(configured.bundle_digest)
    app.extensions["facemem"] = Parts(
        configured,
        connect(configured.database_url.get_secret_value(), f"api {logs.process_name('api')}"),
        open_objects(configured),
        catalogue,
        active.digest,
        {active.digest: active.name},
    )
    findings = app.extensions["facemem_findings"] = SetFindings()
    app.before_request(findings.drop_old)
    app.extensions["facemem_exports"] = Places(export.MOST_AT_ONCE)
    app.extensions["facemem_watchers"] = Places(watch.MOST_AT_ONCE)
    app.extensions["facemem_status_reads"] = SharedReads()
    authentication.register(app)
    rate_limits.register(app, configured)
    bodies.register(app)
    for part in (
        submit,
        uploads,
        limits,
        jobs,
        watch,
        control,
        rescore,
        results,
        trace,
        faces,
        what_if,
        export,
        insights,
        compare,
        pictures,
        models,
        system,
        keys,
        webhooks,
        deliveries,
        deletions,
        audit,
        health,
    ):
        app.register_api(part.api)
    app.add_url_rule("/openapi.json", "openapi_json", lambda: app.api_doc)
    app.register_blueprint(web.api)
    app.view_functions["openapi.openapi"] = _only_document  # a list of such pages, of which there is one
    problems.register(app)
    return app


def _only_document() -> Response:
    """To the page on which the document can be read and tried."""
    return redirect("/docs/swagger")


def from_environment() -> Api:
    """What the server calls in each of its processes."""
    configured = settings()
    logs.configure(configured, "api")
    tracing.configure(configured, "api")
    app = create_app(configured)
    metrics.serve(configured, Backlog(configured), processes=configured.api_processes)
    return app
