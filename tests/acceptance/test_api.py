"""The API over real HTTP: who may do what, what is refused, and that every refusal has a code and a sentence."""

import csv
import io
import json
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from handmade import encrypted_workbook
from running import ADMIN_TOKEN, start_service

GALLERY = Path(__file__).parents[1] / "gallery"

ORDERS = b"Order No,Placed,Amount\n000184,2026-11-01,12.50\n000185,2026-11-02,7.25\n"
LIMIT = 200_000

ROLES = ("viewer", "operator", "admin", "scrape")

# Who may: v(iewer), o(perator), a(dmin), s(crape). The answer to those who may is not 401 or 403, whatever else it is.
ADDRESSES = [
    ("GET", "/api/files", "voa"),
    ("GET", "/api/files/1", "voa"),
    ("GET", "/api/files/1/quarantine", "voa"),
    ("GET", "/api/files/999/changes", "voa"),
    ("POST", "/api/files", "oa"),
    ("POST", "/api/files/1/undo?dry_run=true", "oa"),
    ("POST", "/api/files/999/replay", "oa"),
    ("POST", "/api/files/999/preview", "oa"),
    ("POST", "/api/preview", "oa"),
    ("POST", "/api/sync", "oa"),
    ("GET", "/api/datasets", "voa"),
    ("GET", "/api/datasets/orders/rows", "voa"),
    ("GET", "/api/datasets/nothing/key-proposals", "voa"),
    ("PUT", "/api/datasets/nothing/key?dry_run=true", "oa"),
    ("POST", "/api/datasets/nothing/rename?dry_run=true", "oa"),
    ("DELETE", "/api/datasets/nothing?dry_run=true", "a"),
    ("DELETE", "/api/datasets/nothing/columns/none?dry_run=true", "a"),
    ("GET", "/api/system/resource-usage", "a"),
    ("GET", "/api/system/executor-stats", "a"),
    ("GET", "/api/system/db-pool-stats", "a"),
    ("GET", "/api/system/alerts", "a"),
    ("POST", "/api/system/alerts/cpu/silence", "a"),
    ("GET", "/api/system/stacks", "a"),
    ("GET", "/metrics", "as"),
    ("GET", "/openapi.json", "voa"),
    ("GET", "/", "voa"),
    ("GET", "/files", "voa"),
    ("GET", "/files/999/changes", "voa"),
    ("GET", "/files/1/correct", "oa"),
    ("POST", "/files/999/preview", "oa"),
    ("POST", "/files/999/correct", "oa"),
    ("GET", "/datasets", "voa"),
    ("GET", "/datasets/nothing/key", "oa"),
    ("POST", "/datasets/nothing/key", "oa"),
    ("GET", "/datasets/nothing/rename", "oa"),
    ("POST", "/datasets/nothing/rename", "oa"),
    ("GET", "/datasets/nothing/delete", "a"),
    ("GET", "/system", "a"),
    ("GET", "/no/such/address", ""),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    running = start_service(
        tmp_path_factory.mktemp("service") / "var", LEVELPOOL_MAX_UPLOAD_BYTES=str(LIMIT), FORWARDED_ALLOW_IPS="192.0.2.1"
    )
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="module")
def admin(service):
    return service.client()


@pytest.fixture(scope="module")
def orders(service, admin):
    """A file that is loaded."""
    answer = admin.post("/api/files", files={"file": ("orders.csv", ORDERS)})
    return service.settled(answer.json()["id"])


@pytest.fixture(scope="module")
def clients(service, orders):
    return {role: service.client(ADMIN_TOKEN if role == "admin" else service.token(role)) for role in ROLES}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert error["message"]
    assert "Traceback" not in error["message"]
    return answer.status_code, error["code"]


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize(("method", "path", "who"), ADDRESSES, ids=str)
def test_address_opens_to_its_roles_and_to_nobody_else(service, clients, method, path, who):
    """401 without credentials, 403 with too low a role, anything else with a role that may."""
    assert refusal(service.client(None).request(method, path))[0] == 401
    number = 1 + [each[:2] for each in ADDRESSES].index((method, path))  # too many wrong tokens from one address are another answer
    assert refusal(service.client("wrong" * 10, address=f"127.0.1.{number}").request(method, path))[0] == 401
    for role, client in clients.items():
        answer = client.request(method, path)
        may = role[0] in who or (not who and role != "scrape")
        assert (answer.status_code not in {401, 403}) == may, (role, answer.status_code)
        if not may:
            assert refusal(answer) == (403, "role_too_low")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/sign-in", "/static/page.css"])
