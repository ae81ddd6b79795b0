"""`asit-edge init` by options alone, where nothing is tried."""

from pathlib import Path

from typer.testing import CliRunner

from asit_edge.cli.app import app
from asit_edge.errors import WrongUse


def test_a_password_without_a_broker_is_for_nobody(tmp_path: Path) -> None:
    secret, config = tmp_path / "secret", tmp_path / "new" / "config.yaml"
    secret.write_text("s3cret\n", encoding="utf-8")
    typed = ["init", "--yes", "--no-check", "--config", str(config), "--password-file", str(secret)]
    for broker in ([], ["--broker", "none"]):
        result = CliRunner().invoke(app, [*typed, *broker])
        assert isinstance(result.exception, WrongUse)
        assert "--password-file and --tls are about a broker" in str(result.exception)
        assert not config.parent.exists()
    assert CliRunner().invoke(app, [*typed, "--broker", "broker.local"]).exit_code == 0
    assert config.with_name("mqtt-password").read_text(encoding="utf-8") == "s3cret\n"
