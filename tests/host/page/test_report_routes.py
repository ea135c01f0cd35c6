"""Reports over the API: JSON, CSV and PDF of the same, bounded, and for those who may read."""

import csv
import io
import json
from collections.abc import Callable

import pytest
from report_plant import MILL, MINUTE, MONDAY, mill, put
from starlette.testclient import TestClient
from test_ingest import Bench

from quaver.reports.spec import EXAMPLE, read_spec
from quaver.serve.services import Services

DAY = 1440 * MINUTE
WHEN = f"since_ms={MONDAY}&until_ms={MONDAY + 7 * DAY}"


@pytest.fixture(params=["sqlite"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def asking(bench: Bench, services: Services, client: Callable[..., TestClient]) -> TestClient:
    put(bench.store, MILL, mill(every=10))
    services.reports = read_spec(EXAMPLE)
    return client()


def test_a_report_as_json_csv_and_pdf(asking: TestClient) -> None:
    for kind, more in (
        ("energy", ""),
        ("availability", ""),
        ("control", "&nodes=mill"),
        ("life", "&nodes=mill&limit=9"),
    ):
        answer = asking.get(f"/api/v1/reports/{kind}?{WHEN}{more}")
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found["kind"] == kind and found["nodes"] == [MILL] and found["zone"] == "Europe/Berlin"
        assert all(one["records"] or one["why"] or one["key"] == "limit" for one in found["figures"])
        assert max(len(line["times_ms"]) for chart in found["charts"] for line in chart["lines"]) <= 2001
        sheet = asking.get(f"/api/v1/reports/{kind}.csv?{WHEN}{more}")
        assert len(list(csv.reader(io.StringIO(sheet.text)))) > 1
    # of one kind: what stands on the paper of each is held in test_report_store.py
    paper = asking.get(f"/api/v1/reports/control.pdf?{WHEN}&nodes=mill")
    assert paper.content.startswith(b"%PDF") and paper.headers["content-type"] == "application/pdf"
    assert paper.headers["content-disposition"] == 'attachment; filename="control.pdf"'
    peaks = asking.get(f"/api/v1/reports/energy.csv?{WHEN}&table=peaks&language=de")
    assert peaks.text.startswith("Maschine,Beginnt,Spitze über 15 Minuten (kW),Knoten,")


@pytest.mark.parametrize(
    ("asked", "status", "why"),
    [
        ("energy?since_ms=0", 400, "100 days at most"),
        (f"colour?{WHEN}", 404, "there is no such report"),
        (f"control?{WHEN}&nodes=fan", 400, "fan: "),
        (f"control?{WHEN}&quantity=Speed", 400, "quantity"),
        (f"energy?{WHEN}&limit=nan", 400, "limit"),
        (f"energy?{WHEN}&nodes={'a,' * 51}", 400, "too many"),
        (f"energy.csv?{WHEN}&table=colour", 400, "is no table of this report"),
        (f"energy?{WHEN}&more=1", 400, "more"),
    ],
)
def test_what_is_refused_in_a_line(asking: TestClient, asked: str, status: int, why: str) -> None:
    answer = asking.get(f"/api/v1/reports/{asked}")
    assert answer.status_code == status and why in answer.json()["error"] and "\n" not in answer.json()["error"]


def test_who_may_not_read_gets_no_report(services: Services, client: Callable[..., TestClient]) -> None:
    for path in ("energy", "energy.csv", "energy.pdf"):
        assert client(("alarms",)).get(f"/api/v1/reports/{path}").status_code == 403
        assert client(None).get(f"/api/v1/reports/{path}").status_code == 401


def test_names_from_records_stay_text(bench: Bench, services: Services, client: Callable[..., TestClient]) -> None:
    put(bench.store, "works/<img src=x>/line-2/mill/=1+1", mill(days=2, every=10))
    until = MONDAY + 2 * DAY
    answer = client().get(f"/api/v1/reports/energy?since_ms={MONDAY}&until_ms={until}")
    assert json.loads(answer.text)["nodes"] == ["works/<img src=x>/line-2/mill/=1+1"]
    sheet = client().get(f"/api/v1/reports/energy.csv?since_ms={MONDAY}&until_ms={until}&table=peaks")
    assert not [cell for row in csv.reader(io.StringIO(sheet.text)) for cell in row if cell.startswith("=")]
