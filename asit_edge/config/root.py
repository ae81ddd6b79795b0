"""The device's configuration: every key with its type, default and meaning. `config.yaml` shows all of them."""

import socket
from typing import Literal

from pydantic import Field, model_validator

from asit_edge.config.clips import Clips
from asit_edge.config.delivery import HomeAssistant, Mqtt, StoreSettings
from asit_edge.config.events import Events
from asit_edge.config.notifications import Notification, SinkSettings
from asit_edge.config.remote import Remote
from asit_edge.config.section import File, Name, Section
from asit_edge.config.sources import MicrophoneSource, SourceSettings
from asit_edge.config.teaching import TeachSettings
from asit_edge.config.web import WebSettings
from asit_edge.labels import slug
from asit_edge.validation import nearest


class TensorRTSettings(Section):
    """Used where `backend` is, or turns out to be, tensorrt."""

    engines: File | None = Field(None, description="folder of engines; null: the cache directory")
    build: Literal["background", "never"] = Field("background", description="what to do without a fitting engine")
    batch: int | None = Field(None, ge=1, le=64, description="streams in one step; null: the number of sources")
    workspace_mb: int = Field(1024, ge=16, le=65_536, description="scratch memory for building, MB")


class Config(Section):
    """All of `config.yaml`."""

    device: Name | None = Field(None, description="this box in topics; null: the host name")
    model: File | None = Field(
        None, description="directory of a model bundle, or the name of one in the package; null: the default one"
    )
    backend: Literal["auto", "onnxruntime", "tensorrt"] = "auto"
    precision: Literal["auto", "fp32", "fp16", "int8"] = "auto"
    provider: Literal["cpu", "openvino", "cuda"] = Field("cpu", description="what ONNX Runtime computes on")
    threads: int = Field(1, ge=1, le=64, description="for inference on the CPU")
    tensorrt: TensorRTSettings = TensorRTSettings()
    sources: list[SourceSettings] = Field(default=[MicrophoneSource()], min_length=1)
    events: Events = Events()
    mqtt: Mqtt = Mqtt()
    home_assistant: HomeAssistant = HomeAssistant()
    sinks: list[SinkSettings] = Field(default_factory=list)
    store: StoreSettings = StoreSettings()
    teach: TeachSettings = TeachSettings()
    clips: Clips = Clips()
    web: WebSettings = WebSettings()
    remote: Remote = Remote()

    @model_validator(mode="after")
    def _distinct_sources(self) -> "Config":
        names = self.source_names
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"sources must have different names, but {twice[0]!r} is there {names.count(twice[0])} times"
            )
        if sum(source.type == "stdin" for source in self.sources) > 1:
            raise ValueError("there is only one standard input, but more than one source of type stdin")
        return self

    @model_validator(mode="after")
    def _known_sources(self) -> "Config":
        names = self.source_names
        rooms = [name for room in self.events.same_room for name in room]
        hours = [name for entry in self.events.quiet_hours for name in entry.sources or []]
        asked = [("events.same_room", rooms), ("events.quiet_hours", hours)]
        for sink in self.sinks:
            if isinstance(sink, Notification):
                hours = [name for entry in sink.quiet_hours for name in entry.sources or []]
                asked.append((f"sinks.{sink.name}.quiet_hours", hours))
        for key, wanted in asked:
            for name in wanted:
                if name not in names:
                    raise ValueError(f"{key}: there is no source {name!r}{nearest(name, names)}")
        if twice := sorted({name for name in rooms if rooms.count(name) > 1}):
            raise ValueError(f"events.same_room: source {twice[0]!r} can be in one room only")
        return self

    @model_validator(mode="after")
    def _pictures_of_clips(self) -> "Config":
        if self.home_assistant.pictures and not self.clips.enabled:
            raise ValueError(
                "home_assistant.pictures: pictures are of recordings, and there are none; set clips.enabled to true"
            )
        return self

    @model_validator(mode="after")
    def _distinct_sinks(self) -> "Config":
        names = ["mqtt", *(sink.name for sink in self.sinks)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"sinks must have different names (mqtt is the broker's), but {twice[0]!r} is there twice")
        return self

    @property
    def source_names(self) -> list[str]:
        return [source.name for source in self.sources]

    @property
    def wanted_topic(self) -> str | None:
        """Where a configuration comes from afar; None: nowhere."""
        if not self.remote.enabled:
            return None
        return self.remote.topic or f"{self.mqtt.prefix}/{self.device_name}/wanted"

    @property
    def device_name(self) -> str:
        return self.device or slug(socket.gethostname())[:64]
