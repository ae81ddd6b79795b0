"""ASiT (arXiv 2211.13189), the whole method: student, teacher, what each sees, and what the student is
taught.

Shape suffixes: Q = 2 global views, L local views, V = Q + L, B batch, N patches, K prototypes, F frames, M
mel bins.
"""

import copy
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainer.asit.decoder import Decoder, visible_patches
from trainer.asit.heads import ProjectionHead, ReconstructionHead
from trainer.asit.losses import Centre, entropy, global_loss, local_loss, reconstruction_loss, teacher_probabilities
from trainer.models.vit import PATCH, ViT, ViTConfig
from trainer.run.average import move


@dataclass(frozen=True)
class ASiTConfig:
    """Sizes, temperatures and weights; the defaults are those of the 2024 release."""

    backbone: ViTConfig
    hidden: int = 2048
    bottleneck: int = 256
    prototypes: int = 8192
    patch_prototypes: int | None = None
    """A second last layer for patch tokens with this many prototypes (the 2023 release: 1024)."""
    frozen_scale: bool = False
    """The last layers' `weight_g` is not learnt (the 2023 release)."""
    reconstruction_hidden: int | None = None
    """Width of the reconstruction head's first two layers; None is the backbone's (2023: 768)."""
    reconstruction_bottleneck: int | None = None
    """Of its third; None is the backbone's (2023: 128)."""
    visible_only: bool = False
    """The student encodes the untouched patches of global views alone, as in M2D (arXiv 2210.14648) and EAT (arXiv
    2401.03497), and a decoder fills in the others."""
    decoder_blocks: int = 2
    ratio_low: float = 0.5
    """The least share of a view that is corrupted, and so not encoded."""
    student_temperature: float = 0.1
    centre_momentum: float = 0.9
    global_weight: float = 0.5
    local_weight: float = 0.5
    reconstruction_weight: float = 1.0

    @property
    def encoded(self) -> int:
        """Patches of a global view that the student encodes."""
        time, frequency = self.backbone.grid
        return time * frequency - (math.ceil(time * frequency * self.ratio_low) if self.visible_only else 0)


class Views(NamedTuple):
    """The views of a batch, normalised log-mel. What the student sees is `corrupted` and `local`."""

    clean_QBFM: Tensor
    corrupted_QBFM: Tensor
    mask_QBFM: Tensor
    local_LBFM: Tensor


class Outputs(NamedTuple):
    """What a network says of its views."""

    class_VBK: Tensor
    patch_QBNK: Tensor
    reconstructed_QBFM: Tensor


class Losses(NamedTuple):
    """The three losses, each unweighted, and their weighted sum; scalars."""

    total: Tensor
    global_: Tensor
    local: Tensor
    reconstruction: Tensor


class Entropies(NamedTuple):
    """In nats, at most log K: what a collapse shows in."""

    teacher_class: float
    """Of the teacher's class distribution, mean over the batch; log K is the uniform collapse."""
    centre_class: float
    """Of the batch's mean class distribution of the teacher; 0 is the collapse to one prototype."""
    student_class: float
    teacher_patch: float
    centre_patch: float
    student_patch: float


class Distributions(NamedTuple):
    """What entropies are made of, as means over a part of a batch: they may be averaged over parts and processes."""

    teacher_class: Tensor
    """Mean entropy, a scalar; so are the students' and that of patches."""
    student_class: Tensor
    teacher_patch: Tensor
    student_patch: Tensor
    mean_class_K: Tensor
    """The teacher's mean distribution."""
    mean_patch_K: Tensor

    def entropies(self) -> Entropies:
        """Of means over a whole batch."""
        return Entropies(
            self.teacher_class.item(),
            entropy(self.mean_class_K).item(),
            self.student_class.item(),
            self.teacher_patch.item(),
            entropy(self.mean_patch_K).item(),
            self.student_patch.item(),
        )


