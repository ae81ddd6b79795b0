"""One server of each service for one test, and sinks that are configured for it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from asit_edge.config.notifications import NotificationSettings, NtfySink, PushoverSink, TelegramSink
from tests.deliver.notify.services import (
    CHAT,
    TOKEN,
    TOPIC,
    USER,
    NtfyServer,
    PushoverServer,
    Service,
    TelegramServer,
    secret_file,
)

Each = list[tuple[Service, Callable[..., NotificationSettings]]]
"""Every service, and what makes settings of a sink for it."""


@pytest.fixture
def ntfy() -> Iterator[NtfyServer]:
    with closing(NtfyServer()) as server:
        yield server


@pytest.fixture
def pushover() -> Iterator[PushoverServer]:
    with closing(PushoverServer()) as server:
        yield server


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    with closing(TelegramServer()) as server:
        yield server


@pytest.fixture
def to_ntfy(ntfy: NtfyServer, tmp_path: Path) -> Callable[..., NtfySink]:
    token, topic = secret_file(tmp_path, "ntfy", TOKEN["ntfy"]), secret_file(tmp_path, "topic", TOPIC)

    def settings(**more: Any) -> NtfySink:
        base = {"type": "ntfy", "server": ntfy.url, "topic_file": topic, "token_file": token}
        return NtfySink.model_validate(base | more)

    return settings


@pytest.fixture
def to_pushover(pushover: PushoverServer, tmp_path: Path) -> Callable[..., PushoverSink]:
    token, user = secret_file(tmp_path, "pushover", TOKEN["pushover"]), secret_file(tmp_path, "user", USER)

    def settings(**more: Any) -> PushoverSink:
        base = {"type": "pushover", "server": pushover.url, "token_file": token, "user_file": user}
        return PushoverSink.model_validate(base | more)

    return settings


@pytest.fixture
def to_telegram(telegram: TelegramServer, tmp_path: Path) -> Callable[..., TelegramSink]:
    token = secret_file(tmp_path, "telegram", TOKEN["telegram"])

    def settings(**more: Any) -> TelegramSink:
        base = {"type": "telegram", "server": telegram.url, "token_file": token, "chat": CHAT}
        return TelegramSink.model_validate(base | more)

    return settings


@pytest.fixture
def each(
    ntfy: NtfyServer,
    to_ntfy: Callable[..., NtfySink],
    pushover: PushoverServer,
    to_pushover: Callable[..., PushoverSink],
    telegram: TelegramServer,
    to_telegram: Callable[..., TelegramSink],
) -> Each:
    return [(ntfy, to_ntfy), (pushover, to_pushover), (telegram, to_telegram)]
