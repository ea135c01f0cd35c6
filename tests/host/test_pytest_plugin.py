"""The pytest plugin as a user of the package meets it: targets, fixtures, markers, reports."""

import pytest

pytest_plugins = ["pytester"]

# A board that only remembers; what boards do is tested where boards are.
FAKE_BOARD = """
import pytest
from quaver.emulator import targets
from quaver.errors import BoardError


class FakeBoard:
    opened = []
    radios, room = ("wifi",), 4096

    def __init__(self, where, setup):
        self.where, self.setup, self.ended, self.said = where, setup, None, b"hello\\n"
        FakeBoard.opened.append(self)
        print(f"OPENED {where}")

    def exec(self, code, timeout=30.0):
        return f"{(self.radios, self.room)}\\n" if "bluetooth" in code else "3\\r\\n"

    def console(self):
        return self.said

    def alive(self):
        return self.ended

    def __enter__(self):
        return self

    def __exit__(self, *_):
        print(f"CLOSED {self.where}")


def open_board(where, setup=None):
    if where == "socket://broken:1":
        raise BoardError("nobody there; switch it on")
    assert (setup is None) == where.startswith(("serial:", "socket:"))
    return FakeBoard(where, setup)


targets.open_board = open_board


@pytest.fixture(scope="session")
def board_rig():
    from quaver.emulator.bus import Attached

    return (Attached("tmp117", "i2c0", 0x48, None),)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(FAKE_BOARD)
    return pytester


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    # In a process of its own: the plugin is found by its entry point, and the fake leaves with it.
    return project.runpytest_subprocess(
        "-rs", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:hypothesispytest", *arguments
    )


def test_each_target_runs_each_test_on_one_board(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        def test_one(board): assert board.exec("print(1 + 2)") == "3\\r\\n"
        def test_two(board): pass
        def test_without(): pass
        """
    )
    result = run(project, "-v", "-s", "--target", "unix:", "--target", "serial:/dev/ttyACM7", "--target", "unix:")
    result.assert_outcomes(passed=5)
    shown = result.stdout.str()
    assert shown.count("OPENED unix:") == shown.count("CLOSED unix:") == 1
    assert shown.count("OPENED serial:/dev/ttyACM7") == shown.count("CLOSED serial:/dev/ttyACM7") == 1
    assert "test_one[serial:/dev/ttyACM7]" in shown


def test_default_target_and_no_board_without_need(project: pytest.Pytester) -> None:
    project.makepyfile("def test_one(board_target): assert board_target.where == 'unix:' and board_target.emulated")
    result = run(project, "-s")
    result.assert_outcomes(passed=1)
    assert "OPENED" not in result.stdout.str()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--target", "rp2350:"], "--target rp2350:: not a board; expected unix:, rp2040:, esp32_c3:, serial:PORT"),
        (["--board-files", "nowhere"], "--board-files nowhere: not a folder"),
    ],
)
def test_wrong_options(project: pytest.Pytester, arguments: list[str], line: str) -> None:
    result = run(project, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert line in result.stderr.str()


NEEDY = """
import pytest

@pytest.mark.needs_radio
def test_radio(board): pass

@pytest.mark.needs_radio("ble")
def test_ble(board): pass

@pytest.mark.needs_flash
def test_flash(board): pass

@pytest.mark.needs_sensor("tmp117")
def test_sensor(board): pass

@pytest.mark.needs_sensor("iis3dwb")
@pytest.mark.needs_radio("ble")
def test_both(start_board): start_board()
"""


def test_needs_of_an_emulated_board(project: pytest.Pytester) -> None:
    project.makepyfile(NEEDY)
    result = run(project, "--strict-markers")
    result.assert_outcomes(passed=3, skipped=2)
    result.stdout.fnmatch_lines(
        ["SKIPPED*unix: no ble radio", "SKIPPED*unix: no ble radio, no iis3dwb on its buses"], consecutive=False
    )


def test_needs_of_a_real_board(project: pytest.Pytester) -> None:
    project.makepyfile(NEEDY)
    project.makeconftest(FAKE_BOARD.replace('("wifi",), 4096', '("ble",), 0'))
    result = run(project, "--target", "socket://10.0.0.9:4321", "--sensor", "iis3dwb", "--sensor", "adxl345")
    # test_both needs what is there, but starts boards of its own.
    result.assert_outcomes(passed=1, skipped=4)
    result.stdout.fnmatch_lines_random(
        [
            "SKIPPED*socket://10.0.0.9:4321: no wifi radio",
            "SKIPPED*socket://10.0.0.9:4321: no file system with free space on its flash",
            "SKIPPED*socket://10.0.0.9:4321: no tmp117 on its buses",
            "SKIPPED*socket://10.0.0.9:4321: the test starts boards of its own, which a real board can't do",
        ]
    )


def test_a_need_without_a_board(project: pytest.Pytester) -> None:
    project.makepyfile("import pytest\n@pytest.mark.needs_flash\ndef test_one(): pass")
    result = run(project)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*needs_flash: this test uses no board; add the fixture board"])


def test_a_board_that_does_not_open(project: pytest.Pytester) -> None:
    project.makepyfile("def test_one(board): pass")
    result = run(project, "--target", "socket://broken:1")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["socket://broken:1: nobody there; switch it on"])
    assert "Traceback" not in result.stdout.str()


