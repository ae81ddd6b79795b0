"""The model: undamaged, right on this device, fast enough; and the labels that the configuration names."""

from collections.abc import Iterator

from asit_edge.assembly import open_vocabulary
from asit_edge.detect.class_settings import class_parents, class_settings, label_index
from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.backends.choice import open_backend
from asit_edge.model.backends.inspection import allowed_error, tensorrt_here
from asit_edge.model.backends.serving import serving
from asit_edge.model.backends.shapes import as_classifier
from asit_edge.model.bundle import Bundle, Manifest, find_bundle, load_bundle
from asit_edge.model.classifier import Classifier
from asit_edge.model.golden import golden_error
from asit_edge.model.latency import measure
from asit_edge.model.variant import Precision

MEASURE_SECONDS = 1.0

MUCH, ALL = 0.5, 0.9
"""Shares of real time that the model may take before it is said, and before it is too slow."""


def look(patient: Patient) -> Iterator[Finding]:
    config = patient.config
    try:
        bundle = load_bundle(find_bundle(config.model))
    except AsitEdgeError as error:
        remedy = (
            "install asit-edge anew, or copy the bundle again" if config.model is None else "check model in config.yaml"
        )
        yield Finding("model", "wrong", str(error), "nothing can be listened to", remedy)
        return
    name = f"{bundle.manifest.name} {bundle.manifest.version}"
    yield Finding("model", "ok", f"{name}: its files are what bundle.yaml says, {len(bundle.manifest.labels)} labels")
    try:
        backend = open_backend(bundle, config)
        classifier = as_classifier(bundle, backend)
    except AsitEdgeError as error:
        remedy = patient.command("model info") + "    # what would run here"
        yield Finding("engine", "wrong", str(error), "nothing can be listened to", remedy)
        return
    runs = serving(backend, bundle, config)()
    ran = f"{name} on {runs.backend}, {runs.precision}, {runs.provider}"
    yield _right(bundle, classifier, ran, runs.precision, patient)
    yield _fast(bundle, classifier, ran, patient)
    if config.backend == "tensorrt" and runs.backend != "tensorrt":
        remedy = f"python -m export.trt {bundle.path}    # or leave it to a listener, which builds one by itself"
        yield Finding("engine", "warning", tensorrt_here(bundle, config), "ONNX Runtime serves meanwhile", remedy)
    vocabulary = open_vocabulary(bundle, classifier, lambda manifest: manifest)
    yield from _labels(patient, vocabulary.manifest if vocabulary else bundle.manifest)


def _right(bundle: Bundle, classifier: Classifier, ran: str, precision: Precision, patient: Patient) -> Finding:
    allowed = allowed_error(bundle, precision)
    verify = patient.command("model verify") + "    # every way of running it"
    try:
        error = golden_error(bundle, classifier)
    except AsitEdgeError as problem:
        return Finding("engine", "warning", str(problem), "whether it scores rightly here is not known", verify)
    if error > allowed:
        found = f"{ran}: its scores differ from the golden ones by {error:.2g}, allowed is {allowed:.2g}"
        return Finding("engine", "wrong", found, "sounds are missed, or taken for others", verify)
    return Finding("engine", "ok", f"{ran}: scores as it should (differs by {error:.1g})")


def _fast(bundle: Bundle, classifier: Classifier, ran: str, patient: Patient) -> Finding:
    sources = len(patient.config.sources)
    latency = measure(classifier, bundle.manifest.front_end, sources, MEASURE_SECONDS)
    share = sources / latency.realtime
    found = f"takes {share:.1%} of the time for {sources} source(s) ({latency.p50_ms:.2g} ms a step)"
    remedy = (
        patient.command("model bench") + "    # then: a smaller model, backend, precision or threads in config.yaml"
    )
    if share > ALL:
        return Finding("engine", "wrong", found, "audio is given up under overload", remedy)
    if share > MUCH:
        return Finding("engine", "warning", found, "little is left for anything else", remedy)
    return Finding("engine", "ok", found)


def _labels(patient: Patient, manifest: Manifest) -> Iterator[Finding]:
    events = patient.config.events
    try:
        class_parents(events, manifest)
        reported = class_settings(events, manifest)
        for index, source in enumerate(patient.config.sources):
            reported = class_settings(events, manifest, source.events, f"sources[{index}].events")
        for index, hours in enumerate(events.quiet_hours):
            for name in hours.labels or []:
                label_index(name, f"events.quiet_hours[{index}].labels", manifest)
    except WrongUse as error:
        remedy = patient.command("model info") + "    # has the labels"
        yield Finding("labels", "wrong", str(error), "asit-edge listen does not start", remedy)
        return
    count = sum(one is not None for one in reported)
    if not count:
        yield Finding(
            "labels", "warning", "no label is reported", "no event ever begins", "check events.only in config.yaml"
        )
    else:
        yield Finding("labels", "ok", f"{count} label(s) are reported")