def test_open_addresses_need_no_credentials(service, path):
    """Probes, the sign-in page and its files."""
    assert service.client(None).get(path).status_code == 200


def test_browser_without_session_is_sent_to_sign_in(service):
    """303 for who asks for HTML, with the way back."""
    answer = service.client(None).get("/files", headers={"Accept": "text/html"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/files")


def test_wrong_tokens_are_slowed_down_and_a_valid_one_never(service):
    """The sixth wrong token of an address within a minute is 429, whatever it says of who sent it; a valid one from there is let in."""
    wrong, right = service.client("guess" * 10, address="127.0.2.1"), service.client(address="127.0.2.1")
    statuses = [wrong.get("/api/files", headers={"X-Forwarded-For": f"198.51.100.{number}"}).status_code for number in range(5)]
    refused = wrong.get("/api/files")

    assert statuses == [401] * 5
    assert refusal(refused) == (429, "too_many_attempts")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert right.get("/api/files").status_code == 200


def test_sign_in_is_slowed_down_after_five_failures(service):
    """The sixth guess within a minute is refused, even with the right token."""
    client = service.client(None)
    statuses = [client.post("/sign-in", data={"token": "guess"}).status_code for _ in range(5)]
    answer = client.post("/sign-in", data={"token": ADMIN_TOKEN})

    assert statuses == [401] * 5
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60


def test_every_answer_carries_the_security_headers(service, admin):
    """Pages, JSON, errors and static files alike."""
    for client, path in ((admin, "/"), (admin, "/api/files"), (admin, "/nope"), (service.client(None), "/static/page.js")):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("method", "path", "options", "expected"),
    [
        ("GET", "/api/nope", {}, (404, "not_found")),
        ("GET", "/api/files/999", {}, (404, "not_found")),
        ("GET", "/api/files/999/quarantine", {}, (404, "not_found")),
        ("GET", "/api/files/999/quarantine?format=csv", {}, (404, "not_found")),
        ("POST", "/api/files/999/undo", {}, (404, "not_found")),
        ("POST", "/api/files/999/replay", {}, (404, "not_found")),
        ("POST", "/api/files/999/preview", {}, (404, "not_found")),
        ("GET", "/api/datasets/nope/rows", {}, (404, "not_found")),
        ("GET", "/api/datasets/levelpool_tokens/rows", {}, (404, "not_found")),
        ("DELETE", "/api/files", {}, (405, "method_not_allowed")),
        ("GET", "/api/files?limit=0", {}, (422, "invalid_request")),
        ("GET", "/api/files?limit=1001", {}, (422, "invalid_request")),
        ("GET", "/api/files?offset=-1", {}, (422, "invalid_request")),
        ("GET", "/api/files/one", {}, (422, "invalid_request")),
        ("GET", "/api/system/alerts?nope=1", {}, (422, "invalid_request")),
        ("POST", "/files/1/correct", {"content": b"a=&" * 20_000}, (422, "too_many_fields")),
        ("GET", "/api/files/99999999999999999999", {}, (422, "invalid_request")),
        ("GET", "/api/files/1/quarantine?format=xml", {}, (422, "invalid_request")),
        ("POST", "/api/files", {"files": {"file": ("a.csv", b"")}}, (422, "empty_file")),
        ("POST", "/api/files", {"files": {"other": ("a.csv", b"a")}}, (422, "no_file")),
        ("POST", "/api/files", {"json": {}}, (415, "not_multipart")),
        ("POST", "/api/files", {"files": {"file": ("a.csv", b"a")}, "data": {"dataset": "pg_x"}}, (422, "name_refused")),
        ("POST", "/api/files", {"files": {"file": ("a.csv", b"a")}, "data": {"dataset": "no good"}}, (422, "name_refused")),
        ("POST", "/api/files", {"files": {"file": ("a.csv", b"a" * (LIMIT + 1))}}, (413, "too_large")),
        ("POST", "/api/files", {"files": {"file": ("a.csv", b"a" * LIMIT * 2)}}, (413, "too_large")),
        ("POST", "/api/preview", {"files": {"file": ("a.csv", b"")}}, (422, "empty_file")),
        ("POST", "/api/preview", {"files": {"file": ("a.xlsx", b"%PDF-1.7 no sheet")}}, (422, "unreadable_file")),
        ("POST", "/api/preview", {"files": {"file": ("a.csv", b"a,b\n1,2\n")}, "data": {"options": "{"}}, (422, "options_refused")),
        ("POST", "/api/files/1/replay", {"content": b"[]"}, (422, "invalid_request")),
        ("POST", "/api/files/1/replay", {"content": b"[" * 100_000}, (422, "invalid_request")),
        ("POST", "/api/files/1/replay", {"json": {"header": 3}}, (422, "invalid_request")),
        ("POST", "/api/files/1/preview", {"json": {"options": []}}, (422, "options_refused")),
        ("POST", "/api/files/1/preview", {"json": {"options": {"encoding": "utf-16"}}}, (422, "unreadable_file")),
        ("POST", "/api/files/1/preview", {"json": {"password": 7}}, (422, "options_refused")),
        ("POST", "/api/files/1/preview", {"content": b'{"options": {"sheet": "\\ud800"}}'}, (422, "options_refused")),
        ("POST", "/api/files/1/preview", {"content": b" " * 300_000}, (413, "too_large")),
        ("POST", "/sign-out", {"content": b"x" * 70_000}, (413, "too_large")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusal_has_a_status_a_code_and_a_sentence(admin, method, path, options, expected):
    """Nothing answers in another shape."""
    assert refusal(admin.request(method, path, **options)) == expected


def test_method_not_allowed_names_every_allowed_method(admin):
    """GET and POST, although they are two functions here."""
    assert admin.delete("/api/files").headers["allow"] == "GET, POST"


def test_upload_over_the_limit_is_refused_before_its_body_is_sent(service):
    """A declared length is enough; the limit, the value and the variable are named."""
    host, port = urlsplit(service.url).hostname, urlsplit(service.url).port
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(
            f"POST /api/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 99999999\r\n\r\n".encode()
        )
        answer = connection.makefile("rb").read()

    head, _, body = answer.partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    assert b" 413 " in head.splitlines()[0]
    assert (error["value"], error["allowed"] >= LIMIT, error["variable"]) == (99_999_999, True, "LEVELPOOL_MAX_UPLOAD_BYTES")


def test_upload_without_a_declared_length_is_counted(service, admin):
    """Who sends in chunks is cut off when the limit is passed; nothing stays on disk."""

    def body():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        for _ in range(20):
            yield b"x" * 50_000
        yield b"\r\n--b--\r\n"

    answer = admin.post("/api/files", content=body(), headers={"Content-Type": "multipart/form-data; boundary=b"})

    assert refusal(answer) == (413, "too_large")
    assert not list((service.folder / "uploads").iterdir())


def test_name_with_path_parts_is_made_harmless(service, admin):
    """Only the last part of a name is kept, and nothing is written outside."""
    answer = admin.post("/api/files", files={"file": ("../../../tmp/evil orders.csv", ORDERS + b"9,2026-11-03,1\n")})

    assert answer.status_code == 202
    assert service.settled(answer.json()["id"])["name"] == "evil orders.csv"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"haeder": 1}, ("haeder", None, "header")),
        ({"header": -1}, ("header", -1, "a row, counted from 0")),
        ({"delimiter": ";;"}, ("delimiter", ";;", "one character")),
        ({"encoding": "no\0such"}, ("encoding", "no\0such", "gb18030")),
        ({"columns": [{"header": "a"}, {"header": "b", "type": "MONEY"}]}, ("columns[1].type", "MONEY", "NUMERIC")),
        ({"password": "open sesame"}, ("password", "…", "given by itself")),
        ({"box": "x" * 1000}, ("box", "x" * 200 + "…", "B4:F900")),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_correction_that_cannot_be_names_option_value_and_what_is_allowed(admin, orders, options, told):
    """The same whether it comes with a file or for one that is kept; a program can point at the field."""
    beside = admin.post("/api/files", files={"file": ("a.csv", ORDERS)}, data={"options": json.dumps(options)})
    kept = admin.post(f"/api/files/{orders['id']}/replay", json={"options": options})

    for answer in (beside, kept):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["option"], error["value"]) == (422, "options_refused", *told[:2])
        assert told[2] in error["allowed"]
        assert "sesame" not in answer.text


def test_answer_reaches_a_client_that_sends_all_of_a_refused_file_first(service):
    """Ten megabytes over the limit are sent to their end, and then the 413 is there: no reset takes it away."""
    address = httpx.URL(service.url)
    head = (
        f"POST /api/files HTTP/1.1\r\nHost: {address.host}\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 10000000\r\n\r\n"
    )
    with socket.create_connection((address.host, address.port), timeout=20) as link:
        link.sendall(head.encode() + bytes(10_000_000))
        answer = link.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"LEVELPOOL_MAX_UPLOAD_BYTES" in answer


def test_another_proxy_than_the_named_one_is_not_believed(service):
    """With FORWARDED_ALLOW_IPS another address, a header from here changes no scheme: an absolute redirect shows it."""
    answer = service.client().get("/files/", headers={"X-Forwarded-Proto": "https"})

    assert answer.status_code == 307
    assert answer.headers["Location"] == f"{service.url}/files"


# ---------------------------------------------------------------- the main job


def test_upload_becomes_rows(admin, orders):
    """202, then loaded; the values keep leading zeros and digits, each row says where it came from."""
    assert (orders["status"], orders["dataset"], orders["rows_loaded"]) == ("loaded", "orders", 2)
    answer = admin.get("/api/datasets/orders/rows").json()

    assert answer["total"] == 2
    first = answer["rows"][0]
    assert (first["order_no"], first["placed"], first["amount"]) == ("000184", "2026-11-01", "12.50")
    assert (first["_file_id"], first["_row"]) == (orders["id"], 2)


def test_same_content_again_is_a_duplicate(admin, orders, service):
    """The same bytes under another name load nothing twice."""
    answer = admin.post("/api/files", files={"file": ("orders copy.csv", ORDERS)}).json()
    record = service.settled(answer["id"])

    assert (record["status"], record["duplicate_of"]) == ("duplicate", orders["id"])


def test_file_in_the_inbox_is_found(service, admin):
    """What is put into the folder comes in by itself."""
    (service.inbox / "stock.csv").write_bytes(b"sku,qty\n00012,4\n")
    found = admin.post("/api/sync").json()
    assert found["found"] == 1

    for _ in range(200):
        listed = [each for each in admin.get("/api/files").json()["files"] if each["name"] == "stock.csv"]
        if listed:
            break
        threading.Event().wait(0.1)
    assert service.settled(listed[0]["id"])["status"] == "loaded"


def test_former_name_of_a_dataset_leads_on(admin, service):
    """Its address answers with the one that holds now, and the query with it; a name that cannot be is refused in a sentence."""
    sent = admin.post("/api/files", files={"file": ("parking.csv", b"day,cars\n2026-11-01,5\n2026-11-02,6\n")}).json()
    service.settled(sent["id"])

    assert admin.post("/api/datasets/parking/rename", json={"name": "car_park"}).json() == {"name": "car_park", "former_names": ["parking"]}

    led = admin.get("/api/datasets/parking/rows?limit=1")
    assert (led.status_code, led.headers["location"]) == (308, "/api/datasets/car_park/rows?limit=1")
    assert admin.get(led.headers["location"]).json()["total"] == 2
    assert admin.get("/datasets/parking").headers["location"] == "/datasets/car_park"
    assert refusal(admin.post("/api/datasets/car_park/rename", json={"name": "pg_cars"})) == (422, "name_refused")
    assert refusal(admin.get("/api/datasets/no_such/rows")) == (404, "not_found")


def test_undo_counts_before_it_removes(admin, service):
    """A dry run changes nothing; the real one takes the rows out; a second one is refused."""
    sent = admin.post("/api/files", files={"file": ("visits.csv", b"day,visits\n2026-11-01,5\n2026-11-02,6\n")}).json()
    service.settled(sent["id"])
    planned = admin.post(f"/api/files/{sent['id']}/undo?dry_run=true").json()
    assert planned["rows_removed"] == 2
    assert admin.get("/api/datasets/visits/rows").json()["total"] == 2

    done = admin.post(f"/api/files/{sent['id']}/undo").json()
    assert (done["status"], done["rows_removed"]) == ("undone", 2)
    assert admin.get("/api/datasets/visits/rows").json() == {"rows": [], "total": 0}
    assert refusal(admin.post(f"/api/files/{sent['id']}/undo")) == (409, "file_in_use")

    again = admin.post(f"/api/files/{sent['id']}/replay").json()
    assert (again["status"], again["rows_loaded"]) == ("loaded", 2)


def test_encrypted_file_is_loaded_by_a_replay_with_its_password(admin, service):
    """The upload says so in a sentence; the password opens it, is asked for again, and is stored nowhere."""
    workbook = (GALLERY / "encrypted" / "libreoffice_aes.ods").read_bytes()
    sent = admin.post("/api/files", files={"file": ("secret.ods", workbook)}).json()
    closed = service.settled(sent["id"])
    assert closed["status"] == "failed"
    assert "give it each time" in closed["error"] and closed["error_code"] == "password_needed"

    wrong = admin.post(f"/api/files/{sent['id']}/replay", json={"password": "sesame"}).json()
    opened = admin.post(f"/api/files/{sent['id']}/replay", json={"password": "open sesame ü"}).json()
    again = admin.post(f"/api/files/{sent['id']}/replay").json()

    assert "another password" in wrong["error"]
    assert (opened["status"], opened["rows_loaded"]) == ("loaded", 3)
    assert again["status"] == "loaded"
    assert "never stored" in again["error"]
    assert not [path for path in service.folder.rglob("*") if path.is_file() and b"open sesame" in path.read_bytes()]


def test_quarantine_comes_as_json_and_as_csv(admin, service):
    """The same cells; in CSV a value that starts like a formula is guarded."""
    clean = b"name,qty\n" + b"".join(b"item %d,%d\n" % (number, number) for number in range(30))
    service.settled(admin.post("/api/files", files={"file": ("parts.csv", clean)}).json()["id"])
    sent = admin.post("/api/files", files={"file": ("parts-2.csv", clean + b"bolt,=1+1\n")}).json()
    record = service.settled(sent["id"])
    assert (record["status"], record["rows_quarantined"]) == ("partial", 1)

    as_json = admin.get(f"/api/files/{sent['id']}/quarantine").json()
    as_csv = admin.get(f"/api/files/{sent['id']}/quarantine?format=csv")
    rows = list(csv.DictReader(io.StringIO(as_csv.content.decode("utf-8-sig"))))

    assert as_csv.headers["content-type"].startswith("text/csv")
    assert as_json["total"] == len(rows) == 1
    assert (as_json["rows"][0]["value"], rows[0]["value"]) == ("=1+1", "'=1+1")


def test_preview_says_what_a_file_would_become_and_loads_nothing(admin):
    """Columns with types and reasons, and the first rows; no record of it stays."""
    before = admin.get("/api/files").json()["total"]
    answer = admin.post("/api/preview", files={"file": ("orders.csv", ORDERS)}).json()

    (sheet,) = answer["sheets"]
    assert [column["type"] for column in sheet["columns"]] == ["TEXT", "DATE", "NUMERIC"]
    assert all(column["why"] for column in sheet["columns"])
    assert len(sheet["rows"]) == 2
    assert (sheet["complete"], sheet["header_row"]) == (True, 0)
    assert admin.get("/api/files").json()["total"] == before


MISREAD = "Bestand;;\nSKU;Menge;Preţ\n00012;1.234;9,5\n00013;2.345;8,25\n".encode("cp1250")  # Preş, taken for Turkish


def test_file_comes_with_its_corrections(admin, service):
    """The record tells how it was read, and which corrections hold."""
    options = {"decimal": ",", "columns": [{"header": "Menge", "name": "pieces", "type": "TEXT"}]}
    sent = admin.post("/api/files", files={"file": ("bestand.csv", MISREAD)}, data={"options": json.dumps(options)}).json()
    record = service.settled(sent["id"])

    assert (record["status"], record["format"], record["delimiter"], record["options"]) == ("loaded", "csv", ";", options)
    assert admin.get("/api/datasets/bestand/rows").json()["rows"][0]["pieces"] == "1.234"


def test_decision_is_seen_before_and_after_and_corrected(admin, service):
    """Look at a file that is kept, with other corrections; load it with them; its table is as corrected."""
    sent = admin.post("/api/files", files={"file": ("lager.csv", MISREAD + b"\n")}).json()
    service.settled(sent["id"])
    options = {"columns": [{"header": "SKU", "name": "article"}, {"header": "Menge", "type": "TEXT"}], "encoding": "cp1250"}

    (now,) = admin.post(f"/api/files/{sent['id']}/preview").json()["sheets"]
    (then,) = admin.post(f"/api/files/{sent['id']}/preview", json={"options": options}).json()["sheets"]
    assert [column["name"] for column in now["columns"]] == ["sku", "menge", "preş"]
    assert [column["name"] for column in then["columns"]] == ["article", "menge", "preţ"]
    assert (then["row_count"], then["quarantined_rows"], then["outside"][0]["reason"]) == (2, 0, "title")
    assert admin.get(f"/api/files/{sent['id']}").json()["options"] == {}

    again = admin.post(f"/api/files/{sent['id']}/replay", json={"options": options}).json()
    assert (again["status"], again["rows_loaded"], again["options"]) == ("loaded", 2, options)
    assert list(admin.get("/api/datasets/lager/rows").json()["rows"][0])[3:] == ["article", "menge", "preţ"]


def test_preview_takes_dataset_and_corrections(admin):
    """As an upload does."""
    fields = {"dataset": "goods", "options": json.dumps({"no_header": True})}
    (sheet,) = admin.post("/api/preview", files={"file": ("orders.csv", ORDERS)}, data=fields).json()["sheets"]

    assert (sheet["dataset"], sheet["header_row"], sheet["row_count"]) == ("goods", None, 3)


def test_preview_tells_drift_and_changes_before_anything_is_loaded(admin):
    """Of a file that is new, and of one that is kept; the first file of a dataset has nothing to be compared with."""
    first = sent(admin, "lamps 2026-09.csv", b"No,Place\n1,Graz\n2,Wien\n")
    second = ("lamps 2026-10.csv", b"No,Place,Watt\n1,Graz,60\n3,Linz,40\n")
    before = admin.post("/api/preview", files={"file": second}).json()
    again = admin.post(f"/api/files/{sent(admin, *second)}/preview", json={}).json()
    alone = admin.post("/api/preview", files={"file": ("candles.csv", b"a,b,c\n1,2,3\n4,5,6\n")}).json()

    assert [(each["kind"], each["column"]) for each in before["drift"]] == [("new", "watt")]
    assert (before["changes"]["against"], before["changes"]["added"], before["changes"]["removed"]) == (first, 1, 1)
    assert (again["drift"], again["changes"]["added"]) == (before["drift"], 1)
    assert (alone["drift"], alone["changes"]) == ([], None)


def sent(admin, name, content):
    """The number of a file, once it is loaded."""
    number = admin.post("/api/files", files={"file": (name, content)}).json()["id"]
    while admin.get(f"/api/files/{number}").json()["status"] in {"pending", "running"}:
        time.sleep(0.05)
    return number


def test_password_opens_a_workbook_and_is_written_nowhere(admin, service, tmp_path):
    """With the upload, with a look, with a replay: not in a log, not in the database, not in any file, not in an answer."""
    secret = "open-sesame-of-the-api"
    closed = encrypted_workbook(tmp_path / "closed.xlsx", secret).read_bytes()
    other = encrypted_workbook(tmp_path / "other.xlsx", secret, rows=5).read_bytes()
    sent = [admin.post("/api/files", files={"file": ("closed.xlsx", closed)})]
    sent += [admin.post("/api/files", files={"file": ("other.xlsx", other)}, data={"password": secret})]
    without, with_it = (service.settled(each.json()["id"]) for each in sent)
    assert (without["status"], with_it["status"], with_it["rows_loaded"]) == ("failed", "loaded", 5)
    assert "password" in without["error"]

    wrong = admin.post(f"/api/files/{without['id']}/preview", json={"password": f"not-{secret}"})
    right = admin.post(f"/api/files/{without['id']}/preview", json={"password": secret})
    loaded = admin.post(f"/api/files/{without['id']}/replay", json={"password": secret})
    assert refusal(wrong) == (422, "password_needed")
    assert right.json()["sheets"][0]["row_count"] == loaded.json()["rows_loaded"] == 2

    answers = "".join(each.text for each in (*sent, wrong, right, loaded))
    files = [path for path in (*service.folder.rglob("*"), service.log) if path.is_file()]
    assert secret not in answers
    assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_lists_are_paged(admin, orders):
    """`limit` and `offset`, newest file first."""
    everything = admin.get("/api/files").json()
    second = admin.get("/api/files?limit=1&offset=1").json()

    assert [each["id"] for each in second["files"]] == [everything["files"][1]["id"]]
    assert second["total"] == everything["total"]


# ---------------------------------------------------------------- description


def test_openapi_describes_every_address_with_our_errors(admin):
    """Each operation says what it answers, and every error has the one shape."""
    described = admin.get("/openapi.json").json()
    operations = [(path, method, operation) for path, methods in described["paths"].items() for method, operation in methods.items()]

    assert {f"{method.upper()} {path.split('?')[0]}" for method, path, _ in ADDRESSES if path.startswith("/api/system")} <= {
        f"{method.upper()} {path.replace('{rule}', 'cpu')}" for path, method, _ in operations
    }
    for path, method, operation in operations:
        for status, answer in operation["responses"].items():
            if int(status) >= 400 and path != "/readyz":
                schema = answer["content"]["application/json"]["schema"]["$ref"]
                assert schema.endswith("/ErrorAnswer"), (path, method, status)
    assert "HTTPValidationError" not in described["components"]["schemas"]
    good = {path: list(methods["get"]["responses"]["200"]["content"]) for path, methods in described["paths"].items() if "get" in methods}
    assert (good["/metrics"], good["/api/system/stream"]) == (["text/plain"], ["text/event-stream"])
    assert described["paths"]["/api/system/alerts/{rule}/silence"]["post"]["responses"].keys() >= {"400", "404", "413", "422", "429", "507"}


@pytest.mark.parametrize("query", ["customer=Alpha", "limt=1", "limit=1&sort=no", "a="])
def test_query_parameter_that_an_address_does_not_have_is_refused(admin, orders, query):
    """It would look as if it had counted; the sentence names it, and those that there are."""
    answer = admin.get(f"/api/datasets/orders/rows?{query}")

    assert refusal(answer) == (422, "invalid_request")
    assert "it takes limit, offset, current." in answer.json()["error"]["message"]


def test_replay_moves_a_file_where_it_is_told(service):
    """By its body; another text than a name is refused, and the file stays."""
    client = service.client()
    sent = client.post("/api/files", files={"file": ("pallets.csv", "pallet,kilos\nA,3\n")}).json()
    service.settled(sent["id"])

    refused = client.post(f"/api/files/{sent['id']}/replay", json={"dataset": 7})
    halved = client.post(f"/api/files/{sent['id']}/replay", content=b'{"dataset": "\\ud800"}')
    unnamed = client.post(f"/api/files/{sent['id']}/replay", json={"dataset": "No Name"})
    moved = client.post(f"/api/files/{sent['id']}/replay", json={"dataset": "stock_of_pallets"})

    assert {each.status_code for each in (refused, halved, unnamed)} == {422}
    assert (moved.status_code, moved.json()["dataset"]) == (200, "stock_of_pallets")
    assert client.get("/api/datasets/stock_of_pallets/rows").json()["total"] == 1
