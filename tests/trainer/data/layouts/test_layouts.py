"""Every layout as its publisher ships it, in small; and what is said when a file or a column is not as it should be."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asit_edge.errors import WrongUse
from trainer.data.audioset import audioset_ids
from trainer.data.dataset import TEST, TRAIN, VALIDATION
from trainer.data.layouts import audioset, folder, fsdd, speech_commands, voxceleb
from trainer.data.layouts.detect import read_any
from trainer.data.layouts.esc50 import read_esc50
from trainer.data.recording import StrongLabel

RATE = 16_000


def sound(path: Path, seconds: float = 0.2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(round(seconds * RATE), 0.1), RATE)
    return path


# Speech Commands


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    root = tmp_path / "speech_commands"
    for word in ("yes", "no", "cat", "bird"):
        for speaker in range(20):
            sound(root / word / f"{speaker:08x}_nohash_0.wav")
    for name in ("a", "b", "c", "d"):
        sound(root / "_background_noise_" / f"{name}.wav", 3.0)
    words = ("yes", "no", "cat", "bird")
    (root / "validation_list.txt").write_text("".join(f"{word}/00000001_nohash_0.wav\n" for word in words))
    (root / "testing_list.txt").write_text("".join(f"{word}/00000002_nohash_0.wav\n" for word in words))
    return root


def test_speech_commands_v2_has_every_word_and_the_published_parts(speech: Path) -> None:
    dataset = speech_commands.read_v2(speech)
    assert dataset.categories == ["bird", "cat", "no", "yes"]
    assert Counter(clip.part for clip in dataset.recordings) == {TRAIN: 72, VALIDATION: 4, TEST: 4}
    assert dataset.grouped
    speakers = {part: {clip.group for clip in dataset.recordings if clip.part == part} for part in (TRAIN, TEST)}
    assert not speakers[TRAIN] & speakers[TEST]


def test_speech_commands_v1_has_twelve_classes_with_unknown_and_silence(speech: Path) -> None:
    dataset = speech_commands.read_v1(speech)
    assert dataset.categories == [*speech_commands.WORDS, "unknown", "silence"]
    train = Counter(clip.labels[0] for clip in dataset.recordings if clip.part == TRAIN)
    assert train == {"yes": 18, "no": 18, "unknown": 4, "silence": 4}  # a tenth of 36
    silence = [clip for clip in dataset.recordings if clip.labels == ("silence",)]
    noises = {part: {clip.path.name for clip in silence if clip.part == part} for part in (TRAIN, VALIDATION, TEST)}
    assert noises[TEST] == {"d.wav"}
    assert noises[VALIDATION] == {"c.wav"}
    assert noises[TRAIN] <= {"a.wav", "b.wav"}
    assert all(len(samples) == RATE for samples in dataset.choose([dataset.recordings.index(silence[0])]).load(RATE))
    assert speech_commands.read_v1(speech) == dataset


def test_speech_commands_without_its_lists_is_refused(speech: Path) -> None:
    (speech / "testing_list.txt").unlink()
    with pytest.raises(WrongUse, match=r"no testing_list\.txt"):
        speech_commands.read_v2(speech)


# VoxCeleb1


def test_voxceleb_has_speakers_videos_and_the_published_parts(tmp_path: Path) -> None:
    lines = ["1 id10001/aaa/00001.wav", "3 id10001/bbb/00001.wav", "2 id10002/ccc/00001.wav", "1 id10002/ccc/00002.wav"]
    for line in lines:
        sound(tmp_path / "wav" / line[2:])
    (tmp_path / "iden_split.txt").write_text("\n".join(lines) + "\n")
    dataset = voxceleb.read(tmp_path)
    assert dataset.categories == ["id10001", "id10002"]
    assert [clip.part for clip in dataset.recordings] == [TRAIN, TEST, VALIDATION, TRAIN]
    assert [clip.group for clip in dataset.recordings][2:] == ["id10002/ccc"] * 2
    (tmp_path / "iden_split.txt").write_text("4 id10001/aaa/00001.wav\n")
    with pytest.raises(WrongUse, match=r"iden_split\.txt:1: must be 1, 2 or 3"):
        voxceleb.read(tmp_path)
    (tmp_path / "iden_split.txt").write_text("1 id10001/aaa/00009.wav\n")
    with pytest.raises(WrongUse, match=r"iden_split\.txt:1: no file"):
        voxceleb.read(tmp_path)


# AudioSet


@pytest.fixture
def small_audioset(tmp_path: Path) -> Path:
    head = (
        "# Segments csv created Sun Mar  5 10:54:31 2017\n# num_ytids=2\n# YTID, start_seconds, end_seconds, labels\n"
    )
    rows = {
        "balanced_train_segments.csv": '--4gqARaEJE, 0.000, 10.000, "/m/068hy,/m/07q6cd_,/m/0bt9lr,/m/0jbk"\n'
        'AAAAAAAAAAA, 30.000, 40.000, "/m/0bt9lr"\n',
        "unbalanced_train_segments.csv": '---1_cCGK4M, 0.000, 10.000, "/m/01g50p"\n',
        "eval_segments.csv": '-0p7hKXZ1ww, 30.000, 40.000, "/m/09x0r,/t/dd00004"\n',
    }
    for name, text in rows.items():
        (tmp_path / name).write_text(head + text)
    for name in ("Y--4gqARaEJE.wav", "---1_cCGK4M_0.wav", "-0p7hKXZ1ww.wav"):
        sound(tmp_path / "audio" / name)
    return tmp_path


def test_audioset_tables_become_parts_and_missing_clips_are_counted(
    small_audioset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small, large = audioset.read_20k(small_audioset), audioset.read_2m(small_audioset)
    assert small.categories == list(audioset_ids())
    assert len(small.categories) == 527
    assert not small.single_label
    assert [clip.part for clip in small.recordings] == [TRAIN, TEST]
    assert [clip.part for clip in large.recordings] == [TRAIN, TRAIN, TEST]
    assert "Dog" in small.recordings[0].labels
    assert small.targets.sum(axis=1).tolist() == [4, 2]
    assert "1 clips of the tables are not there" in capsys.readouterr().err


def test_audioset_needs_its_tables(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"no balanced_train_segments\.csv"):
        audioset.read_20k(tmp_path)


# Free Spoken Digit Dataset


def test_digits_are_tested_on_other_speakers_and_speakers_on_other_takes(tmp_path: Path) -> None:
    for digit in range(3):
        for speaker in ("ann", "bob"):
            for take in range(7):
                sound(tmp_path / "recordings" / f"{digit}_{speaker}_{take}.wav")
    digits, speakers = fsdd.read_digits(tmp_path), fsdd.read_speakers(tmp_path)
    assert digits.categories == ["0", "1", "2"]
    assert digits.folds == [1, 2]
    assert {clip.group for clip in digits.recordings if clip.fold == 1} == {"ann"}
    assert speakers.categories == ["ann", "bob"]
    assert Counter(clip.part for clip in speakers.recordings) == {TEST: 30, TRAIN: 12}
    with pytest.raises(WrongUse, match="no recordings/DIGIT_SPEAKER_N"):
        fsdd.read_digits(tmp_path / "recordings")


# One's own folder


def test_sub_folders_are_classes_and_their_sub_folders_recordings(tmp_path: Path) -> None:
    for name in ("Dog/monday/1.wav", "Dog/monday/2.wav", "Kettle/one/1.wav", "_other/street/1.wav"):
        sound(tmp_path / name)
    dataset = folder.read(tmp_path)
    assert dataset.categories == ["Dog", "Kettle"]
    assert [clip.group for clip in dataset.recordings] == ["Dog/monday", "Dog/monday", "Kettle/one", "_other/street"]
    assert dataset.targets.tolist() == [[1, 0], [1, 0], [0, 1], [0, 0]]
    assert not dataset.single_label
    assert dataset.grouped
    assert [label.id for label in dataset.labels] == ["/m/0bt9lr", "kettle"]


def test_files_right_in_a_class_folder_have_no_known_recording(tmp_path: Path) -> None:
    sound(tmp_path / "Dog" / "1.wav")
    assert not folder.read(tmp_path).grouped


def test_a_table_may_have_several_labels_groups_and_parts(tmp_path: Path) -> None:
    for name in ("a.wav", "audio/b.wav"):
        sound(tmp_path / name)
    (tmp_path / "manifest.csv").write_text(
        'path,labels,group,split\na.wav,"Dog; Crowing, cock-a-doodle-doo",r1,train\nb.wav,,r2,test\n'
    )
    dataset = read_any(tmp_path)
    assert dataset.categories == ["Crowing, cock-a-doodle-doo", "Dog"]
    assert [clip.labels for clip in dataset.recordings] == [("Dog", "Crowing, cock-a-doodle-doo"), ()]
    assert [clip.part for clip in dataset.recordings] == ["train", "test"]
    assert dataset.recordings[1].path == tmp_path / "audio" / "b.wav"


def test_a_tsv_of_dcase_has_strong_labels_and_files_without_events(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        sound(tmp_path / "audio" / name, 1.0)
    (tmp_path / "events.tsv").write_text(
        "filename\tonset\toffset\tevent_label\na.wav\t0.1\t0.5\tDog\na.wav\t0.2\t0.9\tCat\nb.wav\t\t\t\n"
    )
    (tmp_path / "durations.tsv").write_text("filename\tduration\na.wav\t1.0\nb.wav\t1.0\nc.wav\t1.0\n")
    dataset = read_any(tmp_path)
    assert dataset.strong
    assert dataset.recordings[0].events == (StrongLabel(0.1, 0.5, "Dog"), StrongLabel(0.2, 0.9, "Cat"))
    assert [clip.events for clip in dataset.recordings[1:]] == [(), ()]
    assert [(event.onset, event.label) for event in dataset.events[0]] == [(0.1, 1), (0.2, 0)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("manifest.csv", "path,label\nmissing.wav,Dog\n", r"manifest\.csv:2: no file missing\.wav"),
        ("manifest.csv", "label\nDog\n", "no column path or filename"),
        ("manifest.csv", "path\na.wav\n", "no column label or category"),
        ("manifest.csv", "path,label\n", "no column path"),
        ("manifest.csv", "path,labels\na.wav,\n", "no clip has a label"),
        (
            "events.tsv",
            "filename\tonset\toffset\tevent_label\na.wav\t2\t1\tDog\n",
            r"events\.tsv:2: onset 2\.0 must be",
        ),
        ("events.tsv", "filename\tonset\toffset\tevent_label\na.wav\tx\t1\tDog\n", r"events\.tsv:2: onset and offset"),
    ],
)
def test_a_wrong_table_is_named_by_line_or_column(tmp_path: Path, name: str, text: str, message: str) -> None:
    sound(tmp_path / "a.wav")
    (tmp_path / name).write_text(text)
    with pytest.raises(WrongUse, match=message):
        folder.read(tmp_path)


def test_an_empty_or_absent_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no audio in class sub-folders"):
        folder.read(tmp_path)
    with pytest.raises(WrongUse, match="no such folder or table"):
        read_any(tmp_path / "nowhere")


# ESC-50


def test_esc50_keeps_its_folds_and_source_recordings(tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "esc50.csv").write_text(
        "filename,fold,target,category,esc10,src_file,take\n"
        "1-1-A-0.wav,1,0,dog,True,1,A\n1-1-B-0.wav,1,0,dog,True,1,B\n5-9-A-40.wav,5,40,sea_waves,False,9,A\n"
    )
    dataset = read_esc50(tmp_path)
    assert dataset.categories == ["Dog", "Waves, surf"]
    assert dataset.folds == [1, 5]
    assert dataset.groups == ["1", "1", "9"]
    assert dataset.single_label
    assert dataset.targets.tolist() == [[1, 0], [1, 0], [0, 1]]


def test_what_is_written_as_a_table_is_read_back(tmp_path: Path) -> None:
    for name in ("Dog/monday/1.wav", "Kettle, whistling/one/1.wav", "_other/street/1.wav"):
        sound(tmp_path / "data" / name)
    dataset = folder.read(tmp_path / "data")
    folder.write_table(tmp_path / "clips.csv", dataset)
    again = folder.read(tmp_path / "clips.csv")
    assert [(clip.labels, clip.group) for clip in again.recordings] == [
        (clip.labels, clip.group) for clip in dataset.recordings
    ]
    (tmp_path / "data" / "events.tsv").write_text(
        "filename\tonset\toffset\tevent_label\nDog/monday/1.wav\t0.1\t0.2\tDog\n_other/street/1.wav\t\t\t\n"
    )
    strong = folder.read(tmp_path / "data")
    folder.write_table(tmp_path / "clips.csv", strong)
    assert [clip.events for clip in folder.read(tmp_path / "clips.tsv").recordings] == [
        clip.events for clip in strong.recordings
    ]
