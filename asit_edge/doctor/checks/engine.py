"""The model: undamaged, right on this device, fast enough; and the labels that the configuration names."""

from collections.abc import Iterator
from typing import cast

from asit_edge.assembly import fits, open_vocabulary
from asit_edge.detect.class_settings import class_settings
from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.backends.choice import open_backend
from asit_edge.model.backends.inspection import tensorrt_here
from asit_edge.model.backends.serving import Serving
from asit_edge.model.backends.shapes import as_classifier
from asit_edge.model.bundle import Bundle, Manifest, find_bundle, load_bundle
from asit_edge.model.classifier import Classifier
from asit_edge.model.golden import allowed_for, golden_deviation
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
        serving = Serving()
        classifier = as_classifier(bundle, open_backend(bundle, config, serving=serving))
    except AsitEdgeError as error:
        remedy = patient.command("model info") + "    # what would run here"
        yield Finding("engine", "wrong", str(error), "nothing can be listened to", remedy)
        return
    runs = serving.now
    assert runs is not None
    ran = f"{name} on {runs.backend}, {runs.precision}"
    yield _right(bundle, classifier, ran, runs.precision, patient)
    yield _fast(bundle, classifier, ran, patient)
    if config.backend == "tensorrt" and runs.backend != "tensorrt":
        remedy = f"python -m export.trt {bundle.path}    # or leave it to a listener, which builds one by itself"
        yield Finding("engine", "warning", tensorrt_here(bundle, config), "ONNX Runtime serves meanwhile", remedy)
    vocabulary = open_vocabulary(bundle, classifier, lambda manifest: manifest)
    yield from _labels(patient, vocabulary.manifest if vocabulary else bundle.manifest)


def _right(bundle: Bundle, classifier: Classifier, ran: str, precision: str, patient: Patient) -> Finding:
    allowed = allowed_for(bundle, cast(Precision, precision))
    verify = patient.command("model verify") + "    # every way of running it"
    try:
        found = golden_deviation(bundle, classifier)
    except AsitEdgeError as problem:
        return Finding("engine", "warning", str(problem), "whether it scores rightly here is not known", verify)
    if not found.within(allowed):
        told = f"{ran}: {found.told(bundle, allowed)}"
        return Finding("engine", "wrong", told, "sounds are missed, or taken for others", verify)
    return Finding("engine", "ok", f"{ran}: scores as it should (differs by {found.error:.1g})")


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
    config = patient.config
    try:
        fits(config, manifest)
    except WrongUse as error:
        remedy = patient.command("model info") + "    # has the labels"
        yield Finding("labels", "wrong", str(error), "asit-edge listen does not start", remedy)
        return
    by_source = [class_settings(config.events, manifest, source.events) for source in config.sources]
    count = sum(any(of_label) for of_label in zip(*by_source, strict=True))
    if not count:
        yield Finding(
            "labels", "warning", "no label is reported", "no event ever begins", "check events.only in config.yaml"
        )
    else:
        yield Finding("labels", "ok", f"{count} label(s) are reported")
