"""What schemathesis has to know of the service beyond docs/openapi.yaml: how texts of our own formats look, and which
requests a description cannot tell apart from good ones. Only requests that are meant to be good are changed; those that
are meant to be wrong are sent as they come."""

import ipaddress
import json
import os
from datetime import datetime, timedelta, timezone
from urllib.parse import quote, urlencode

import schemathesis
from hypothesis import strategies as st

word = st.from_regex(r"[a-z][a-z0-9]{1,11}", fullmatch=True)
field = st.sampled_from("service action user_id resource_type request_id event_id metadata.region metadata.order.id".split())
severity = st.sampled_from(["DEBUG", "info", "Warn", "ERROR", "fatal"])
address = st.one_of(st.ip_addresses().map(str), st.ip_addresses(v=4).map(lambda a: "::ffff:" + str(a)))
network = st.builds(
    lambda a, bits: str(ipaddress.ip_network((a, bits % (a.max_prefixlen + 1)), strict=False)),
    st.ip_addresses(),
    st.integers(0, 128),
)
# Of a timestamp or a question: from 1970 to now; the fraction has at most nanoseconds.
moment = st.builds(
    lambda at, zone, digits: (datetime(1970, 1, 3, tzinfo=timezone.utc) + timedelta(seconds=at)).strftime("%Y-%m-%dT%H:%M:%S") + digits + zone,
    st.integers(0, 56 * 365 * 24 * 3600),
    st.sampled_from(["Z", "+00:00", "-03:30", "+14:00"]),
    st.from_regex(r"(\.[0-9]{1,9})?", fullmatch=True),
)
date = st.dates(min_value=datetime(1970, 1, 2).date(), max_value=datetime(2259, 12, 31).date()).map(str)
clause = st.one_of(
    word,
    word.map(lambda w: w + "x*"),
    st.lists(word, min_size=1, max_size=3).map(lambda w: '"' + " ".join(w) + '"'),
    st.builds("{}:{}".format, field, word),
    st.builds("{}:({} OR {})".format, field, word, word),
    st.builds("has:{}".format, field),
    st.builds("severity:{}{}".format, st.sampled_from(["", ">", ">=", "<", "<="]), severity),
    st.builds("ip_address:{}".format, st.one_of(address, network)),
    st.builds("timestamp:>={}".format, date),
    st.builds("metadata.amount:[{} TO {}]".format, st.integers(-5, 5), st.integers(6, 99)),
    st.builds("message:{}".format, word),
)
question = st.lists(st.builds("{}{}".format, st.sampled_from(["", "NOT ", "-"]), clause), max_size=4).flatmap(
    lambda clauses: st.sampled_from([" ", " AND ", " OR "]).map(lambda between: between.join(clauses))
)
words = st.lists(st.one_of(word, st.lists(word, min_size=1, max_size=3).map(lambda w: '"' + " ".join(w) + '"')), min_size=1, max_size=4).map(" ".join)
letters = st.text(st.characters(categories=("L", "N", "P", "S"), max_codepoint=0x2FFF), min_size=1, max_size=30)

lines = st.lists(
    st.fixed_dictionaries({"message": word}, optional={"severity": severity, "ip_address": address, "metadata": st.dictionaries(word, st.integers())}),
    min_size=1,
    max_size=5,
).map(lambda entries: "\n".join(json.dumps(entry) for entry in entries))

for name, texts in {
    "ocelot-query": question,
    "ocelot-words": words,
    "ocelot-filter": question,
    "ocelot-search": st.builds(lambda q, level: urlencode({"q": q, "severity": level}, quote_via=quote), question, severity),
    "ndjson": lines,
    "ip-filter": st.builds("{}{}".format, st.sampled_from(["", "!"]), st.one_of(address, network)),
    "ip-network": st.one_of(st.ip_addresses().map(str), network),
    "printable": letters,
    "re2": st.one_of(word, st.sampled_from(["[0-9]+", "card [a-z]+", "^x", "(?i)secret", r"\bpan\b", "a|b", "[^@ ]+@[^@ ]+"])),
    "date-time": moment,
    "date": date,
}.items():
    schemathesis.openapi.format(name, texts)

