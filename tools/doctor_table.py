"""Writes docs/doctor.md from the table of known failures in host/quaver/board/failures.py."""

from pathlib import Path

from quaver.board.failures import markdown

if __name__ == "__main__":
    (Path(__file__).resolve().parents[1] / "docs" / "doctor.md").write_text(markdown())
