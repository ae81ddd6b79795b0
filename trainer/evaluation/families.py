"""Which labels say the same more or less exactly: children and parents among AudioSet's classes (its ontology's facts).

Only for judging: whoever answers "Bird" where a crow was named has not raised a false alarm.
"""

from collections.abc import Iterable
from functools import cache

CHILDREN = {
    "Speech": (
        "Male speech, man speaking",
        "Female speech, woman speaking",
        "Child speech, kid speaking",
        "Narration, monologue",
        "Conversation",
    ),
    "Laughter": ("Baby laughter", "Giggle", "Chuckle, chortle", "Snicker", "Belly laugh"),
    "Crying, sobbing": ("Baby cry, infant cry", "Whimper"),
    "Singing": ("Male singing", "Female singing", "Child singing", "Choir"),
    "Dog": ("Bark", "Bow-wow", "Growling", "Howl", "Yip", "Whimper (dog)"),
    "Cat": ("Meow", "Purr", "Caterwaul"),
    "Livestock, farm animals, working animals": ("Horse", "Cattle, bovinae", "Pig", "Goat", "Sheep", "Fowl"),
    "Horse": ("Clip-clop", "Neigh, whinny"),
    "Cattle, bovinae": ("Moo", "Cowbell"),
    "Pig": ("Oink",),
    "Goat": ("Bleat",),
    "Sheep": ("Bleat",),
    "Fowl": ("Chicken, rooster", "Turkey", "Duck", "Goose"),
    "Chicken, rooster": ("Cluck", "Crowing, cock-a-doodle-doo"),
    "Turkey": ("Gobble",),
    "Duck": ("Quack",),
    "Goose": ("Honk",),
    "Bird": (
        "Bird vocalization, bird call, bird song",
        "Pigeon, dove",
        "Crow",
        "Owl",
        "Bird flight, flapping wings",
    ),
    "Bird vocalization, bird call, bird song": ("Chirp, tweet", "Squawk"),
    "Pigeon, dove": ("Coo",),
    "Crow": ("Caw",),
    "Owl": ("Hoot",),
    "Insect": ("Cricket", "Mosquito", "Fly, housefly", "Bee, wasp, etc."),
    "Frog": ("Croak",),
    "Music": ("Musical instrument",),
    "Musical instrument": ("Guitar", "Piano", "Drum", "Bell", "Cymbal"),
    "Guitar": ("Acoustic guitar", "Electric guitar", "Strum"),
    "Drum": ("Snare drum", "Bass drum", "Timpani"),
    "Bell": ("Church bell", "Jingle bell", "Bicycle bell", "Cowbell", "Tubular bells", "Chime"),
    "Chime": ("Wind chime",),
    "Wind": ("Rustling leaves", "Wind noise (microphone)"),
    "Thunderstorm": ("Thunder",),
    "Water": ("Rain", "Stream", "Waterfall", "Ocean", "Gurgling"),
    "Rain": ("Raindrop", "Rain on surface"),
    "Ocean": ("Waves, surf",),
    "Fire": ("Crackle",),
    "Vehicle": (
        "Boat, Water vehicle",
        "Car",
        "Truck",
        "Bus",
        "Motorcycle",
        "Train",
        "Aircraft",
        "Vehicle horn, car horn, honking",
    ),
    "Vehicle horn, car horn, honking": ("Toot", "Air horn, truck horn"),
    "Siren": (
        "Police car (siren)",
        "Ambulance (siren)",
        "Fire engine, fire truck (siren)",
        "Civil defense siren",
    ),
    "Train": (
        "Train whistle",
        "Train horn",
        "Railroad car, train wagon",
        "Train wheels squealing",
        "Subway, metro, underground",
    ),
    "Aircraft": ("Jet engine", "Propeller, airscrew", "Helicopter", "Fixed-wing aircraft, airplane"),
    "Engine": ("Idling", "Engine starting", "Chainsaw", "Jet engine"),
    "Door": ("Doorbell", "Slam", "Knock"),
    "Doorbell": ("Ding-dong",),
    "Telephone": ("Telephone bell ringing", "Ringtone"),
    "Typing": ("Computer keyboard", "Typewriter"),
    "Clock": ("Tick", "Tick-tock", "Alarm clock"),
    "Tick": ("Tick-tock",),
    "Glass": ("Shatter", "Chink, clink", "Breaking"),
    "Explosion": ("Gunshot, gunfire", "Fireworks", "Boom", "Eruption"),
    "Gunshot, gunfire": ("Machine gun", "Fusillade", "Artillery fire", "Cap gun"),
    "Fireworks": ("Firecracker",),
}
"""Labels to those that are a kind of them."""


@cache
def parents(label: str) -> frozenset[str]:
    """All that a label says as well: its parents, theirs, and so on."""
    above = {name for name, children in CHILDREN.items() if label in children}
    return frozenset(above.union(*(parents(name) for name in above)))


def related(label: str, other: str) -> bool:
    """Whether they are the same, or one is a kind of the other."""
    return label == other or label in parents(other) or other in parents(label)


def covered(label: str, labels: Iterable[str]) -> bool:
    """Whether a list has the label, or something that it is a kind of."""
    return not ({label} | parents(label)).isdisjoint(labels)
