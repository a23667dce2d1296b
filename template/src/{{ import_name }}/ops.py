"""What operations asks of the service: is it well, which release is it, how is it doing."""

import logging
from time import perf_counter

from flask import Blueprint, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from .release import Release

log = logging.getLogger(__name__)


def blueprint(release: Release) -> Blueprint:
    """Make `/healthz`, `/version` and `/metrics`; every request is logged and measured."""
    ops = Blueprint("ops", __name__)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    labels = ["method", "route", "status"]
    seconds = Histogram("http_request_seconds", "Time to answer.", labels, registry=registry)

    @ops.before_app_request
    def start() -> None:
        g.started = perf_counter()

    @ops.after_app_request
    def finish(response: Response) -> Response:
        took = perf_counter() - g.started
        # Only known routes and their methods become labels: a scanner must not fill the memory.
        known = (request.method, request.url_rule.rule) if request.url_rule else ("-", "-")
        seconds.labels(*known, response.status_code).observe(took)
        facts = {"method": request.method, "path": request.path, "status": response.status_code}
        log.info("request", extra=facts | {"ms": round(took * 1000, 2)})
        return response

    @ops.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @ops.get("/version")
    def version() -> dict[str, str | None]:
        return {"version": release.version, "commit": release.commit, "sha256": release.sha256}

    @ops.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return ops