class Network(nn.Module):
    """Backbone and both heads: what the student is, and the teacher is a moving average of."""

    def __init__(self, config: ASiTConfig) -> None:
        super().__init__()
        width = config.backbone.width
        self.backbone = ViT(config.backbone)
        self.head = ProjectionHead(
            width,
            config.hidden,
            config.bottleneck,
            config.prototypes,
            config.patch_prototypes,
            config.frozen_scale,
        )
        self.reconstruction = ReconstructionHead(width, config.reconstruction_hidden, config.reconstruction_bottleneck)
        self.decoder = Decoder(config.backbone, config.decoder_blocks) if config.visible_only else None
        self.encoded = config.encoded

    def forward(
        self, global_QBFM: Tensor, local_LBFM: Tensor | None = None, mask_QBFM: Tensor | None = None
    ) -> Outputs:
        """Class logits of all views; patch logits and reconstructions of the global ones.

        With a decoder, of the global views only what `mask_QBFM` leaves visible is encoded; without a mask everything
        is, and nothing decoded (the teacher).
        """
        views, batch, frames, mels = global_QBFM.shape
        encoded = None
        if self.decoder is not None and mask_QBFM is not None:
            encoded = visible_patches(mask_QBFM.flatten(0, 1), self.encoded)
        tokens = self.backbone(global_QBFM.flatten(0, 1), encoded)
        class_tokens, patch_tokens = tokens[:, 0], tokens[:, 1:]
        if self.decoder is not None and encoded is not None:
            patch_tokens = self.decoder(patch_tokens, encoded)
        if local_LBFM is not None:
            local_tokens = self.backbone(local_LBFM.flatten(0, 1))
            class_tokens = torch.cat((class_tokens, local_tokens[:, 0]))
        class_logits, patch_logits = self.head(class_tokens, patch_tokens)
        reconstructed = self.reconstruction(patch_tokens, (frames // PATCH, mels // PATCH))
        return Outputs(
            class_logits.unflatten(0, (-1, batch)),
            patch_logits.unflatten(0, (views, batch)),
            reconstructed.unflatten(0, (views, batch)),
        )


class ASiT(nn.Module):
    """Student, teacher and centres.

    One step of a batch that may come in parts: for each part `teach`, the student's forward, `losses` and
    backward; then the optimiser's step on the student, then `close_step`.
    """

    def __init__(self, config: ASiTConfig) -> None:
        super().__init__()
        self.config = config
        self.student = Network(config)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.centre_class = Centre(config.prototypes, config.centre_momentum)
        self.centre_patch = Centre(config.patch_prototypes or config.prototypes, config.centre_momentum)
        self.train()

    def train(self, mode: bool = True) -> "ASiT":
        super().train(mode)
        self.teacher.eval()  # the teacher drops no path
        return self

    @torch.no_grad()
    def teach(self, views: Views, temperature: float) -> tuple[Tensor, Tensor]:
        """The teacher's probabilities of the clean global views: class (Q, B, K) and patches (Q, B, N, K).

        The centres take note, and move when the step closes.
        """
        outputs = self.teacher(views.clean_QBFM)
        self.centre_class.observe(outputs.class_VBK)
        self.centre_patch.observe(outputs.patch_QBNK)
        return (
            teacher_probabilities(outputs.class_VBK, self.centre_class.value, temperature),
            teacher_probabilities(outputs.patch_QBNK, self.centre_patch.value, temperature),
        )

    def losses(
        self, views: Views, taught: tuple[Tensor, Tensor], outputs: Outputs, masked: Tensor | None = None
    ) -> Losses:
        """The student's losses against what it was `taught`; `masked` as in `reconstruction_loss`."""
        config, temperature = self.config, self.config.student_temperature
        global_ = global_loss(taught[0], outputs.class_VBK, temperature)
        local = local_loss(taught[1], outputs.patch_QBNK, temperature)
        reconstruction = reconstruction_loss(outputs.reconstructed_QBFM, views.clean_QBFM, views.mask_QBFM, masked)
        total = (
            config.global_weight * global_ + config.local_weight * local + config.reconstruction_weight * reconstruction
        )
        return Losses(total, global_, local, reconstruction)

    def close_step(self, momentum: float) -> None:
        """Ends a step: the teacher follows the student, the centres the teacher's logits."""
        move(self.teacher.parameters(), self.student.parameters(), 1 - momentum)
        self.centre_class.update()
        self.centre_patch.update()

    @torch.no_grad()
    def distributions(self, taught: tuple[Tensor, Tensor], outputs: Outputs) -> Distributions:
        """What to watch for collapse, of one part of a batch."""
        temperature = self.config.student_temperature
        student_class, student_patch = (
            entropy((logits.float() / temperature).softmax(dim=-1)).mean()
            for logits in (outputs.class_VBK, outputs.patch_QBNK)
        )
        return Distributions(
            teacher_class=entropy(taught[0]).mean(),
            student_class=student_class,
            teacher_patch=entropy(taught[1]).mean(),
            student_patch=student_patch,
            mean_class_K=taught[0].flatten(0, -2).mean(dim=0),
            mean_patch_K=taught[1].flatten(0, -2).mean(dim=0),
        )

    def last_layers(self) -> list[nn.Parameter]:
        """The prototypes, which get no gradient in the first epoch."""
        head = self.student.head
        layers = [head.last_layer] + ([head.last_layer_patch] if head.last_layer_patch else [])
        return [parameter for layer in layers for parameter in layer.parameters()]
