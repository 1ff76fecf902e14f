"""How long answers take, for the metrics. By the rule of the URL map, never by the address: that has ids in it."""

from time import monotonic

from flask import Flask, Response, g, request

from shared import metrics

# What nobody has defined has as many names as clients think of.
NOWHERE = "none"


def register(app: Flask) -> None:
    """Take the time of every request from now on. To be registered first: what comes before is not measured."""

    @app.before_request
    def begin() -> None:
        g.began = monotonic()

    @app.after_request
    def end(answer: Response) -> Response:
        rule = request.url_rule
        route, method = (rule.rule, request.method) if rule is not None else (NOWHERE, NOWHERE)
        seconds = monotonic() - g.began
        metrics.REQUEST_SECONDS.labels(route, method, answer.status_code).observe(seconds)
        return answer