@schemathesis.serializer("application/x-ndjson", "application/ndjson")
def serialize_lines(context, value):
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "surrogatepass")


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Texts of our own formats are not stretched to their greatest length: most of the time would go into that."""
    texts = [raw_schema]
    while texts:
        of = texts.pop()
        if isinstance(of, dict):
            if str(of.get("format", "")).startswith("ocelot-"):
                of.pop("maxLength", None)
            texts.extend(of.values())
        elif isinstance(of, list):
            texts.extend(of)


@schemathesis.hook
def filter_case(context, case):
    # What is longer than this is refused before it comes to a route.
    return len(urlencode(case.query or {}, doseq=True)) <= 12_000


@schemathesis.hook
def filter_failure(context, failure, case, response):
    # A deletion is accepted, not made: the tenant is there until its grace is over, so that it can be taken back, and says so.
    announced = case.operation.path == "/api/v1/tenants/{id}" and b'"delete_at"' in (response.content or b"")
    return not (announced and type(failure).__name__ == "UseAfterFree")


@schemathesis.hook
def map_case(context, case):
    if case.meta is not None and case.meta.generation.mode.is_positive:
        of_the_tenant(case)
        rules_of_urls(case)
        rules_of_headers(case)
        rules_of_bodies(case)
    return case


def of_the_tenant(case):
    """Most ids are nobody's, and most requests would go no further than to that."""
    tenant = os.environ.get("CONTRACT_TENANT")
    if not tenant:
        return
    if case.operation.path.startswith("/api/v1/tenants/{id}/") and case.path_parameters:
        case.path_parameters["id"] = tenant
    if case.headers and "X-Tenant-ID" in case.headers:
        case.headers["X-Tenant-ID"] = tenant
    if isinstance(case.query, dict) and "tenant" in case.query:
        case.query["tenant"] = tenant


def rules_of_urls(case):
    # What is deleted has one bound, and it is not ahead.
    if case.operation.label == "DELETE /api/v1/logs":
        bounds = dict(case.query or {})
        if "days" in bounds or "before" not in bounds:
            case.query = {"days": bounds.get("days", 36500)}
        elif str(bounds["before"]) > "2026":
            case.query = {"before": "2001-01-01"}
    query = case.query
    if not isinstance(query, dict):
        return
    # A cursor is what an earlier answer said, with the same other parameters; nobody else can make one.
    query.pop("cursor", None)
    query.pop("until", None)
    # The end of a range is not before its beginning.
    for since, until in (("start_time", "end_time"), ("from_ts", "to_ts")):
        if since in query:
            query.pop(until, None)
    # Groups are of metrics; only NDJSON has marks, and not as it was recorded; how many buckets there are hangs on the entries.
    if "metrics" not in query:
        query.pop("group_by", None)
    if query.get("format", "ndjson") != "ndjson" or query.get("sort") == "recorded":
        query.pop("marks", None)
    if query.get("interval") not in (None, "off"):
        query["interval"] = "auto"
    # A column stands once.
    if isinstance(query.get("columns"), str):
        query["columns"] = ",".join(dict.fromkeys(query["columns"].split(",")))
    # What the entries around one have in common with it, it must have.
    query.pop("by", None)
    # A question has 64 terms at most, all together, and a URL 8 KiB.
    for name, value in list(query.items()):
        if isinstance(value, list):
            query[name] = value = value[:2]
        if len(quote(json.dumps(value, ensure_ascii=False))) > 300:
            del query[name]


def rules_of_headers(case):
    headers = case.headers
    if headers is None:
        return
    # The body is sent as it is.
    if headers.get("Content-Encoding") in ("gzip", "zstd"):
        headers["Content-Encoding"] = "identity"
    # The tenant stands in one place.
    if isinstance(case.query, dict) and "tenant" in case.query:
        headers.pop("X-Tenant-ID", None)
    # Others' versions are not known.
    headers.pop("If-Match", None)


def rules_of_bodies(case):
    # Numbers keep their literal: it has an exponent of at least -308, and that of a version has no fraction.
    case.body = body = literal(case.body)
    if not isinstance(body, dict):
        return
    # A token is for tenants that there are.
    tenant = os.environ.get("CONTRACT_TENANT")
    if tenant and isinstance(body.get("tenants"), list):
        body["tenants"] = [tenant]
    # A key ends in the future.
    if case.operation.label.startswith("POST /api/v1/tenants/{id}/keys") and isinstance(body.get("expires_at"), str):
        body["expires_at"] = "2100" + body["expires_at"][4:]


def literal(value, name=""):
    if isinstance(value, float):
        if name == "schema_version":
            return int(value)
        return 0.5 if 0 < abs(value) < 1e-300 else value
    if isinstance(value, dict):
        return seen({name: literal(of, name) for name, of in value.items()})
    if isinstance(value, list):
        return [literal(of) for of in value]
    return value


def seen(entry):
    """What looks like an entry has something to see in its message, or in its action."""
    if isinstance(entry.get("message"), str) and not any("!" <= c <= "~" for c in entry["message"] + str(entry.get("action", ""))):
        entry["message"] = entry["message"][1:] + "x"
    elif isinstance(entry.get("action"), str) and "message" not in entry and not any("!" <= c <= "~" for c in entry["action"]):
        entry["action"] = entry["action"][1:] + "x"
    return entry
