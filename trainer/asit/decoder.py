"""Where the student encodes visible patches alone: which those are, and what fills in the others."""

import torch
from torch import Tensor, nn

from trainer.models.vit import PATCH, Block, ViTConfig, initialise


def visible_patches(mask_BFM: Tensor, count: int) -> Tensor:
    """Numbers (B, count) of the patches that no block touches, in their order, then of touched ones until there are
    so many.

    The mask (bool) is one of whole patches. Blocks cover the wanted share or a little more, so a few touched patches
    take part, seen as the student sees them (blank); that all views have as many tokens is worth them.
    """
    touched = mask_BFM[:, ::PATCH, ::PATCH].flatten(1)
    return touched.to(torch.uint8).argsort(dim=1, stable=True)[:, :count]


class Decoder(nn.Module):
    """Tokens of the encoded patches (B, K, D) to tokens of all patches (B, N, D), through a few blocks.

    A learnt token stands at the places of the others; all get positions of the decoder's own.
    """

    def __init__(self, config: ViTConfig, blocks: int) -> None:
        super().__init__()
        time, frequency = config.grid
        self.mask_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, time * frequency, config.width))
        self.blocks = nn.ModuleList(Block(config.width, config.heads, 0.0) for _ in range(blocks))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.apply(initialise)

    def forward(self, tokens_BKD: Tensor, encoded_BK: Tensor) -> Tensor:
        batch, _, width = tokens_BKD.shape
        x_BND = self.mask_token.to(tokens_BKD.dtype).expand(batch, self.pos_embed.shape[1], width)
        x_BND = x_BND.scatter(1, encoded_BK[..., None].expand(-1, -1, width), tokens_BKD) + self.pos_embed
        for block in self.blocks:
            x_BND = block(x_BND)
        return self.norm(x_BND)  # type: ignore[no-any-return]
