"""What `--help` of each command shows at its end: lines that can be typed, each with what it does."""

EXAMPLES: dict[str, dict[str, str]] = {
    "": {
        "asit-edge demo": "hears the bundled recording",
        "asit-edge listen": "listens to the default microphone",
        "asit-edge labels baby": "which sounds are known, and from which score on they are reported",
    },
    "listen": {
        "asit-edge listen": "to the default microphone, or as /etc/asit-edge/config.yaml says",
        "asit-edge listen --config config.yaml": "to the sources of that file, to its broker",
        "asit-edge listen --microphone usb:046d:0825": "to that device; asit-edge devices lists them",
        "asit-edge listen --json | jq .label": "JSON lines; so is whatever is not a terminal",
        "arecord -t raw -f S16_LE -r 16000 | asit-edge listen --stdin": "to what another program records",
    },
    "replay": {
        "asit-edge replay night.wav": "what would have been reported of it",
        "asit-edge replay night.wav --json --start 2026-05-01T22:00:00+02:00": "as JSON lines, with its true times",
        "asit-edge replay night.wav --publish --config config.yaml": "also to the broker",
    },
    "tag": {
        "asit-edge tag doorbell.wav": "the five labels that fit best",
        "asit-edge tag *.flac --json --top 3": "one file a line, as JSON",
    },
    "teach": {
        'asit-edge teach "Front doorbell" ring1.wav ring2.wav ring3.wav': "from three recordings of it",
        'asit-edge teach "Front doorbell" ring*.wav --not chime.wav': "and what it is not, though it is like it",
    },
    "taught": {"asit-edge taught list": "what was taught on this device"},
    "taught list": {"asit-edge taught list": "what was taught, and how good it is"},
    "taught rename": {'asit-edge taught rename "Front doorbell" "Doorbell"': "from now on it is reported as that"},
    "taught on": {'asit-edge taught on "Front doorbell"': "a listener that runs hears it again within seconds"},
    "taught off": {'asit-edge taught off "Front doorbell"': "it is kept, and not reported"},
    "taught remove": {'asit-edge taught remove "Front doorbell"': "it is gone for good"},
    "taught export": {'asit-edge taught export "Front doorbell" doorbell.taught': "for another device"},
    "taught import": {"asit-edge taught import doorbell.taught": "what another device has exported"},
    "wrong": {
        "asit-edge wrong 6f1c2a9b": "the event whose id begins so was not what it was called",
        "asit-edge events --since 1h --json": "shows ids",
    },
    "missed": {
        'asit-edge missed "Front doorbell" --at 5m': "it rang five minutes ago, and nothing was reported",
        "asit-edge missed Dog --at 2026-05-01T22:14:03 --seconds 3 --source hall": "at that time, in UTC",
    },
    "calibrate": {
        "asit-edge calibrate": "hears a day on which nothing should alarm",
        "asit-edge calibrate --hours 8 --alarms-per-day 0.5": "eight hours, and stricter",
        "asit-edge calibrate day1.flac day2.flac --dry-run": "recordings of such days; nothing is set",
        "asit-edge calibrate --undo": "takes the last one back",
    },
    "subscribe": {
        "asit-edge subscribe --host broker.local": "every event of every device",
        'asit-edge subscribe --host broker.local --label Dog --exec "notify-send Dog"': "runs a program for each",
        "asit-edge subscribe --config config.yaml --json": "the configured broker; JSON lines",
    },
    "events": {
        "asit-edge events --since 12h": "of the last twelve hours",
        "asit-edge events --label Dog --follow": "of one label, and what comes",
        "asit-edge events --since 7d --json": "of a week, as JSON lines",
    },
    "refused": {
        "asit-edge refused": "what a sink has refused for good, and why",
        "asit-edge refused --requeue --sink mqtt": "tries to deliver the broker's once more",
    },
    "schema": {
        "asit-edge schema event": "of the events, for programs that check them",
        "asit-edge schema config": "of config.yaml, for editors that complete it",
    },
    "devices": {
        "asit-edge devices": "input devices, the default one with a star",
        "asit-edge devices --json": "one a line, as JSON",
        "asit-edge devices --levels --seconds 10": "how loud each is, for ten seconds",
    },
    "doctor": {
        "asit-edge doctor": "what is wrong here, and what to type",
        "asit-edge doctor --config config.yaml --json": "with that configuration, for programs",
    },
    "set": {"asit-edge set threshold Dog 0.6": "from now on, over restarts, in a listener that runs too"},
    "set threshold": {
        "asit-edge set threshold Dog 0.6": "the score at which its events begin",
        "asit-edge set threshold Dog default --source yard": "as configured again, for one source",
    },
    "set report": {"asit-edge set report Dog off": "no events of it until it is on again"},
    "set snooze": {
        "asit-edge set snooze 30m --label Dog": "none for half an hour",
        "asit-edge set snooze 2h --source yard": "nothing is listened to there for two hours",
        "asit-edge set snooze off": "listens again at once",
    },
    "set listen": {"asit-edge set listen off --source yard": "until it is on again"},
    "set show": {"asit-edge set show": "what differs from the configuration"},
    "set reset": {
        "asit-edge set reset --label Dog": "as configured again",
        "asit-edge set reset": "everything",
    },
    "clips": {"asit-edge clips list": "the recordings of events, the newest first"},
    "clips list": {
        "asit-edge clips list --since 1d --label Dog": "barks of the last day",
        "asit-edge clips list --json": "one a line, as JSON",
    },
    "clips path": {"asit-edge clips path 6f1c2a9b": "the file of the event whose id begins so"},
    "clips remove": {
        "asit-edge clips remove 6f1c2a9b": "one recording; the event stays",
        "asit-edge clips remove --all": "every recording",
    },
    "clips prune": {"asit-edge clips prune": "removes now what is older or more than the configuration keeps"},
    "notify": {"asit-edge notify test": "an example to every sink that is configured"},
    "notify test": {
        "asit-edge notify test": "an example to every sink, and what came of it",
        "asit-edge notify test phone --label Dog": "to the sink of that name, as if a dog had barked",
    },
    "labels": {
        "asit-edge labels": "every label that is reported, with its threshold and where that comes from",
        "asit-edge labels baby": "those whose name has that in it",
        "asit-edge labels --all --json --model asit-stream-nano": "all of another bundle, as JSON",
    },
    "init": {
        "asit-edge init": "asks, tries what it is told, writes ~/.config/asit-edge/config.yaml",
        "asit-edge init --broker broker.local --label Dog --yes": "asks nothing",
        "asit-edge init --config /etc/asit-edge/config.yaml": "for the system's service",
    },
    "config": {"asit-edge config show --changed": "what is not the default, and where it comes from"},
    "config show": {
        "asit-edge config show --changed": "what is not the default, and where it comes from",
        "asit-edge config show --config config.yaml --json": "every key of that one, as JSON",
    },
    "config check": {"asit-edge config check --config config.yaml": "what a listener would stumble over"},
    "config example": {"asit-edge config example": "every key with its default and what it means"},
    "service": {"asit-edge service install --dry-run": "what it would write and run"},
    "service install": {
        "asit-edge service install --config ~/.config/asit-edge/config.yaml": "of your own, with your microphones",
        "asit-edge service install --system": "of the system, as root",
        "asit-edge service install --dry-run": "what it would write and run",
    },
    "service remove": {
        "asit-edge service remove": "stops it, deletes its unit; what was heard stays",
        "asit-edge service remove --purge": "store, taught sounds and caches too",
    },
    "service status": {"asit-edge service status": "is it running, and what do its sources do?"},
    "service logs": {"asit-edge service logs --follow": "what it has logged, and what comes"},
    "health": {
        "asit-edge health": "does the listener live?",
        "asit-edge health --heard 300": "and was anything heard in the last five minutes?",
    },
    "demo": {"asit-edge demo": "no microphone, no broker needed"},
    "model": {"asit-edge model info": "what is in the bundle that is used"},
    "model info": {
        "asit-edge model info": "of the bundle that is used",
        "asit-edge model info asit-stream-nano --json": "of another one of the package, as JSON",
    },
    "model verify": {"asit-edge model verify": "does it score here as where it was made?"},
    "model bench": {
        "asit-edge model bench": "how fast is it here?",
        "asit-edge model bench asit-stream-nano --batch 4 --seconds 1": "also four streams at once",
    },
}
"""By command, as it is typed after `asit-edge`."""


def examples(command: str) -> str | None:
    """The end of a command's help; None for one that has none, which the tests do not allow."""
    if command not in EXAMPLES:
        return None
    lines = [line for typed, does in EXAMPLES[command].items() for line in (f"  {typed}", f"      {does}")]
    return "\n".join(["\b", "Examples:", *lines])
