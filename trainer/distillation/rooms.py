"""Recordings that are room responses: something to hear sounds through, not sounds."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from trainer.data.recordings import FULL_SCALE, Recording, Waveforms

ROOM_RESPONSES = "rir_"
"""Recordings in folders of this beginning are room responses: something to hear sounds through, not sounds."""


def room_responses(recordings: Sequence[Recording], waveforms: Waveforms, rate: int) -> list[npt.NDArray[np.float32]]:
    """The recordings that are room responses, from their direct sound on, at most 0.8 s."""
    rooms = []
    for index, recording in enumerate(recordings):
        if f"/{ROOM_RESPONSES}" in recording.name:
            pcm = waveforms[index].astype(np.float32) / FULL_SCALE
            direct = int(np.abs(pcm).argmax())
            rooms.append(pcm[direct : direct + int(0.8 * rate)])
    return rooms


def is_room(recording: Recording) -> bool:
    return f"/{ROOM_RESPONSES}" in recording.name
