"""Traces, metrics and the log, as those read them for whom they are made.

In: a server over two small services, with a collector in this process. Out: the tree of spans as
OpenTelemetry's own messages hold it, `/metrics` as Prometheus' own client reads it, the log as JSON. What the
server does when the collector is away is tested in Rust.
"""

import http.server
import json
import threading
import urllib.request

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client.parser import text_string_to_metric_families

from conftest import Lab

LINK = '@link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])'
SERVICE = """extend schema @module(name: "%s", owner: "%s-team")
  @source(name: "%s", kind: GRAPHQL, url: "http://%s.internal/", breaker: "off")
  """ + LINK
FILMS = (SERVICE % (("films",) * 4)) + """
type Query { films: [Film!]! }
type Film @key(fields: "id") { id: ID!  title: String }
"""
STARS = (SERVICE % (("stars",) * 4)) + """
type Film @key(fields: "id") { id: ID!  stars: Int }
"""
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Listener:
    """An HTTP server that keeps what it hears and answers as it is told."""

    def __init__(self, answer):
        self.heard = heard = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                heard.append((self.path, dict(self.headers), body))
                status, kind, answered = answer(body)
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(answered)))
                self.end_headers()
                self.wfile.write(answered)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def graphql(answer):
    """A service; what it answers depends on whether it is asked for entities."""

    def answered(body):
        asked = json.loads(body)["variables"].get("representations")
        return 200, "application/json", json.dumps(answer(asked)).encode()

    return answered


def films(_):
    return {"data": {"films": [{"__typename": "Film", "id": i, "title": f"t{i}"} for i in "abc"]}}


def stars(asked):
    return {"data": {"_entities": [{"__typename": "Film", "id": f["id"], "stars": 5} for f in asked]}}


