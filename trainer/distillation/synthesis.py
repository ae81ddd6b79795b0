"""Sounds that standards describe, made from their description: alarms, sirens, bells and beepers for which few open
recordings exist; with those of `trainer.distillation.impacts` all that can be made.

Each is drawn at random within what its standard or its kind allows (pitch, pace, timbre), so that no two are the same.
They are no recordings, and whoever learns from them says so.
"""

from collections.abc import Callable

import numpy as np

from asit_edge.audio.samples import Samples
from trainer.data.mixing import coloured_noise
from trainer.distillation import impacts

Rng = np.random.Generator

RAMP = 0.004
"""Seconds in which a beep rises and falls."""


def tone(hz: Samples | float, seconds: float, rate: int, overtones: Samples) -> Samples:
    """A tone with overtones of these amplitudes (the first is the fundamental); `hz` may change with every sample."""
    count = round(seconds * rate)
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(np.asarray(hz, np.float64), (count,))) / rate
    highest = float(np.max(hz))
    made = np.zeros(count)
    for number, amplitude in enumerate(overtones, start=1):
        if highest * number < 0.48 * rate:
            made += amplitude * np.sin(number * phase)
    return made.astype(np.float32)


def shaped(samples: Samples, rate: int) -> Samples:
    """With soft beginning and end."""
    ramp = min(round(RAMP * rate), len(samples) // 2)
    made = samples.copy()
    if ramp:
        made[:ramp] *= np.linspace(0, 1, ramp, dtype=np.float32)
        made[-ramp:] *= np.linspace(1, 0, ramp, dtype=np.float32)
    return made


def timbre(rng: Rng, bright: float) -> Samples:
    """Amplitudes of eight overtones: a sine where `bright` is 0, nearly a square wave where it is 1."""
    numbers = np.arange(1, 9)
    odd = np.where(numbers % 2 == 1, 1.0, rng.uniform(0, 0.6))
    made = odd * bright ** (numbers - 1.0) * rng.uniform(0.5, 1.5, 8) / numbers**0.5
    made[0] = 1.0
    return made.astype(np.float32)


def beeps(rng: Rng, rate: int, hz: float, pattern: list[tuple[float, float]], repeats: int, bright: float) -> Samples:
    """A pattern of (seconds on, seconds off), repeated."""
    overtones, parts = timbre(rng, bright), []
    for _ in range(repeats):
        for on, off in pattern:
            parts += [shaped(tone(hz, on, rate, overtones), rate), np.zeros(round(off * rate), np.float32)]
    return np.concatenate(parts)


def smoke_alarm(rng: Rng, rate: int) -> Samples:
    """ISO 8201 / NFPA 72, three beeps and a pause: piezo sounders at about 3.1 kHz, newer ones at 520 Hz."""
    low = rng.random() < 0.15
    hz, bright = (rng.uniform(490, 560), 0.7) if low else (rng.uniform(2700, 3500), rng.uniform(0.05, 0.4))
    on = rng.uniform(0.4, 0.6)
    if rng.random() < 0.2:  # European single-station alarms beep on without a pause
        return beeps(rng, rate, hz, [(rng.uniform(0.15, 0.5), rng.uniform(0.1, 0.5))], int(rng.integers(6, 14)), bright)
    return beeps(rng, rate, hz, [(on, on), (on, on), (on, rng.uniform(1.3, 1.7))], int(rng.integers(1, 4)), bright)


def carbon_monoxide_alarm(rng: Rng, rate: int) -> Samples:
    """UL 2034: four short beeps and a pause of five seconds."""
    on, off = rng.uniform(0.08, 0.12), rng.uniform(0.08, 0.12)
    pattern = [(on, off)] * 3 + [(on, rng.uniform(2.0, 5.0))]
    return beeps(rng, rate, rng.uniform(2900, 3500), pattern, int(rng.integers(1, 4)), rng.uniform(0.05, 0.4))


def fire_alarm(rng: Rng, rate: int) -> Samples:
    """Sounders of EN 54-3: sweeps, two alternating tones, a slow whoop, or a continuous tone."""
    seconds = rng.uniform(3, 8)
    time = np.arange(round(seconds * rate)) / rate
    kind = rng.integers(4)
    if kind == 0:  # sweeping, 800 to 970 Hz several times a second
        turn = (time * rng.uniform(1, 7)) % 1
        hz = rng.uniform(750, 850) + rng.uniform(150, 250) * turn
    elif kind == 1:  # alternating
        low = rng.uniform(500, 850)
        hz = np.where((time * rng.uniform(1, 3)) % 1 < 0.5, low, low * rng.uniform(1.15, 1.3))
    elif kind == 2:  # slow whoop: up for 3.5 s, half a second of silence
        turn = (time % 4.0) / 3.5
        hz = np.where(turn < 1, 500 + 700 * turn, 0.0)
    else:
        hz = np.full(len(time), rng.uniform(800, 1000))
    made = tone(hz.astype(np.float32), seconds, rate, timbre(rng, rng.uniform(0.5, 0.95)))
    return shaped(made * (hz > 0), rate)


def siren(rng: Rng, rate: int) -> Samples:
    """Wail (slow), yelp (fast), or two tones, as vehicles of emergency services have; with a Doppler shift."""
    seconds = rng.uniform(4, 10)
    time = np.arange(round(seconds * rate)) / rate
    kind = rng.integers(3)
    low = rng.uniform(450, 700)
    if kind == 0:
        hz = low + rng.uniform(500, 900) * (0.5 - 0.5 * np.cos(2 * np.pi * time / rng.uniform(2.5, 6)))
    elif kind == 1:
        hz = low + rng.uniform(600, 900) * (1 - np.abs(2 * ((time * rng.uniform(2.5, 4.5)) % 1) - 1))
    else:
        low = rng.uniform(360, 600)
        hz = np.where((time * rng.uniform(0.6, 1.2)) % 1 < 0.5, low, low * rng.uniform(1.25, 1.4))
    passing = 1 - rng.uniform(0, 0.06) * np.tanh((time - rng.uniform(0.2, 0.8) * seconds) * rng.uniform(0.5, 2))
    made = tone((hz * passing).astype(np.float32), seconds, rate, timbre(rng, rng.uniform(0.5, 0.9)))
    near = np.exp(-(((time - rng.uniform(0.2, 0.8) * seconds) / (seconds * rng.uniform(0.3, 1.5))) ** 2))
    return shaped(made * near.astype(np.float32), rate)


def doorbell(rng: Rng, rate: int) -> Samples:
    """Ding-dong of struck bars, a third or so apart; now and then three of them."""
    high = rng.uniform(500, 1100)
    notes = [high, high / rng.choice([1.19, 1.26, 1.335, 1.5])]
    if rng.random() < 0.25:
        notes.append(high * rng.choice([0.67, 0.75, 1.12]))
    apart = rng.uniform(0.35, 0.9)
    made = np.zeros(round((apart * len(notes) + 2.5) * rate), np.float32)
    partials = [(1.0, 1.0), (rng.uniform(2.7, 2.8), 0.35), (rng.uniform(3.9, 5.5), 0.2)]
    decay = rng.uniform(1.5, 5)
    for number, note in enumerate(notes):
        time = np.arange(len(made) - round(number * apart * rate)) / rate
        for ratio, amplitude in partials:
            if note * ratio < 0.48 * rate:
                ring = amplitude * np.exp(-decay * ratio**0.5 * time) * np.sin(2 * np.pi * note * ratio * time)
                made[-len(time) :] += ring.astype(np.float32)
    return shaped(made, rate)


def alarm_clock(rng: Rng, rate: int) -> Samples:
    """Four quick beeps a second, of a piezo clock or a telephone's alarm."""
    on = rng.uniform(0.05, 0.1)
    pattern = [(on, on)] * 3 + [(on, rng.uniform(0.3, 0.6))]
    return beeps(rng, rate, rng.uniform(1800, 4200), pattern, int(rng.integers(3, 9)), rng.uniform(0.05, 0.6))


def appliance_beep(rng: Rng, rate: int) -> Samples:
    """One to five beeps of a microwave oven, a till or a scanner."""
    pattern = [(rng.uniform(0.06, 0.7), rng.uniform(0.15, 0.9))]
    return beeps(rng, rate, rng.uniform(900, 4200), pattern, int(rng.integers(1, 6)), rng.uniform(0.02, 0.7))


def reversing_beep(rng: Rng, rate: int) -> Samples:
    """A lorry that backs up: about one beep a second, of 1 to 1.5 kHz or, newer, of noise."""
    on, off, repeats = rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.6), int(rng.integers(4, 10))
    if rng.random() < 0.2:
        burst = shaped(coloured_noise(round(on * rate), 0.5, rng), rate)
        return np.tile(np.concatenate((burst, np.zeros(round(off * rate), np.float32))), repeats)
    return beeps(rng, rate, rng.uniform(1000, 1500), [(on, off)], repeats, rng.uniform(0.3, 0.8))


