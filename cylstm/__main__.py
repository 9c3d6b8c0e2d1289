"""python -m cylstm [demo | info | predict | show | export]"""

import argparse
import os
import sys

PREDICT = """\
Predict from a CSV file, and write one: numbers read back as they are.

A forecaster continues the series in DATA, else those that it was fitted on. DATA has the same
columns as these; in place of an index of dates any column, in place of an array the columns of
numbers. Dates are as 2030-12-31, 2030-12 or 2030-12-31T23:00+01:00.

A regressor or classifier that was fitted on 2-D data reads a sequence from each row, any other
one a step from each row, of the sequence that --id says or of a single one. Features have the
names that the model was fitted with; if it has none they are all other columns in order.
"""


def percents(text):
    return tuple(float(level) for level in text.split(",") if level)


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m cylstm", description="LSTMs on the CPU with a scikit-learn face."
    )
    commands = parser.add_subparsers(dest="command", metavar="command")

    def add(name, text, has_model=True):
        command = commands.add_parser(
            name,
            help=text.partition("\n")[0],
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if has_model:
            command.add_argument("model", metavar="MODEL", help="file that save wrote")
        return command.add_argument

    add("demo", "Learn real data, compare with baselines (also without a command).", False)
    add("info", "Print versions, threads, BLAS and instruction sets.", False)
    add("show", "Print what is in the file of a model, or in a checkpoint.")
    option = add("predict", PREDICT)
    option("data", metavar="DATA", nargs="?", help="CSV file with a header")
    option("-o", "--output", metavar="OUT", help="file to write instead of standard output")
    option("--id", metavar="COLUMN", help="what tells sequences apart")
    option("--time", metavar="COLUMN", help="dates or integers to sort steps by")
    option("--proba", action="store_true", help="add the probability of each class")
    option("--horizon", type=int, metavar="N", help="number of steps to forecast")
    option("--level", type=percents, metavar="80,95", help="intervals of forecasts in percent")
    option("--future", help="CSV file with the columns that are known ahead")
    option = add("export", "Convert a model to ONNX.")
    option("output", metavar="OUT", help="file to write")
    option("--opset", type=int, metavar="N", help="version of the operators, 18 or higher")
    return parser


def _run(args):
    if args.command == "info":
        from ._info import describe

        print(describe())
    elif args.command == "show":
        from ._show import describe

        print(describe(args.model))
    elif args.command == "predict":
        from ._predict_csv import predict

        if args.output and os.path.realpath(args.output) == os.path.realpath(args.model):
            raise ValueError(f"{args.output} is the file of the model.")
        _write(predict(args).encode(), args.output)
    elif args.command == "export":
        from ._model_files import load
        from .onnx import to_onnx

        model = to_onnx(load(args.model), opset=args.opset)
        _write(model.SerializeToString(), args.output)
    else:
        from ._demo import run

        run()


def _write(data, path):
    from ._files import replacing

    if path is None:
        print(data.decode(), end="")
        return
    with replacing(path) as file:
        file.write(data)


def main(arguments=None):
    parser = _parser()
    args = parser.parse_args(arguments)
    try:
        _run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # of `predict ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ImportError, OSError, TypeError, ValueError) as error:
        if not hasattr(args, "model"):  # nothing that the user gave
            raise
        text = str(error)
        if isinstance(error, OSError) and error.filename is not None:
            text = f"{error.filename}: {error.strerror}"
        parser.exit(2, f"{parser.prog} {args.command}: {' '.join(text.split())}\n")


if __name__ == "__main__":
    main()
