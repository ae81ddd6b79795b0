"""A warm-started student becomes a bundle: the same scores chunk by chunk, embeddings beside them, notices along."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asit_edge.errors import WrongUse
from asit_edge.model.backends.onnx import OnnxStream
from asit_edge.model.bundle import load_bundle
from export.bundling import write_bundle
from trainer.models.chunked import ALIGNED
from trainer.models.streaming_mobilenet import StreamMobile, WarmConfig
from trainer.models.teacher_picture import warm_front_end
from trainer.run.checkpoint import save_checkpoint
from trainer.students.config import DistillConfig
from trainer.students.student import STUDENT, load_student

LABELS = ["Dog", "Rain", "Speech"]
MODEL = WarmConfig(trunk=0.1, width=16, depth=2, heads=2, context=6, window=64, judged=2)
FACTS = {
    "training": {"begun_with": "somebody's network"},
    "quality": {
        "Dog": {"quality": {"sounds": 12, "average_precision": 0.8, "missed": 0.25, "false_alarms": 0.5}},
        "Rain": {"experimental": True},
    },
}


def saved(path: Path) -> Path:
    torch.manual_seed(0)
    config = DistillConfig(size="warm-tiny", model=asdict(MODEL))
    model = StreamMobile(MODEL, len(LABELS), config.spec)
    for parameter in model.correction.parameters():
        torch.nn.init.normal_(parameter)
    content: dict[str, Any] = {"config": config.plain(), "labels": LABELS, "model": model.state_dict(), "step": 3}
    save_checkpoint(path, STUDENT, content)
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("warm")
    (folder / "thanks.txt").write_text("Thanks to somebody.\n", encoding="utf-8")
    write_bundle(
        saved(folder / "student.pt"),
        folder / "out",
        "warm",
        "1.0",
        "Apache-2.0",
        FACTS,
        0.5,
        0.3,
        notice=folder / "thanks.txt",
    )
    return folder / "out"


def test_chunk_by_chunk_it_gives_what_the_lab_gives_over_the_whole(bundle: Path) -> None:
    opened = OnnxStream(load_bundle(bundle))
    model, config, labels, _ = load_student(bundle.parent / "student.pt")
    assert isinstance(model, StreamMobile)
    assert [label.name for label in labels] == LABELS
    assert config.spec == warm_front_end()
    heard = np.random.default_rng(0).normal(-0.2, 0.3, (2, 5 * 32, 103)).astype(np.float32)
    memory = [cache.expand(2, *cache.shape[1:]) for cache in model.silent_memory()]
    with torch.inference_mode():
        embedded, _ = model.embed(torch.from_numpy(heard), memory)
        expected = model.classify(embedded).frames.sigmoid().numpy()
    memories = [opened.open(), opened.open()]
    scores, embeddings = [], []
    for piece in np.split(heard, 5, axis=1):
        score, embedding = opened.step_embedded(np.ascontiguousarray(piece), memories)
        scores.append(score)
        embeddings.append(embedding)
    assert np.abs(np.concatenate(scores, axis=1) - expected).max() < 1e-5
    means = embedded.unflatten(1, (-1, 2)).mean(dim=2).numpy()
    assert np.abs(np.stack(embeddings, axis=1) - means).max() < 1e-4
    assert opened.embedding == means.shape[2]


def test_asking_for_the_embedding_changes_nothing_else(bundle: Path) -> None:
    opened = OnnxStream(load_bundle(bundle))
    one, other = [opened.open()], [opened.open()]
    for seed in range(3):
        chunk = np.random.default_rng(seed).normal(-0.2, 0.3, (1, 32, 103)).astype(np.float32)
        assert np.array_equal(opened.step(chunk, one), opened.step_embedded(chunk, other)[0])


def test_states_are_whole_numbers_of_256_bytes_as_gpus_want_them(bundle: Path) -> None:
    caches = load_bundle(bundle).stream.caches
    assert list(caches) == ["convolved", "layer0", "layer1"]
    assert caches["convolved"][0] % ALIGNED == 0


def test_a_model_without_embeddings_says_so(tone_stream: Path) -> None:
    opened = OnnxStream(load_bundle(tone_stream))
    with pytest.raises(WrongUse, match="no embeddings"):
        opened.step_embedded(np.zeros((1, opened.chunk, 128), np.float32), [opened.open()])


def test_the_bundle_carries_its_notices_and_says_how_well_each_label_is_told(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    assert (bundle / "NOTICE").read_text(encoding="utf-8") == "Thanks to somebody.\n"
    assert "NOTICE" in loaded.manifest.files
    dog, rain, speech = loaded.manifest.labels
    assert dog.quality is not None
    assert (dog.quality.sounds, dog.quality.missed, dog.experimental) == (12, 0.25, False)
    assert (rain.experimental, speech.experimental, speech.quality) == (True, False, None)
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert "somebody's network" in card
    assert "| Dog | `/m/0bt9lr` | 0.5 | 0.3 | 12 | 0.80 | 25% | 0.50 |" in card
    assert "Rain (experimental)" in card