def send(url, body, headers):
    request = urllib.request.Request(url, body, {"content-type": "application/json"} | headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Two requests, one of which fails in part, and all that is told of them."""
    collector = Listener(lambda _: (200, "application/x-protobuf", b""))
    fails = threading.Event()

    def failing(asked):
        return {"errors": [{"message": "no", "extensions": {"code": "OWN_WORD"}}]} if fails.is_set() else stars(asked)

    services = {"films": Listener(graphql(films)), "stars": Listener(graphql(failing))}
    urls = "".join(f'[sources.{name}]\nurl = "{service.url}"\n' for name, service in services.items())
    settings = '[log]\nrequests = true\nfile = "requests.log"\n[telemetry]\nservice_name = "lab"\n'
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20key",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }
    lab = Lab(tmp_path_factory.mktemp("telemetry"), settings + urls, variables)
    (lab.folder / "schema/films.graphql").write_text(FILMS)
    (lab.folder / "schema/stars.graphql").write_text(STARS)
    lab.apply()
    lab.start()
    query = json.dumps({"query": "query Home { films { title stars } }"}).encode()
    context = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=b"}
    answer = json.loads(send(f"{lab.origin}/graphql", query, context))
    assert answer == {"data": {"films": [{"title": f"t{i}", "stars": 5} for i in "abc"]}}
    fails.set()
    assert json.loads(send(f"{lab.origin}/graphql", query, {}))["errors"]
    with urllib.request.urlopen(f"{lab.origin}/metrics", timeout=30) as page:
        page = page.read().decode()
    lab.stop()
    log = [json.loads(line) for line in (lab.folder / "requests.log").read_text().splitlines()]
    return {"collector": collector, "services": services, "page": page, "log": log}


def exported(told, path, message):
    bodies = [body for heard, _, body in told["collector"].heard if heard == path]
    assert bodies
    return [message.FromString(body) for body in bodies]


def attributes(pairs):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def test_spans_are_a_tree_over_both_services(told):
    requests = exported(told, "/v1/traces", ExportTraceServiceRequest)
    resource = attributes(requests[0].resource_spans[0].resource.attributes)
    assert resource["service.name"] == "lab"
    assert resource["deployment.environment.name"] == "test"
    spans = [
        span
        for request in requests
        for of_resource in request.resource_spans
        for scope in of_resource.scope_spans
        for span in scope.spans
        if span.trace_id.hex() == TRACE
    ]

    def only(name, parent):
        found = [span for span in spans if span.name == name and span.parent_span_id == parent]
        assert len(found) == 1, (name, spans)
        return found[0]

    whole = only("POST /graphql", bytes.fromhex(PARENT))
    assert whole.kind == Span.SPAN_KIND_SERVER and whole.status.code == Status.STATUS_CODE_UNSET
    assert attributes(whole.attributes)["http.response.status_code"] == 200
    query = only("query", whole.span_id)
    assert attributes(query.attributes)["graphql.operation.name"] == "Home"
    assert attributes(query.attributes)["headwater.plan.kept"] is False
    only("plan", query.span_id)
    assert len(spans) == 5
    for name, batch in [("films", 0), ("stars", 3)]:
        call = only(f"call {name}", query.span_id)
        assert call.kind == Span.SPAN_KIND_CLIENT
        said = attributes(call.attributes)
        assert (said["headwater.source.owner"], said["headwater.batch.size"]) == (f"{name}-team", batch)
        _, headers, _ = told["services"][name].heard[0]
        assert headers["traceparent"] == f"00-{TRACE}-{call.span_id.hex()}-01"
        assert headers["tracestate"] == "a=b"
        assert whole.start_time_unix_nano <= call.start_time_unix_nano <= call.end_time_unix_nano
        assert call.end_time_unix_nano <= whole.end_time_unix_nano
    _, headers, _ = told["collector"].heard[0]
    assert headers["authorization"] == "Bearer key"


def test_prometheus_reads_the_page(told):
    families = {family.name: family for family in text_string_to_metric_families(told["page"])}
    assert all(family.type != "unknown" and family.documentation for family in families.values())

    def value(family, suffix, **labels):
        name = family + suffix
        found = [s.value for s in families[family].samples if s.name == name and labels.items() <= s.labels.items()]
        assert len(found) == 1, (name, labels, families[family].samples)
        return found[0]

    assert value("headwater_graphql_operations", "_total", type="query", outcome="ok") == 1
    assert value("headwater_graphql_operations", "_total", type="query", outcome="errors") == 1
    assert value("headwater_graphql_errors", "_total", owner="stars-team", code="other") >= 1
    assert value("headwater_source_calls", "_total", source="stars", owner="stars-team") == 2
    assert value("headwater_source_seconds", "_count", source="films") == 2
    assert value("headwater_graphql_plans", "_total", plan="kept") == 1


def test_metrics_are_reported_as_the_page_has_them(told):
    last = exported(told, "/v1/metrics", ExportMetricsServiceRequest)[-1]
    metrics = {m.name: m for r in last.resource_metrics for s in r.scope_metrics for m in s.metrics}
    calls = metrics["headwater_source_calls"].sum
    assert calls.is_monotonic and calls.aggregation_temporality == 2
    found = {attributes(point.attributes)["source"]: point.as_int for point in calls.data_points}
    assert found == {"films": 2, "stars": 2}
    times = metrics["headwater_graphql_seconds"].histogram.data_points[0]
    assert times.count == sum(times.bucket_counts) == 2
    assert len(times.bucket_counts) == len(times.explicit_bounds) + 1
    assert times.sum > 0 and times.start_time_unix_nano < times.time_unix_nano
    assert metrics["headwater_requests_in_flight"].WhichOneof("data") == "gauge"


def test_the_log_has_a_line_for_each_request(told):
    whole, failed = [line for line in told["log"] if line["route"] == "/graphql"]
    assert (whole["operation"], whole["outcome"], whole["trace"]) == ("Home", "ok", TRACE)
    assert [call["source"] for call in whole["calls"]] == ["films", "stars"]
    assert failed["errors"][0] == {"code": "OWN_WORD", "owner": "stars-team", "source": "stars"}
    assert any(line["route"] == "/metrics" for line in told["log"])
