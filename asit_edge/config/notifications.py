"""`sinks` in config.yaml that people read on their phones, and all kinds of sinks together.

A notification interrupts somebody: so there is more to say about which events are worth one than for other sinks.
"""

from collections.abc import Mapping
from string import Formatter
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from asit_edge.config.delivery import CommandSink, FileSink, Filtered, WebhookSink
from asit_edge.config.events import QuietHours
from asit_edge.config.section import File, Name, Seconds

FIELDS = ("label", "source", "device", "score", "peak", "time", "duration", "clip", "type")
"""What may stand in a template, in braces."""

VARIABLE = r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"
SERVER = r"^(https?://[^/\s]+/?|\$\{[A-Za-z_][A-Za-z0-9_]*\})$"
TOPIC = r"^([A-Za-z0-9_-]{1,64}|\$\{[A-Za-z_][A-Za-z0-9_]*\})$"
CHAT = r"^(-?\d{1,20}|@[A-Za-z0-9_]{1,64}|\$\{[A-Za-z_][A-Za-z0-9_]*\})$"

Priority = Literal["low", "normal", "high", "urgent"]


def _template(text: str) -> str:
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        raise ValueError("has a brace without its other one; a brace that is meant as such is written twice") from None
    for _, name, form, conversion in parts:
        if name is not None and name not in FIELDS:
            valid = ", ".join(f"{{{field}}}" for field in FIELDS)
            raise ValueError(f"there is no field {{{name}}} (valid: {valid})")
        if form or conversion:
            raise ValueError(f"a field is its name in braces and nothing else: {{{name}}}")
    return text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line, without control characters")
    return text


def _digits(value: object) -> object:
    """What YAML takes for a number and is a text here, such as the number of a chat."""
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


Template = Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(_template)]
Variable = Annotated[str, BeforeValidator(_digits), Field(pattern=VARIABLE)]
"""`${NAME}`: a secret that stands in the environment."""
Server = Annotated[str, Field(pattern=SERVER)]
"""An HTTP server without a path; `${NAME}`: from the environment."""


class Notification(Filtered):
    """What all notifications have in common: which events are worth one, and what it says."""

    types: list[Literal["new", "update", "end"]] = Field(default=["new"], min_length=1)
    min_score: float = Field(0.0, ge=0, le=1, description="an event is told once its highest score reaches this")
    cooldown: Seconds = Field(60.0, description="after one of a label and source, for so long no other event of both")
    quiet_hours: list[QuietHours] = Field(default_factory=list, description="local time; urgent ones come all the same")
    late_after: float = Field(600.0, ge=10, le=1e9, description="seconds; what could not be told before is not told")
    priority: Priority = "normal"
    priorities: Mapping[str, Priority] = Field(default_factory=dict, description="of single labels")
    title: Annotated[Template, AfterValidator(_one_line)] = "{label}"
    message: Template = "Heard by {source} ({device}) at {time}, score {peak}"

    def priority_of(self, label: str) -> Priority:
        return self.priorities.get(label, self.priority)


def _one_of(where: Notification, name: str, *, needed: bool = True) -> None:
    """A secret stands in a file, or in the environment."""
    given = [key for key in (name, f"{name}_file") if getattr(where, key) is not None]
    if len(given) == 2:
        raise ValueError(f"{name} and {name}_file say the same; leave one of them out")
    if needed and not given:
        raise ValueError(f"{name}_file is missing (a file whose first line it is), or {name} (${{NAME}})")


class _OverHttp(Notification):
    """What brings it is a server that we speak to."""

    ca_file: File | None = Field(None, description="PEM; null: the system's certificate authorities")
    timeout: float = Field(10.0, gt=0, le=300, description="seconds")


class NtfySink(_OverHttp):
    """A topic of an ntfy server. The server is always named: on a public one, who knows the topic reads it."""

    type: Literal["ntfy"]
    name: Name = "ntfy"
    server: Server
    topic: Annotated[str, BeforeValidator(_digits), Field(pattern=TOPIC)] | None = Field(None, description="or ${NAME}")
    topic_file: File | None = Field(None, description="instead: its first line is the topic")
    token: Variable | None = None
    token_file: File | None = Field(None, description="its first line is the access token; null: none is needed")
    tags: Mapping[str, list[Annotated[str, Field(min_length=1, max_length=64)]]] = Field(
        default_factory=dict, description="ntfy's tags (emoji) of single labels"
    )

    @model_validator(mode="after")
    def _secrets(self) -> "NtfySink":
        _one_of(self, "topic")
        _one_of(self, "token", needed=False)
        return self


class PushoverSink(_OverHttp):
    """An application of one's own at Pushover."""

    type: Literal["pushover"]
    name: Name = "pushover"
    server: Server = "https://api.pushover.net"
    token: Variable | None = None
    token_file: File | None = Field(None, description="its first line is the application's token")
    user: Variable | None = None
    user_file: File | None = Field(None, description="its first line is the key of a user or a group")

    @model_validator(mode="after")
    def _secrets(self) -> "PushoverSink":
        _one_of(self, "token")
        _one_of(self, "user")
        return self


class TelegramSink(_OverHttp):
    """A bot of one's own at Telegram, and the chat that it writes to."""

    type: Literal["telegram"]
    name: Name = "telegram"
    server: Server = "https://api.telegram.org"
    token: Variable | None = None
    token_file: File | None = Field(None, description="its first line is the bot's token")
    chat: Annotated[str, BeforeValidator(_digits), Field(pattern=CHAT)] = Field(description="number, @name or ${NAME}")

    @model_validator(mode="after")
    def _secrets(self) -> "TelegramSink":
        _one_of(self, "token")
        return self


class AppriseSink(Notification):
    """Any service that Apprise knows; needs `pip install 'asit-edge[apprise]'`."""

    type: Literal["apprise"]
    name: Name = "apprise"
    url: Variable | None = None
    url_file: File | None = Field(None, description="its first line is Apprise's address of the service")

    @model_validator(mode="after")
    def _secrets(self) -> "AppriseSink":
        _one_of(self, "url")
        return self


NotificationSettings = NtfySink | PushoverSink | TelegramSink | AppriseSink

SinkSettings = Annotated[WebhookSink | CommandSink | FileSink | NotificationSettings, Field(discriminator="type")]
