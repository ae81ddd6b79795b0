"""The picture of each source's last recording, as its retained topic has it, where somebody wants them."""

import base64
import logging

from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError
from asit_edge.messages.report import ClipReport
from asit_edge.mqtt.topics import Topics

log = logging.getLogger(__name__)


def picture(config: Config, topics: Topics, clip: ClipReport) -> dict[str, str]:
    """By topic, the picture as base64; nothing where none is wanted, or there is no recording."""
    if not config.home_assistant.pictures or config.mqtt.host is None or not clip.kept or clip.path is None:
        return {}
    from asit_edge.live.pictures import spectrogram  # its libraries are for those who want it

    try:
        drawn = spectrogram(config.clips.effective_folder / clip.path)
    except AsitEdgeError as error:
        log.warning("no picture of %s: %s", clip.path, error)
        return {}
    return {topics.picture(clip.source): base64.b64encode(drawn).decode("ascii")}
