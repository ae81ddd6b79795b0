"""Does the installed TensorRT have what we call? Our calls, read from our source, against its classes.

`tensorrt` and `weights` of `asit_edge.model.backends` annotate every variable that holds one of TensorRT's objects with
its class. From that follow all attributes, methods and numbers of arguments that we use; nothing has to be run, so no
GPU is needed.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asit_edge.model.backends.tensorrt as door
from asit_edge.model.backends import weights


@dataclass(frozen=True)
class Use:
    """`owner.name` of TensorRT's, with the arguments of the call (None: not called)."""

    owner: str
    """Class or enumeration, such as `IBuilderConfig`; empty: the module itself."""
    name: str
    arguments: int | None = None
    keywords: tuple[str, ...] = ()
    line: int = 0

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}" if self.owner else self.name


def uses() -> list[Use]:
    """Everything of TensorRT's that our code touches."""
    found: dict[Use, None] = {}
    for module in (door, weights):
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                found.update(dict.fromkeys(_in_function(function)))
    return list(found)


def missing(module: Any) -> list[str]:
    """What this TensorRT lacks of what we use, each with the line of our code; none if all is well."""
    return [f"{use} (line {use.line}): {problem}" for use in uses() if (problem := _problem(module, use))]


def _in_function(function: ast.FunctionDef) -> list[Use]:
    classes = {
        node.target.id: _dotted(node.annotation).removeprefix("trt.")
        for node in ast.walk(function)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and _dotted(node.annotation).startswith("trt.")
    }
    calls = {id(node.func): node for node in ast.walk(function) if isinstance(node, ast.Call)}
    inner = {id(node.value) for node in ast.walk(function) if isinstance(node, ast.Attribute)}
    found = []
    for node in ast.walk(function):
        if not isinstance(node, ast.Attribute) or (id(node) in inner and _dotted(node).startswith("api.")):
            continue
        parts = _dotted(node).split(".")
        if parts[0] == "api" and len(parts) > 1:
            owner, name = ".".join(parts[1:-1]), parts[-1]
        elif parts[0] in classes and len(parts) == 2:
            owner, name = classes[parts[0]], parts[1]
        else:
            continue
        call = calls.get(id(node))
        counted = len(call.args) if call and not any(isinstance(one, ast.Starred) for one in call.args) else None
        if counted is not None and name == "__init__":
            counted -= 1  # `self` is written out there
        keywords = tuple(one.arg for one in call.keywords if one.arg) if call else ()
        found.append(Use(owner, name, counted, keywords, node.lineno))
    return found


def _problem(module: Any, use: Use) -> str:
    owner = module
    for part in filter(None, use.owner.split(".")):
        owner = getattr(owner, part, None)
    if owner is None:
        return f"there is no {use.owner}"
    target = getattr(owner, use.name, None)
    if target is None:
        return "is not there"
    if use.arguments is None:
        return ""
    documented = vars(target).get("__init__", target).__doc__ if isinstance(target, type) else target.__doc__
    signatures = re.findall(r"\w+\((self[^)]*|[^)]*)\) ->", documented or "")
    if not signatures or any(_takes(signature, use) for signature in signatures):
        return ""
    return f"takes ({' or '.join(signatures)}), not {use.arguments} argument(s) {' '.join(use.keywords)}".rstrip()


def _takes(signature: str, use: Use) -> bool:
    parameters = [text for text in re.split(r",\s*(?![^\[]*\])", signature) if text and not text.startswith("self")]
    if any(text.startswith("*") for text in parameters):
        return True
    names = [text.partition(":")[0].strip() for text in parameters]
    required = sum("=" not in text for text in parameters)
    given = (use.arguments or 0) + len(use.keywords)
    return required <= given <= len(parameters) and all(keyword in names for keyword in use.keywords)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
