"""The plan of a plant: a picture, and where on it each node is."""

from pathlib import Path

import pytest
from fleet import Node
from test_ingest import Bench

from quaver.errors import PageError
from quaver.fleet.keys import KeyStore
from quaver.serve.plan import read_plan

PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hall.svg").write_bytes(PICTURE)
    return tmp_path


def plan_file(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text)
    return path


def test_a_plan_has_places_by_name_topic_and_id(folder: Path, bench: Bench, keys: KeyStore, client, services) -> None:  # type: ignore[no-untyped-def]
    one, two, three = (Node(keys, bytes([9] * 7 + [n]), f"pump-{n}") for n in (1, 2, 3))
    bench.restart()
    bench.take(one.says(), two.says(), three.says())
    rows = {row.name: row for row in services.door.nodes()}
    services.plan = read_plan(
        plan_file(
            folder,
            f'image = "hall.svg"\n[places]\npump-1 = [0.1, 0.2]\n"{rows["pump-2"].topic}" = [1, 0]\nother = [0, 0]\n',
        )
    )
    answer = client().get("/api/v1/plan").json()
    assert answer["image"] == "plan/image"
    assert {(place["node"], place["x"], place["y"]) for place in answer["places"]} == {
        (rows["pump-1"].node, 0.1, 0.2),
        (rows["pump-2"].node, 1, 0),
    }
    picture = client().get("/api/v1/plan/image")
    assert (picture.content, picture.headers["content-type"]) == (PICTURE, "image/svg+xml")
    assert "script-src 'unsafe" not in picture.headers["content-security-policy"]


def test_without_a_plan_there_is_none(client, bench: Bench) -> None:  # type: ignore[no-untyped-def]
    assert client().get("/api/v1/plan").json() == {"image": None, "places": []}
    assert client().get("/api/v1/plan/image").status_code == 404


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('image = "hall.svg"\n[places]\npump-1 = [0.1, 1.2]\n', "places.pump-1.1: Input should be less than or equal"),
        ('image = "hall.gif"\n[places]\n', "expected one of .png"),
        ('image = "cellar.png"\n[places]\n', "can't be read"),
        ("[places]\n", "image: Field required"),
        ("image = [", "is no TOML"),
    ],
)
def test_a_plan_that_is_none_is_refused_in_a_line(folder: Path, text: str, line: str) -> None:
    with pytest.raises(PageError) as failure:
        read_plan(plan_file(folder, text))
    assert line in str(failure.value) and "\n" not in str(failure.value)


def test_a_picture_that_is_too_large_is_refused(folder: Path) -> None:
    (folder / "hall.png").write_bytes(bytes(5_000_001))
    with pytest.raises(PageError, match="larger than 5 MB"):
        read_plan(plan_file(folder, 'image = "hall.png"\n[places]\n'))
