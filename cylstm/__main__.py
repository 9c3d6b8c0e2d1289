"""python -m cylstm [demo | info]"""

import argparse


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m cylstm", description="LSTMs on the CPU with a scikit-learn face."
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=["demo", "info"],
        default="demo",
        help="demo (default): learn real data and compare with baselines; "
        "info: versions, threads, BLAS and instruction sets in use",
    )
    if parser.parse_args(arguments).command == "info":
        from ._info import describe

        print(describe())
    else:
        from ._demo import run

        run()


if __name__ == "__main__":
    main()
