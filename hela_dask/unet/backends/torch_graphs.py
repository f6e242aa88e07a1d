"""A training step on PyTorch as one CUDA graph.

Layers and optimisers of Keras run some thousand small operations a step on PyTorch, and read
numbers from the host in between: the GPU waits for Python. So one step is recorded, with its
backward pass and the update of the weights, and replayed with one call.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["record", "trace"]

_WARM = 3  # runs before a graph is captured, as PyTorch asks for: libraries choose algorithms

Step = Callable[..., Any]


def trace(step: Step, given: Sequence[Any]) -> Any:
    """The operations of a step as a module of PyTorch, with the same results to the bit.

    `step` changes variables in place; it is run once to be traced. Numbers from the host become
    tensors of the module, on the device.
    """
    proxies: Any = importlib.import_module("torch.fx.experimental.proxy_tensor")

    def run(*inputs: Any) -> Any:  # the tracer takes no method
        return step(*inputs)

    module = proxies.make_fx(run)(*given)
    _fold_constants(module)
    return module


def record(step: Step, given: Sequence[Any], variables: Sequence[Any]) -> Step:
    """The step as a CUDA graph, for inputs of the shapes of `given`.

    `variables` are all tensors that the step changes: they keep their values. A result is valid
    until the next call.
    """
    torch: Any = importlib.import_module("torch")
    inputs = [tensor.clone() for tensor in given]
    with torch.no_grad():
        kept = [variable.clone() for variable in variables]
    try:
        module = trace(step, inputs)
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
        with torch.no_grad():
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(_WARM):
                    module(*inputs)
            torch.cuda.current_stream().wait_stream(stream)
            with torch.cuda.graph(graph):
                result = module(*inputs)
    finally:
        with torch.no_grad():
            for variable, value in zip(variables, kept, strict=True):
                variable.copy_(value)

    def replay(*values: Any, constants: Any = module) -> Any:  # the graph reads the module's
        for tensor, value in zip(inputs, values, strict=True):
            tensor.copy_(value)
        graph.replay()
        return result

    return replay


def _fold_constants(module: Any) -> None:
    """Compute once what follows from numbers of the host alone.

    A graph cannot be captured while it copies from the host.
    """
    changed = _changed(module)
    variable = {node.target for node in changed if node.op == "get_attr"}
    values: dict[Any, Any] = {}
    for node in module.graph.nodes:
        # Parameters of the network and the optimiser have other names.
        if node.op == "get_attr" and node.target.startswith("_tensor_constant"):
            if node.target not in variable:
                values[node] = getattr(module, node.target)
            continue
        sources = node.all_input_nodes
        if node.op != "call_function" or node in changed or not sources:
            continue
        if not hasattr(node.target, "_schema") or not all(one in values for one in sources):
            continue
        args, named = (_filled(part, values) for part in (node.args, node.kwargs))
        values[node] = node.target(*args, **named)
    for number, (node, value) in enumerate(values.items()):
        if node.op == "get_attr" or not any(user not in values for user in node.users):
            continue
        name = f"folded{number}"
        module.register_buffer(name, value)
        with module.graph.inserting_before(node):
            node.replace_all_uses_with(module.graph.get_attr(name))
    module.graph.eliminate_dead_code()
    module.recompile()


def _filled(part: Any, values: dict[Any, Any]) -> Any:
    """Arguments with the values of nodes."""
    nodes: Any = importlib.import_module("torch.fx").node
    return nodes.map_arg(part, lambda node: values[node])


def _changed(module: Any) -> set[Any]:
    """Nodes with values that an operation changes in place, also through a view."""
    found: set[Any] = set()
    for node in reversed(list(module.graph.nodes)):
        schema = getattr(node.target, "_schema", None)
        if schema is None:
            continue
        views = any(result.alias_info is not None for result in schema.returns)
        if schema.is_mutable or (node in found and views):
            found.update(node.all_input_nodes)
    return found
