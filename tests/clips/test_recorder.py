"""Clips of a listener on a virtual clock: the right sound at the right place, no gap in it, and no speech near it."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from asit_edge.audio.clock import parse_iso
from asit_edge.cli.demo import recording
from asit_edge.clips.names import clip_name, read_name
from asit_edge.clips.shelf import ClipShelf
from asit_edge.model.bundle import DEFAULT, bundled
from tests.clips.parts import Kept, speaking_bundle, where
from tests.conftest import RATE, require, require_programs, tones

Make = Callable[..., Kept]


@pytest.fixture
def kept(tone_bundle: Path, tmp_path: Path) -> Make:
    def make(*names: str, **more: Any) -> Kept:
        return Kept(tone_bundle, tmp_path / "clips", more.pop("clips", None), names=names or ("mic",), **more)

    return make


@pytest.fixture
def private(tmp_path: Path) -> Make:
    """No speech, and a high tone is speech."""
    bundle = speaking_bundle(tmp_path / "speaking")

    def make(*names: str, **more: Any) -> Kept:
        clips = {"speech": "never", **more.pop("clips", {})}
        return Kept(bundle, tmp_path / "clips", clips, names=names or ("mic",), **more)

    return make


def story(*parts: tuple[float, float]) -> np.ndarray:
    """Tones in noise that is nowhere the same."""
    samples = tones(*parts)
    return samples + 1e-3 * np.random.default_rng(5).standard_normal(len(samples)).astype(np.float32)


def promised(scene: Kept) -> list[str | None]:
    return [event.clip for event in scene.notes.told if event.type == "end"]


def test_a_clip_is_what_was_heard_around_the_sound(kept: Make) -> None:
    scene, sound = kept(), story((0, 8), (500, 1), (0, 6))
    scene.play(sound)
    scene.stop()
    [clip] = scene.wrote().values()
    [(_, _, onset, offset)] = scene.ends()
    assert len(clip) / RATE == pytest.approx(offset - onset + 7, abs=0.01)
    assert where(sound, clip) / RATE == pytest.approx(onset - 5, abs=0.03)
    np.testing.assert_allclose(clip, sound[where(sound, clip) :][: len(clip)], atol=1 / 32_768)
    [end] = [event for event in scene.notes.told if event.type == "end"]
    assert end.clip == clip_name(end, "flac")
    [report] = scene.reports
    assert (report.event, report.label, report.kept, report.path) == (end.id, "Low tone", True, end.clip)
    assert report.seconds == pytest.approx(len(clip) / RATE, abs=1e-3)
    assert (report.url, report.reason) == (None, "")
    assert [event.clip for event in scene.notes.told if event.type != "end"] == [None]
    assert ClipShelf(scene.folder).find(end.id) == scene.folder / end.clip


def test_what_is_told_is_an_address_where_there_is_one(kept: Make) -> None:
    scene = kept(clips={"base_url": "http://hall.local:8080/clips/", "before": 1, "after": 0.5})
    scene.play(story((0, 2), (500, 1), (0, 3)))
    scene.stop()
    [end], [report] = promised(scene), scene.reports
    assert report.path is not None
    assert read_name(report.path) is not None
    assert end == report.url == f"http://hall.local:8080/clips/{report.path}"


def test_two_sounds_at_once_are_two_clips_of_the_same_time(kept: Make) -> None:
    scene = kept(clips={"before": 1, "after": 1})
    sound = story((0, 3), (500, 2), (0, 4))
    sound[4 * RATE : 6 * RATE] += tones((3000, 2))
    scene.play(sound)
    scene.stop()
    clips = scene.wrote()
    assert set(clips) == {"low_tone", "high_tone"}
    low, high = (where(sound, clips[name]) / RATE for name in ("low_tone", "high_tone"))
    assert (low, high) == (pytest.approx(2, abs=0.2), pytest.approx(3, abs=0.2))


def test_a_sound_that_lasts_is_cut_off_and_its_end_still_says_where_it_is(kept: Make) -> None:
    scene = kept(clips={"before": 1, "max_seconds": 4})
    sound = story((0, 3), (500, 12), (0, 4))
    scene.play(sound[: 10 * RATE])
    scene.recorder._keeper._writing.stop(10)
    [clip] = scene.wrote().values()  # while it sounds
    assert len(clip) / RATE == pytest.approx(4, abs=0.01)
    assert where(sound, clip) / RATE == pytest.approx(2, abs=0.2)
    assert promised(scene) == []
    scene.play(sound[10 * RATE :])
    scene.stop()
    assert promised(scene) == [report.path for report in scene.reports if report.kept]
    assert len(scene.reports) == 1


def test_a_clip_never_goes_across_a_gap(kept: Make) -> None:
    scene, sound = kept(), story((0, 3), (500, 2), (500, 4), (0, 6))
    scene.play(sound[: 5 * RATE])
    assert scene.mic.capture is not None
    scene.mic.capture.ended = "unplugged"
    scene.wait(4)
    scene.play(sound[5 * RATE :])
    scene.stop()
    clips = list(scene.wrote().values())
    assert len(clips) == 2
    first, second = sorted(clips, key=lambda clip: where(sound, clip))
    assert where(sound, first) <= 0.03 * RATE
    assert len(first) / RATE == pytest.approx(5, abs=0.05), "it ends where the device did"
    begun = where(sound, second) / RATE
    assert begun == pytest.approx(5, abs=0.1), "and the next one begins where it was there again"
    assert len(second) / RATE == pytest.approx(4 + 2, abs=0.3)


def test_when_times_are_corrected_clips_are_still_right(kept: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asit_edge.audio.clock.BELIEVED_AFTER", 3.0)
    scene, sound = kept(clips={"before": 2, "after": 1}), story((0, 12), (500, 1), (0, 3))
    scene.play(sound[: 4 * RATE])
    scene.clock.step(-3_600)  # somebody sets the clock
    scene.play(sound[4 * RATE :])
    scene.stop()
    [end] = [event for event in scene.notes.told if event.type == "end"]
    assert end.onset_epoch - scene.began == pytest.approx(12 - 3_600, abs=1)
    [clip] = scene.wrote().values()
    assert where(sound, clip) / RATE == pytest.approx(10, abs=0.2)
    assert len(clip) / RATE == pytest.approx(4, abs=0.3)


def test_only_labels_and_scores_that_are_wanted_are_kept(kept: Make) -> None:
    sound = story((0, 3), (500, 1), (0, 3), (3000, 1), (0, 4))
    scene = kept(clips={"labels": ["High tone"]})
    scene.play(sound)
    scene.stop()
    assert set(scene.wrote()) == {"high_tone"}
    assert [path is not None for path in promised(scene)] == [False, True]
    assert [report.label for report in scene.reports] == ["High tone"]


def test_an_event_whose_score_stays_low_has_no_clip(kept: Make) -> None:
    scene = kept(clips={"min_score": 0.95})
    scene.play(np.concatenate((story((0, 3)), 0.2 * tones((500, 1)), story((0, 3), (500, 1), (0, 3)))))
    scene.stop()
    low, high = [event.peak for event in scene.notes.told if event.type == "end"]
    assert low < 0.95 <= high
    assert [path is not None for path in promised(scene)] == [False, True]
    assert len(scene.wrote()) == len(scene.reports) == 1


def test_what_is_stopped_leaves_the_clips_that_it_had_begun(kept: Make) -> None:
    scene, sound = kept(), story((0, 3), (500, 1.5))
    scene.play(sound)
    scene.stop()
    [clip] = scene.wrote().values()
    assert len(clip) / RATE == pytest.approx(4.5, abs=0.05)
    assert promised(scene) == [scene.reports[0].path]


def test_memory_is_bounded_by_the_longest_clip(kept: Make) -> None:
    scene = kept(clips={"max_seconds": 10})
    scene.play(story((0, 40)))
    [tape] = scene.recorder._tapes.values()
    assert 20 <= tape.kept <= 21
    assert sum(page.nbytes for stretch in tape._stretches for page in stretch.pages) <= 22 * RATE * 2
    scene.stop()


# Without speech.


@pytest.mark.parametrize(
    ("parts", "low_tones_kept"),
    [
        ([(0, 12), (500, 1), (0, 12)], 1),
        ([(0, 8), (3000, 1), (0, 1), (500, 1), (0, 12)], 0),  # in the time before the sound
        ([(0, 12), (500, 1), (0, 1), (3000, 1), (0, 9)], 0),  # in the time after it
        ([(0, 1), (3000, 1), (0, 7), (500, 1), (0, 12)], 0),  # before the clip, and near
        ([(0, 12), (500, 1), (0, 5), (3000, 1), (0, 9)], 0),  # behind the clip, and near
        ([(0, 1), (3000, 1), (0, 12), (500, 1), (0, 9), (3000, 1), (0, 9)], 1),  # far from it
        ([(0, 12), (500, 1), (0, 1), (500, 1), (0, 9), (3000, 1), (500, 1), (0, 9)], 1),  # and what is between is cut
    ],
)
def test_no_clip_has_speech_in_it_or_near_it(
    private: Make, parts: list[tuple[float, float]], low_tones_kept: int
) -> None:
    scene = private()
    scene.play(story(*parts))
    scene.stop()
    labels = [event.label for event in scene.notes.told if event.type == "end"]
    clips = scene.wrote()
    assert "Speech" in labels or low_tones_kept == 1
    assert len(clips) == low_tones_kept
    assert all(not name.startswith("speech") for name in clips)
    told = {report.event: report for report in scene.reports}
    for event in scene.notes.told:
        if event.type == "end" and event.label == "Low tone":
            report = told[event.id]
            assert report.kept == bool(low_tones_kept) or event.clip is None
            assert report.kept or (report.reason, report.path, report.url, report.seconds) == (
                "speech",
                None,
                None,
                None,
            )


def test_speech_that_is_known_already_makes_no_promise(private: Make) -> None:
    scene = private()
    scene.play(story((0, 6), (3000, 1), (0, 1), (500, 1), (0, 9)))
    scene.stop()
    assert promised(scene) == [None, None]


def test_what_breaks_off_is_kept_only_as_far_as_somebody_has_listened_on(private: Make) -> None:
    scene, sound = private(), story((0, 8), (500, 3))
    scene.play(sound)
    scene.stop()
    [clip] = scene.wrote().values()
    assert where(sound, clip) / RATE == pytest.approx(3, abs=0.2)
    assert (where(sound, clip) + len(clip)) / RATE == pytest.approx(10, abs=0.5)


def test_another_microphone_of_the_room_hears_speech(private: Make) -> None:
    low, high, quiet = story((0, 8), (500, 1), (0, 9)), story((0, 9), (3000, 1), (0, 8)), story((0, 18))
    scene = private("left", "right", "yard", events={"same_room": [["left", "right"]]})
    scene.play(low, high, quiet)
    scene.stop()
    assert scene.wrote() == {}
    apart = private("left", "right", "yard", clips={"folder": str(scene.folder / "apart")})
    apart.play(low, high, quiet)
    apart.stop()
    assert len(list((scene.folder / "apart").rglob("*.flac"))) == 1


def test_what_the_model_gave_no_numbers_for_is_not_kept(private: Make) -> None:
    scene = private()
    ears = scene.recorder._ears
    assert ears is not None
    score, missed = ears.score, []

    def now_and_then(source: str, end: float, scores: np.ndarray) -> None:
        if 5 < end - scene.began < 6:
            missed.append(end)
        else:
            score(source, end, scores)

    ears.score = now_and_then  # type: ignore[method-assign]
    scene.play(story((0, 8), (500, 1), (0, 12), (500, 1), (0, 9)))
    scene.stop()
    assert missed
    assert len(scene.wrote()) == 1
    assert [report.reason for report in scene.reports] == ["speech", ""]


def spoken(folder: Path) -> np.ndarray:
    """Two sentences of a synthetic voice."""
    require_programs("ffmpeg")
    text = "Good morning everybody. The weather is nice today, and dinner is at seven."
    source = ["-f", "lavfi", "-i", f"flite=text='{text}':voice=slt"]
    done = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *source, folder / "spoken.wav"], capture_output=True)
    require(done.returncode == 0, "an ffmpeg that speaks (flite)")
    samples, rate = soundfile.read(folder / "spoken.wav", dtype="float32")
    return np.asarray(soxr.resample(samples, rate, RATE), np.float32)


def test_the_bundled_model_keeps_the_rooster_and_no_word(tmp_path: Path) -> None:
    demo, rate = soundfile.read(recording(), dtype="float32")
    rooster = np.asarray(soxr.resample(demo, rate, RATE), np.float32)[: round(3.5 * RATE)]
    rng = np.random.default_rng(3)
    quiet = [1e-3 * rng.standard_normal(round(seconds * RATE)).astype(np.float32) for seconds in (5.5, 9, 2, 4)]
    sound = np.concatenate((quiet[0], rooster, quiet[1], 0.1 * spoken(tmp_path), quiet[2], rooster, quiet[3]))
    scene = Kept(bundled()[DEFAULT], tmp_path / "clips", {"speech": "never"}, events={"only": ["Chicken, rooster"]})
    scene.play(sound)
    scene.stop()
    assert len(scene.ends()) == 2, "it is heard both times"
    [clip] = scene.wrote().values()
    assert where(sound, clip) < 6 * RATE
    assert len(clip) < 13 * RATE, "and the clip ends before the words"
    assert [report.reason for report in scene.reports] == ["", "speech"]


def test_whoever_speaks_it_is_noticed(shared_data: Path, tmp_path: Path) -> None:
    """Real voices, of the recordings that the repository may not carry."""
    digits = sorted((shared_data / "fsdd" / "recordings").glob("*_0.flac"))[::10]
    assert digits
    rng = np.random.default_rng(4)
    scene = Kept(bundled()[DEFAULT], tmp_path / "clips", {"speech": "never"})
    assert scene.recorder._ears is not None
    missed = []
    for file in digits:
        samples, rate = soundfile.read(file, dtype="float32")
        word = np.asarray(soxr.resample(samples, rate, RATE), np.float32)
        since = scene.clock.wall()
        quiet = 1e-3 * rng.standard_normal(3 * RATE).astype(np.float32)
        scene.play(np.concatenate((quiet, word, quiet)))
        if not scene.recorder._ears.spoken("mic", since + 6, since + 6):
            missed.append(file.name)
    scene.stop()
    assert missed == []


def test_times_of_names_are_the_events(kept: Make) -> None:
    scene = kept()
    scene.play(story((0, 3), (500, 1), (0, 5)))
    scene.stop()
    [clip] = ClipShelf(scene.folder).clips()
    [end] = [event for event in scene.notes.told if event.type == "end"]
    assert clip.begin == int(parse_iso(end.onset))
    assert clip.event == end.id[:8]
