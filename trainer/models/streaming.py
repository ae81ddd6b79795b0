"""The streaming models there are, as one type: each maps log-mel and a memory to logits and the next memory."""

from typing import TypeGuard

from torch import nn

from trainer.models.streaming_mobilenet import StreamMobile
from trainer.models.streaming_vit import StreamViT

StreamingModel = StreamViT | StreamMobile


def is_streaming(network: nn.Module) -> TypeGuard[StreamingModel]:
    return isinstance(network, StreamViT | StreamMobile)