def test_a_board_that_ends(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        def test_one(board):
            board.said = b"guest: last words\\n"
            board.ended = "signal 9"
            assert False
        def test_two(board): pass
        """
    )
    result = run(project)
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(["*Console of unix:*", "guest: last words"])
    result.stdout.fnmatch_lines(["unix: the board has ended: signal 9"])


def test_own_firmware(project: pytest.Pytester) -> None:
    folder = project.mkdir("image")
    (folder / "lib").mkdir()
    (folder / "main.py").write_bytes(b"print(1)")
    (folder / "lib" / "data.bin").write_bytes(b"\x00\xff")
    project.makepyfile(
        """
        def test_one(board):
            assert board.setup.files == {"main.py": b"print(1)", "lib/data.bin": b"\\x00\\xff"}
            assert [part.name for part in board.setup.rig] == ["tmp117"]
        """
    )
    run(project, "--board-files", "image").assert_outcomes(passed=1)


def test_fixtures_can_be_overridden(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        @pytest.fixture(scope="session")
        def board_files(board_target):
            return {"main.py": board_target.board.encode()}

        def test_one(board):
            assert board.setup.files == {"main.py": {"unix:": b"unix", "rp2040:": b"pico_w"}[board.where]}
        """
    )
    run(project, "--target", "unix:", "--target", "rp2040:").assert_outcomes(passed=2)


def test_further_boards_end_with_the_test(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        def test_one(start_board):
            first, second = start_board(files={"a": b""}), start_board(broker_port=1884)
            assert first.setup.files == {"a": b""} and second.setup.broker_port == 1884
            print("TEST ENDS")

        def test_two():
            print("NEXT TEST")
        """
    )
    result = run(project, "-s")
    result.assert_outcomes(passed=2)
    shown = result.stdout.str()
    assert shown.index("TEST ENDS") < shown.index("CLOSED") < shown.index("NEXT TEST")
    assert shown.count("OPENED") == shown.count("CLOSED") == 2


def test_options_and_markers_are_told(project: pytest.Pytester) -> None:
    assert "--target=WHERE" in run(project, "--help").stdout.str()
    markers = run(project, "--markers").stdout.str()
    assert all(f"@pytest.mark.needs_{need}" in markers for need in ("radio", "flash", "sensor"))


def test_on_a_real_emulated_board(pytester: pytest.Pytester) -> None:
    """Without any fake: firmware of a user's own, the default rig, the markers."""
    folder = pytester.mkdir("image")
    (folder / "main.py").write_text("print('main ran')")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.needs_flash
        def test_flash(board):
            board.put("note.txt", b"kept")
            board.reset(run=False)
            assert board.get("note.txt") == b"kept"
            assert board.get("main.py") == b"print('main ran')"

        @pytest.mark.needs_sensor("tmp117")
        @pytest.mark.needs_sensor("adxl345")
        def test_buses(board):
            scan = "from machine import I2C, Pin; print(I2C(0, scl=Pin(5), sda=Pin(4)).scan())"
            assert board.exec(scan).strip() == "[68, 72, 83]"
        """
    )
    result = run(pytester, "--target", "unix:", "--board-files", "image")
    result.assert_outcomes(passed=2)


@pytest.mark.long
@pytest.mark.slowest
def test_a_plant_runs_in_a_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        WORKS = {
            "duration": "60s",
            "machine": [{"place": "a/b/c/d"}],
            "node": [{"name": "n", "place": "a/b/c/d", "interval": "20s"}],
        }

        def test_works(plant, tmp_path):
            outcome = plant(WORKS)
            assert outcome.failed == () and outcome.records >= 5
            assert plant(WORKS, seed=2).fingerprint != outcome.fingerprint == plant(WORKS).fingerprint
            assert (tmp_path / "plant-2" / "report.html").exists()

        def test_wrong(plant):
            plant({**WORKS, "duration": 90})
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*PlantError: duration: expected a time with its unit*"])
