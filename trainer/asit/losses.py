"""The losses of ASiT (section 3) as pure functions, and the centres that keep the teacher from collapsing.

Shape suffixes: Q teacher views, V student views (the first Q are the teacher's), B batch, N patches, K
prototypes.
"""

import torch
from torch import Tensor, nn

from trainer.run.ranks.distributed import mean_over_processes


def teacher_probabilities(logits: Tensor, centre: Tensor, temperature: float) -> Tensor:
    """softmax((logits - centre) / temperature) over the last axis, in float32; centre has shape (K,)."""
    return ((logits.float() - centre) / temperature).softmax(dim=-1)


def cross_entropy(probabilities: Tensor, logits: Tensor, temperature: float) -> Tensor:
    """Cross entropy in nats of softmax(logits / temperature) against `probabilities`, (..., K) to (...)."""
    return -(probabilities * (logits.float() / temperature).log_softmax(dim=-1)).sum(dim=-1)


def global_loss(teacher_QBK: Tensor, student_VBK: Tensor, temperature: float) -> Tensor:
    """Class tokens across views: the mean over all pairs of different views (q, v) of their cross entropy.

    teacher_QBK are probabilities, student_VBK logits; `temperature` is the student's.
    """
    log_student = (student_VBK.float() / temperature).log_softmax(dim=-1)
    pairs = -torch.einsum("qbk,vbk->qv", teacher_QBK, log_student) / student_VBK.shape[1]
    views, teachers = student_VBK.shape[0], teacher_QBK.shape[0]
    same = torch.eye(teachers, views, dtype=torch.bool, device=pairs.device)
    return pairs.masked_fill(same, 0.0).sum() / (teachers * views - teachers)


def local_loss(teacher_QBNK: Tensor, student_QBNK: Tensor, temperature: float) -> Tensor:
    """Patch tokens of the same view: the mean cross entropy over every patch, masked or not."""
    return cross_entropy(teacher_QBNK, student_QBNK, temperature).mean()


def reconstruction_loss(reconstructed: Tensor, clean: Tensor, mask: Tensor, masked: Tensor | None = None) -> Tensor:
    """Mean absolute error over the masked places; all of one shape, mask bool.

    `masked` is the number of places to divide by, where this batch is a part of a larger one whose parts are
    averaged; left out, it is counted here.
    """
    error = (reconstructed.float() - clean.float()).abs()
    return (error * mask).sum() / (mask.sum() if masked is None else masked).clamp_min(1)


def updated_centre(centre: Tensor, batch_mean: Tensor, momentum: float) -> Tensor:
    """The running centre of the teacher's logits after one more batch; both (K,)."""
    return momentum * centre + (1 - momentum) * batch_mean


class Centre(nn.Module):
    """The running mean of the teacher's logits (K,), the same on every process.

    `observe` takes each part of a batch, `update` closes the batch: gradient accumulation moves the centre
    once.
    """

    value: Tensor

    def __init__(self, prototypes: int, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("value", torch.zeros(prototypes))
        self._means: list[Tensor] = []

    @torch.no_grad()
    def observe(self, logits: Tensor) -> None:
        """Logits (..., K) of one part of the batch; the parts must be of one size."""
        self._means.append(logits.float().flatten(0, -2).mean(dim=0))

    @torch.no_grad()
    def update(self) -> None:
        """Moves the centre by what was observed since the last update, on all processes together."""
        mean = mean_over_processes(torch.stack(self._means).mean(dim=0))
        self._means.clear()
        self.value.copy_(updated_centre(self.value, mean, self.momentum))


def entropy(probabilities: Tensor) -> Tensor:
    """Entropy in nats over the last axis, (..., K) to (...)."""
    return -torch.xlogy(probabilities, probabilities).sum(dim=-1)