MAKERS: dict[str, tuple[str, Callable[[Rng, int], Samples]]] = {
    "smoke_alarm": ("Smoke detector, smoke alarm", smoke_alarm),
    "carbon_monoxide_alarm": ("Smoke detector, smoke alarm", carbon_monoxide_alarm),
    "fire_alarm": ("Fire alarm", fire_alarm),
    "siren": ("Siren", siren),
    "doorbell": ("Doorbell", doorbell),
    "alarm_clock": ("Alarm clock", alarm_clock),
    "appliance_beep": ("Beep, bleep", appliance_beep),
    "reversing_beep": ("Reversing beeps", reversing_beep),
    "knock": ("Knock", impacts.knock),
    "slam": ("Slam", impacts.slam),
    "shatter": ("Shatter", impacts.shatter),
    "gunshot": ("Gunshot, gunfire", impacts.gunshot),
    "machine_gun": ("Machine gun", impacts.machine_gun),
    "explosion": ("Explosion", impacts.explosion),
}
"""Name to AudioSet label and maker."""


def synthesised(name: str, number: int, rate: int) -> Samples:
    """The sound of that kind and number, always the same: (samples,), its highest peak 0.7."""
    rng = np.random.default_rng((list(MAKERS).index(name), number))
    made = MAKERS[name][1](rng, rate)
    return np.float32(0.7) * made / max(float(np.abs(made).max()), 1e-9)
