"""The device's configuration: every key with its type, default and meaning. `config.yaml` shows all of them."""

import os
import socket
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from asit_edge.errors import WrongUse, one_line
from asit_edge.labels import slug
from asit_edge.validation import explain, nearest

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""Goes into topics and ids: letters, digits, `_` and `-`."""

SYSTEM_CONFIG = Path("/etc/asit-edge/config.yaml")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabelSettings(_Section):
    """What differs for one label; null keeps what `events` says."""

    on_threshold: float | None = Field(None, gt=0, lt=1)
    off_threshold: float | None = Field(None, gt=0, lt=1)
    min_duration: float | None = Field(None, ge=0)
    merge_gap: float | None = Field(None, ge=0)
    cooldown: float | None = Field(None, ge=0)
    max_duration: float | None = Field(None, ge=0)


class SourceEvents(_Section):
    """What differs for one source; null, and labels that are left out, keep what `events` says."""

    min_duration: float | None = Field(None, ge=0)
    merge_gap: float | None = Field(None, ge=0)
    cooldown: float | None = Field(None, ge=0)
    max_duration: float | None = Field(None, ge=0)
    only: list[str] | None = None
    labels: dict[str, LabelSettings] = Field(default_factory=dict)


class _Source(_Section):
    events: SourceEvents = SourceEvents()


class _LiveSource(_Source):
    stall_after: float = Field(3.0, ge=1, le=600, description="seconds without audio until it counts as stalled")
    reopen_after: float = Field(10.0, ge=2, le=3_600, description="seconds without audio until it is opened again")
    silent_after: float = Field(
        30.0, ge=0, description="seconds of digital silence until it counts as silent; 0: never"
    )


class MicrophoneSource(_LiveSource):
    """A PortAudio input device."""

    type: Literal["microphone"] = "microphone"
    name: Name = "microphone"
    device: int | str | None = Field(
        None, description="number, part of the name, or usb:VENDOR:PRODUCT[:SERIAL]; null: the system's default"
    )
    channel: int | None = Field(None, ge=1, description="which channel, from 1; null: the mean of all")
    rate: int | None = Field(None, ge=4_000, le=384_000, description="Hz; null: the model's if the device has it")


class StreamSource(_LiveSource):
    """Anything that ffmpeg opens: RTSP, HTTP, Icecast, UDP, ALSA."""

    type: Literal["stream"] = "stream"
    name: Name = "stream"
    url: str = Field(min_length=1)
    options: list[str] = Field(default_factory=list, description='ffmpeg\'s, for its input: ["-rtsp_transport", "tcp"]')
    channel: int | None = Field(None, ge=1, le=64, description="which channel, from 1; null: all mixed")
    once: bool = Field(False, description="it is over when it ends; otherwise it is opened again")
    reopen_after: float = Field(15.0, ge=2, le=3_600)


class StdinSource(_LiveSource):
    """Raw PCM on standard input."""

    type: Literal["stdin"] = "stdin"
    name: Name = "stdin"
    rate: int = Field(16_000, ge=4_000, le=384_000, description="Hz")
    channels: int = Field(1, ge=1, le=64)
    format: Literal["s16le", "s32le", "f32le", "u8"] = "s16le"


class FileSource(_Source):
    """An audio file, played at the speed at which it was recorded."""

    type: Literal["file"] = "file"
    name: Name = "file"
    path: Path


Source = Annotated[MicrophoneSource | StreamSource | StdinSource | FileSource, Field(discriminator="type")]

TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
"""Local time, "22:30"."""


class QuietHours(_Section):
    """When nothing is reported. Begin and end may lie on both sides of midnight."""

    begin: TimeOfDay
    end: TimeOfDay
    labels: list[str] | None = Field(None, description="null: all, the source counts as muted")
    sources: list[Name] | None = Field(None, description="null: all")

    @model_validator(mode="after")
    def _some_time(self) -> "QuietHours":
        if self.begin == self.end:
            raise ValueError(f"begin and end must differ, both are {self.begin}")
        return self


class Events(_Section):
    """When scores become events. Durations in seconds."""

    interval: float | None = Field(None, gt=0, le=10, description="between decisions; null: the model's own")
    min_duration: float = Field(0.0, ge=0)
    merge_gap: float = Field(1.0, ge=0)
    cooldown: float = Field(0.0, ge=0)
    max_duration: float = Field(0.0, ge=0, description="a longer event ends and goes on as another; 0: no limit")
    update_every: float = Field(5.0, ge=0, description="0: no updates")
    only: list[str] | None = Field(None, description="labels to report; null: all of the model's")
    labels: dict[str, LabelSettings] = Field(default_factory=dict)
    parents: dict[str, str] = Field(
        default_factory=dict, description="label to the more general one: their sounds together are one event"
    )
    same_room: list[list[Name]] = Field(
        default_factory=list, description="sources that hear the same sounds: the first to hear one reports it"
    )
    same_within: float = Field(1.0, ge=0, le=10, description="between onsets of what is one sound in a room")
    quiet_hours: list[QuietHours] = Field(default_factory=list)
    silence_gate: float | None = Field(None, ge=-120, le=0, description="dBFS; below it the model is not asked")


class TensorRTSettings(_Section):
    """Used where `backend` is, or turns out to be, tensorrt."""

    engines: Path | None = Field(None, description="folder of engines; null: the cache directory")
    build: Literal["background", "never"] = Field("background", description="what to do without a fitting engine")
    batch: int | None = Field(None, ge=1, le=64, description="streams in one step; null: the number of sources")
    workspace_mb: int = Field(1024, ge=16, le=65_536, description="scratch memory for building, MB")


class Tls(_Section):
    """Setting any key, or `enabled`, switches TLS on; certificates and host names are always verified."""

    enabled: bool = False
    ca_file: Path | None = Field(None, description="PEM; null: the system's certificate authorities")
    cert_file: Path | None = None
    key_file: Path | None = None

    @model_validator(mode="after")
    def _pair(self) -> "Tls":
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        return self

    @property
    def wanted(self) -> bool:
        return self.enabled or self.ca_file is not None or self.cert_file is not None


class Mqtt(_Section):
    """The broker. Without a host nothing is published."""

    host: str | None = Field(None, min_length=1)
    port: int | None = Field(None, ge=1, le=65_535, description="null: 1883 or 8883 (TLS); websockets: 80 or 443 (TLS)")
    transport: Literal["tcp", "websockets"] = "tcp"
    path: str = Field("/mqtt", pattern=r"^/\S*$", description="of the broker's websocket")
    username: str | None = None
    password_file: Path | None = Field(None, description="or the environment's ASIT_EDGE_MQTT_PASSWORD")
    client_id: str | None = Field(None, min_length=1, description="null: asit-edge-<device>")
    prefix: str = Field("asit", pattern=r"^[^+#/\s]+(/[^+#/\s]+)*$", description="first part of every topic")
    keepalive: int = Field(30, ge=5, le=3_600, description="seconds")
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    expiry: int = Field(
        604_800, ge=1, le=4_294_967_295, description="seconds for which the broker keeps events for absent subscribers"
    )
    backlog_rate: float = Field(100.0, ge=1, description="messages a second, at most, of what waited for the broker")
    tls: Tls = Tls()

    @property
    def effective_port(self) -> int:
        if self.port is not None:
            return self.port
        plain, encrypted = (1883, 8883) if self.transport == "tcp" else (80, 443)
        return encrypted if self.tls.wanted else plain

    def password(self) -> str | None:
        """From the environment, or else from `password_file` (its first line). Never from the configuration."""
        if password := os.environ.get("ASIT_EDGE_MQTT_PASSWORD"):
            return password
        if self.password_file is None:
            return None
        try:
            return self.password_file.read_text(encoding="utf-8").partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            raise WrongUse(f"mqtt.password_file {self.password_file}: {one_line(error)}") from None


class HomeAssistant(_Section):
    """Discovery: entities appear in Home Assistant without configuration there."""

    discovery: bool = True
    prefix: str = Field("homeassistant", pattern=r"^[^+#/\s]+(/[^+#/\s]+)*$", description="as set in Home Assistant")


class _Filtered(_Section):
    """A sink beside MQTT, and which events it gets."""

    types: list[Literal["new", "update", "end"]] = Field(default=["new", "end"], min_length=1)
    labels: list[str] | None = Field(None, description="null: all")


class WebhookSink(_Filtered):
    """An HTTP server that gets every event as a POST request of its JSON."""

    type: Literal["webhook"]
    name: Name = "webhook"
    url: str = Field(pattern=r"^https?://[^/\s]+\S*$")
    token_file: Path | None = Field(None, description="its first line is sent as `Authorization: Bearer`")
    ca_file: Path | None = Field(None, description="PEM; null: the system's certificate authorities")
    timeout: float = Field(10.0, gt=0, le=300, description="seconds")


class CommandSink(_Filtered):
    """A program that is run for every event, with its JSON on standard input."""

    type: Literal["command"]
    name: Name = "command"
    run: list[str] = Field(min_length=1, description="program and arguments; no shell is involved")
    timeout: float = Field(30.0, gt=0, le=3_600, description="seconds after which it is killed")


class FileSink(_Filtered):
    """A file of JSON lines."""

    type: Literal["file"]
    name: Name = "file"
    path: Path
    max_mb: float = Field(100.0, gt=0, description="then it becomes <path>.1 and a new one begins")


Sink = Annotated[WebhookSink | CommandSink | FileSink, Field(discriminator="type")]


class StoreSettings(_Section):
    """Where events are kept until the broker has them, and after."""

    path: Path | None = Field(None, description="null: events.db in the state directory")
    keep: int = Field(100_000, ge=100, description="events; beyond it the oldest are dropped, and that is said")
    max_days: float | None = Field(None, gt=0, description="older events are dropped; null: however old")
    max_mb: float = Field(500.0, ge=1, description="size of the file beyond which the oldest are dropped")

    @property
    def effective_path(self) -> Path:
        return self.path or state_directory() / "events.db"


class Config(_Section):
    """All of `config.yaml`."""

    device: Name | None = Field(None, description="this box in topics; null: the host name")
    model: Path | None = Field(
        None, description="directory of a model bundle, or the name of one in the package; null: the default one"
    )
    backend: Literal["auto", "onnxruntime", "tensorrt"] = "auto"
    precision: Literal["auto", "fp32", "fp16", "int8"] = "auto"
    provider: Literal["cpu", "openvino", "cuda"] = Field("cpu", description="what ONNX Runtime computes on")
    threads: int = Field(1, ge=1, le=64, description="for inference on the CPU")
    tensorrt: TensorRTSettings = TensorRTSettings()
    sources: list[Source] = Field(default=[MicrophoneSource()], min_length=1)
    events: Events = Events()
    mqtt: Mqtt = Mqtt()
    home_assistant: HomeAssistant = HomeAssistant()
    sinks: list[Sink] = Field(default_factory=list)
    store: StoreSettings = StoreSettings()

    @model_validator(mode="after")
    def _distinct_sources(self) -> "Config":
        names = [source.name for source in self.sources]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"sources must have different names, but {twice[0]!r} is there {names.count(twice[0])} times"
            )
        if sum(source.type == "stdin" for source in self.sources) > 1:
            raise ValueError("there is only one standard input, but more than one source of type stdin")
        return self

    @model_validator(mode="after")
    def _known_sources(self) -> "Config":
        names = [source.name for source in self.sources]
        rooms = [name for room in self.events.same_room for name in room]
        hours = [name for entry in self.events.quiet_hours for name in entry.sources or []]
        for key, wanted in (("same_room", rooms), ("quiet_hours", hours)):
            for name in wanted:
                if name not in names:
                    raise ValueError(f"events.{key}: there is no source {name!r}{nearest(name, names)}")
        if twice := sorted({name for name in rooms if rooms.count(name) > 1}):
            raise ValueError(f"events.same_room: source {twice[0]!r} can be in one room only")
        return self

    @model_validator(mode="after")
    def _distinct_sinks(self) -> "Config":
        names = ["mqtt", *(sink.name for sink in self.sinks)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"sinks must have different names (mqtt is the broker's), but {twice[0]!r} is there twice")
        return self

    @property
    def device_name(self) -> str:
        return self.device or slug(socket.gethostname())[:64]


def state_directory() -> Path:
    """systemd's `STATE_DIRECTORY`, or else the user's XDG state home."""
    if directory := os.environ.get("STATE_DIRECTORY"):
        return Path(directory.partition(":")[0])
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "asit-edge"


def load_config(path: Path | None) -> Config:
    """The configuration in `path`, or in /etc/asit-edge/config.yaml if that exists, or else the defaults.

    Raises WrongUse, naming file, line and key.
    """
    if path is None:
        if not SYSTEM_CONFIG.is_file():
            return Config()
        path = SYSTEM_CONFIG
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except OSError as error:
        raise WrongUse(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongUse(f"{path}: not valid YAML ({one_line(error)})") from None
    if values is None:
        return Config()
    if not isinstance(values, dict):
        raise WrongUse(f"{path}: must be a mapping of keys to values, like the config.yaml that comes with asit-edge")
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        line = _line_of(root, error.errors(include_url=False)[0]["loc"])
        raise WrongUse(f"{path}:{line}: {explain(error, Config)}") from None


def _line_of(node: Any, location: tuple[int | str, ...]) -> int:
    """The line on which the innermost part of a location that the file has stands."""
    line = node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                continue  # a union's tag is part of the location but not of the file
            key, node = found[0]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
