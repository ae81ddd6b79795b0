import torch

from trainer.run.resuming.seeds import generator_of, seed_of, seed_step


def test_a_place_has_its_seed_whatever_ran_before() -> None:
    assert seed_of(0, 5) == seed_of(0, 5)
    assert len({seed_of(0, 5), seed_of(0, 6), seed_of(1, 5), seed_of(0, 5, 1), seed_of(0, 5, 2)}) == 5
    seed_step(3, 4)
    first = torch.rand(3)
    torch.rand(100)
    seed_step(3, 4)
    assert torch.equal(torch.rand(3), first)
    assert torch.equal(torch.rand(3, generator=generator_of(3, 4)), torch.rand(3, generator=generator_of(3, 4)))
