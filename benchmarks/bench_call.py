"""Time of one call with one short sequence: what a call costs in each form of X, against
PyTorch and onnxruntime.

    python benchmarks/bench_call.py [--units 32 64] [--threads 1 2] [--steps 20] [--inputs 8]

Median microseconds of predict, from an array of NumPy to another, and of partial_fit with
float32, which takes one step of Adam. PyTorch predicts under no_grad and under inference_mode;
its step includes loss and gradients, and its arrays are tensors already. A column named after
another program is its time divided by that of cylstm with float32. All have the same weights,
and the predictions are compared once. onnxruntime and onnx are optional.
"""

import argparse

import numpy as np
from bench_step import check_predictions
from measure import medians, table_head, table_row
from peers import is_installed, onnxruntime_inference, torch_modules, torch_steps
from problem import Problem

FORMS = ["float32", "float64", "list", "columns"]  # of X


def cylstm_calls(problem, n_threads):
    """Form of X -> a callable for one prediction."""
    X = problem.X
    columns = X.reshape(len(X), -1)
    of_steps = problem.model(n_threads)
    of_columns = problem.model(n_threads, columns, n_step_features=X.shape[2])
    X_double, X_list = X.astype(np.float64), list(X)
    return {
        "float32": lambda: of_steps.predict(X),
        "float64": lambda: of_steps.predict(X_double),
        "list": lambda: of_steps.predict(X_list),
        "columns": lambda: of_columns.predict(columns),
    }


def torch_calls(problem, n_threads):
    """Mode -> a callable for one prediction."""
    import torch

    torch.set_num_threads(n_threads)
    lstm, head = torch_modules(problem)

    def predict():
        return head(lstm(torch.from_numpy(problem.X))[1][0][-1]).numpy()

    return {
        f"torch {mode.__name__}": mode()(predict)
        for mode in (torch.no_grad, torch.inference_mode)
    }


def measure(problem, n_threads, repeats):
    """Median microseconds of each call, by its name."""
    predict = {**cylstm_calls(problem, n_threads), **torch_calls(problem, n_threads)}
    expected = predict["float32"]()
    for name, call in predict.items():
        check_predictions(name, call(), expected)
    learner = problem.model(n_threads)
    calls = {
        **predict,
        "partial_fit": lambda: learner.partial_fit(problem.X, problem.y),
        "torch": torch_steps(problem, n_threads)[0],
    }
    times = dict(zip(calls, medians(calls.values(), repeats), strict=True))
    if is_installed("onnx", "onnxruntime"):
        # Its idle threads spin for very long, so it is measured alone, after the others.
        infer = onnxruntime_inference(problem, n_threads)
        check_predictions("onnxruntime", infer(), expected)
        (times["onnxruntime"],) = medians([infer], repeats)
    return times


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--units", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--inputs", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=25)
    arguments = parser.parse_args()
    peers = ["torch no_grad", "torch inference_mode"]
    if is_installed("onnx", "onnxruntime"):
        peers.append("onnxruntime")
    head = [*(f"{form} us" for form in FORMS), *peers, "partial_fit us", "torch"]
    print(table_head(["threads", "T, I, H", *head]))
    for n_threads in arguments.threads:
        for n_units in arguments.units:
            shape = arguments.steps, arguments.inputs, n_units
            times = measure(Problem(1, *shape), n_threads, arguments.repeats)
            cells = [n_threads, ", ".join(map(str, shape))]
            cells += [f"{times[form]:.1f}" for form in FORMS]
            cells += [f"{times[peer] / times['float32']:.2f}" for peer in peers]
            cells += [f"{times['partial_fit']:.1f}"]
            cells += [f"{times['torch'] / times['partial_fit']:.2f}"]
            print(table_row(cells), flush=True)


if __name__ == "__main__":
    main()
