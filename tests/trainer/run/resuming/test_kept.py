from pathlib import Path

import pytest

from trainer.run.resuming.kept import keep


def test_what_is_kept_stays_as_it_was(tmp_path: Path) -> None:
    checkpoint = tmp_path / "last.pt"
    checkpoint.write_bytes(b"first")
    kept = keep(checkpoint, "best")
    assert kept == tmp_path / "kept" / "best.pt"
    newer = tmp_path / "newer"
    newer.write_bytes(b"second")
    newer.replace(checkpoint)  # as checkpoints are replaced
    assert kept.read_bytes() == b"first"
    keep(checkpoint, "best")
    assert kept.read_bytes() == b"second"


def test_where_a_disk_knows_no_links_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    (tmp_path / "last.pt").write_bytes(b"first")
    assert keep(tmp_path / "last.pt", "epoch-0001").read_bytes() == b"first"
