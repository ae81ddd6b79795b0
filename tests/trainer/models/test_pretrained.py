import argparse
import os
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.asit.asit import ASiT, ASiTConfig
from trainer.models.pretrained import backbone_weights, load_backbone, network_weights
from trainer.models.vit import ViT, ViTConfig, stretch_positions
from trainer.run.checkpoint import read_file

CONFIG = ViTConfig(16, 2, 2, 96, 64)


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value)


@pytest.fixture
def vit() -> ViT:
    torch.manual_seed(0)
    return ViT(CONFIG)


def image_model(vit: ViT, distilled: bool = False) -> dict[str, Tensor]:
    """What timm or DeiT would have saved: RGB kernel, 14 x 14 positions, a classifier."""
    weights = dict(vit.state_dict())
    weights["patch_embed.proj.weight"] = torch.randn(16, 3, 16, 16)
    weights["pos_embed"] = torch.randn(1, 197 + distilled, 16)
    weights["head.weight"], weights["head.bias"] = torch.randn(1000, 16), torch.randn(1000)
    if distilled:
        weights["dist_token"] = torch.randn(1, 1, 16)
        weights["head_dist.weight"] = torch.randn(1000, 16)
    return weights


@pytest.mark.parametrize("network", ["student", "teacher"])
def test_own_checkpoint(network: str, tmp_path: Path) -> None:
    asit = ASiT(ASiTConfig(CONFIG, hidden=8, bottleneck=4, prototypes=6))
    nn.init.ones_(asit.student.backbone.cls_token)
    torch.save({"student": asit.student.state_dict(), "teacher": asit.teacher.state_dict()}, tmp_path / "own.pt")
    expected = asit.student if network == "student" else asit.teacher
    assert_same(backbone_weights(tmp_path / "own.pt", CONFIG, network), expected.backbone.state_dict())  # type: ignore[arg-type]


def test_authors_checkpoint_with_its_arguments(vit: ViT, tmp_path: Path) -> None:
    student = {f"module.backbone.{name}": value for name, value in vit.state_dict().items()}
    student["module.head_recons.convTrans.bias"] = torch.zeros(1)
    student["module.head_cls.data_layer.weight_g"] = torch.zeros(1024, 1)
    torch.save({"student": student, "teacher": {}, "args": argparse.Namespace(arch="vit")}, tmp_path / "a.pth")
    assert_same(backbone_weights(tmp_path / "a.pth", CONFIG, "student"), vit.state_dict())
    names = network_weights(read_file(tmp_path / "a.pth"), "student").keys()
    assert {"reconstruction.pixels.bias", "head.last_layer_patch.weight_g"} <= names


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("distilled", [False, True])
def test_imagenet_weights_fit_audio(vit: ViT, wrapped: bool, distilled: bool, tmp_path: Path) -> None:
    weights = image_model(vit, distilled)
    torch.save({"model": weights} if wrapped else weights, tmp_path / "deit.pth")
    ours = backbone_weights(tmp_path / "deit.pth", CONFIG)
    torch.testing.assert_close(ours["patch_embed.proj.weight"][:, 0], sum(weights["patch_embed.proj.weight"].unbind(1)))
    positions = weights["pos_embed"]
    if distilled:
        positions = torch.cat((positions[:, :1], positions[:, 2:]), dim=1)
    torch.testing.assert_close(ours["pos_embed"], stretch_positions(positions, (14, 14), (6, 4)))
    torch.testing.assert_close(ours["blocks.1.mlp.fc1.weight"], weights["blocks.1.mlp.fc1.weight"])
    load_backbone(vit, tmp_path / "deit.pth")
    assert vit(torch.zeros(1, 96, 64)).shape == (1, 25, 16)


def test_a_grey_image_gives_the_same_tokens_before_and_after_summing(vit: ViT, tmp_path: Path) -> None:
    weights = image_model(vit)
    torch.save(weights, tmp_path / "timm.pth")
    ours = backbone_weights(tmp_path / "timm.pth", CONFIG)["patch_embed.proj.weight"]
    image = torch.randn(1, 1, 32, 32)
    rgb = nn.functional.conv2d(image.expand(-1, 3, -1, -1), weights["patch_embed.proj.weight"], stride=16)
    torch.testing.assert_close(nn.functional.conv2d(image, ours, stride=16), rgb, atol=1e-4, rtol=1e-4)


def test_safetensors_of_another_length(vit: ViT, tmp_path: Path) -> None:
    safetensors.torch.save_file(vit.state_dict(), tmp_path / "vit.safetensors")
    longer = backbone_weights(tmp_path / "vit.safetensors", ViTConfig(16, 2, 2, 192, 64))
    torch.testing.assert_close(longer["pos_embed"], stretch_positions(vit.pos_embed, (6, 4), (12, 4)))


def test_another_width_is_named_with_both_shapes(vit: ViT, tmp_path: Path) -> None:
    torch.save(vit.state_dict(), tmp_path / "narrow.pt")
    with pytest.raises(AsitEdgeError) as caught:
        backbone_weights(tmp_path / "narrow.pt", ViTConfig(32, 2, 2, 96, 64))
    message = str(caught.value)
    assert "narrow.pt" in message
    assert "blocks.0.attn.proj.bias: the file has (16,), the model needs (32,)" in message
    assert "\n" not in message


@pytest.mark.parametrize(("depth", "expected"), [(1, "the model needs nothing"), (3, "the file has nothing")])
def test_another_depth_is_named(vit: ViT, depth: int, expected: str, tmp_path: Path) -> None:
    torch.save(vit.state_dict(), tmp_path / "two.pt")
    with pytest.raises(AsitEdgeError, match=expected):
        backbone_weights(tmp_path / "two.pt", ViTConfig(16, depth, 2, 96, 64))


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no such checkpoint"):
        read_file(tmp_path / "absent.pt")
    for name in ("noise.pt", "noise.safetensors"):
        (tmp_path / name).write_bytes(b"not a checkpoint at all")
        with pytest.raises(AsitEdgeError, match=name):
            read_file(tmp_path / name)
    (tmp_path / "empty.pt").touch()
    with pytest.raises(AsitEdgeError, match=r"empty\.pt"):
        read_file(tmp_path / "empty.pt")


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("harm",)


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"teacher": Harmful()}, tmp_path / "evil.pt")
    with pytest.raises(AsitEdgeError, match=r"evil\.pt"):
        read_file(tmp_path / "evil.pt")
    assert not (tmp_path / "harm").exists()
