"""Codes and labels: a label is read back by a decoder of another maker, and its file is its owner's alone."""

import io
from pathlib import Path

import pypdfium2
import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from quaver.build import firmware_files
from quaver.cli import main
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.errors import SessionError
from quaver.provision.identity import (
    CODE_FILE,
    CodeError,
    Codes,
    give_code,
    give_code_at,
    label_text,
    new_code,
    normal,
    scanned,
    shown,
)
from quaver.provision.labels import Label, picture, sheet
from quaver.provision.serial import SerialTransport
from quaver.provision.session import who

ID = bytes.fromhex("e661640843217a2b")
SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def test_a_code_is_random_and_reads_back_as_people_type_it() -> None:
    codes = {new_code() for _ in range(2000)}
    assert len(codes) == 2000
    assert {symbol for code in codes for symbol in code[:15]} == set(SYMBOLS)
    for code in list(codes)[:200]:
        assert normal(code) == code
        assert normal(f"  {shown(code).lower()} ") == code
        assert normal(code.replace("0", "o").replace("1", "l")) == code


@given(st.integers(0, 15), st.integers(1, 31), st.randoms())
def test_one_mistyped_symbol_or_two_that_changed_places_are_found(place: int, other: int, chance: object) -> None:
    code = new_code()
    wrong = SYMBOLS[(SYMBOLS.index(code[place]) + other) % 32]
    with pytest.raises(CodeError):
        normal(code[:place] + wrong + code[place + 1 :])
    for at in range(15):
        swapped = code[:at] + code[at + 1] + code[at] + code[at + 2 :]
        if swapped != code:
            with pytest.raises(CodeError) as caught:
                normal(swapped)
            assert swapped not in str(caught.value)


@pytest.mark.parametrize("text", ["", "ABCD", "U" * 16, "0" * 17, "Ä" * 16, "QUAVER1:00:00", "x" * 5000])
def test_what_is_no_code(text: str) -> None:
    with pytest.raises(CodeError):
        normal(text)
    with pytest.raises(CodeError):
        scanned(text)


def test_a_picture_is_scanned() -> None:
    label = Label(ID, new_code(), "pump-7")
    (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture(label))))
    assert scanned(found.text) == (ID, label.code)
    assert label.code not in repr(label)


def test_a_sheet_is_scanned_on_every_page() -> None:
    labels = [Label(bytes([n]) * 8, new_code(), "a name of 24 characters."[: n % 25]) for n in range(25)]
    document = pypdfium2.PdfDocument(sheet(labels))
    found = set()
    for page in document:
        image = page.render(scale=200 / 72).to_pil()
        for code in zxingcpp.read_barcodes(image):
            found.add(scanned(code.text))
        # nothing is drawn over the paper's edge or another label
        assert image.convert("L").crop((0, 0, image.width, 95)).getextrema() == (255, 255)
    assert len(document) == 2
    assert found == {(label.node_id, label.code) for label in labels}


def test_codes_are_kept_for_their_owner_alone(tmp_path: Path) -> None:
    codes = Codes(tmp_path / "keys")
    assert list(codes) == [] and codes.get(ID) is None
    code = new_code()
    codes.put(ID, code)
    codes.put(bytes(8), new_code())
    assert Codes(tmp_path / "keys").get(ID) == code
    assert codes.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in codes.path.parent.iterdir()] == ["codes.json"]
    codes.path.chmod(0o640)
    with pytest.raises(SessionError, match="chmod 600"):
        codes.get(ID)
    codes.path.chmod(0o600)
    other = ("B" if code[0] == "A" else "A") + code[1:]
    codes.path.write_text(codes.path.read_text().replace(code, other))
    with pytest.raises(SessionError, match="corrupt") as caught:
        codes.get(ID)
    assert code[1:] not in str(caught.value)


def test_on_the_command_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUAVER_KEYS", str(tmp_path / "keys"))
    pdf = tmp_path / "labels.pdf"
    assert main(["label", "--pdf", str(pdf)]) == 14
    assert "there is no code" in capfd.readouterr().err
    codes = {node: new_code() for node in (ID, bytes(7) + b"\x01")}
    for node, code in codes.items():
        Codes(tmp_path / "keys").put(node, code)
    assert main(["label"]) == 2
    assert main(["label", "--pdf", str(pdf)]) == 0
    assert main(["label", "7a2b", "--png", str(tmp_path / "png")]) == 0
    (png,) = (tmp_path / "png").iterdir()
    assert png.name == f"{ID.hex()}.png"
    (found,) = zxingcpp.read_barcodes(Image.open(png))
    assert found.text == label_text(ID, codes[ID])
    assert pdf.stat().st_mode & 0o777 == png.stat().st_mode & 0o777 == 0o600
    assert main(["label", "--pdf", str(pdf)]) == 14
    assert main(["label", "77", "--pdf", str(tmp_path / "other.pdf")]) == 14
    said = capfd.readouterr()
    assert "exists" in said.err and "no node with that id was flashed here" in said.err
    assert not any(part in said.out + said.err for code in codes.values() for part in (code, shown(code)))


def test_a_flashed_board_is_given_a_code_once(tmp_path: Path) -> None:
    codes = Codes(tmp_path / "keys")
    with open_board("unix:") as board:
        identity = give_code(board, codes)
        code = board.get(CODE_FILE).decode()
        assert normal(code) == codes.get(identity) == code
        assert give_code(board, Codes(tmp_path / "other")) == identity
        assert Codes(tmp_path / "other").get(identity) == code
        board.put(CODE_FILE, b"broken")
        assert give_code(board, codes) == identity and board.get(CODE_FILE) == code.encode()
    assert len(identity) == 8


def test_a_board_that_was_flashed_is_a_blank_node_once_it_has_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What `quaver flash` does last, to a board that runs; `quaver label` has its label then."""
    monkeypatch.setenv("QUAVER_KEYS", str(tmp_path / "keys"))
    with open_board("unix:", Setup(files=firmware_files("unix"))) as board:
        identity = give_code_at(board.address, Codes(tmp_path / "keys"))
        with SerialTransport(board.address) as transport:
            assert who(transport, timeout=20.0) == (identity, False, True)
        assert main(["label", identity.hex(), "--png", str(tmp_path / "labels")]) == 0
    (found,) = zxingcpp.read_barcodes(Image.open(capfd.readouterr().out.strip()))
    assert found.text == label_text(identity, Codes(tmp_path / "keys").get(identity) or "")
