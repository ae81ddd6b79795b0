"""`sources` in config.yaml: what is listened to."""

from typing import Annotated, Literal

from pydantic import Field

from asit_edge.config.events import SourceEvents
from asit_edge.config.section import File, Name, Section


class _Source(Section):
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
    url: str = Field(min_length=1, description="${NAME} in it is taken from the environment")
    password_file: File | None = Field(None, description="its first line is the password of the user in url")
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
    path: File


SourceSettings = Annotated[MicrophoneSource | StreamSource | StdinSource | FileSource, Field(discriminator="type")]
