from unittest import mock

import pytest
import torch

from trainer.run.precision import autocast, multiplies_bf16


@pytest.mark.parametrize("capability", [True, False])
def test_a_gpu_that_only_imitates_bfloat16_computes_in_float32(capability: bool) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return including_emulation or capability

    with mock.patch("torch.cuda.is_bf16_supported", supported):
        assert multiplies_bf16(torch.device("cuda")) is capability


def test_what_is_asked_for_is_done() -> None:
    for wanted in (True, False):
        with autocast(torch.device("cpu"), wanted):
            made = torch.ones(2, 2) @ torch.ones(2, 2)
        assert made.dtype == (torch.bfloat16 if wanted else torch.float32)
