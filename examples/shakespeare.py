"""Train a model that writes like Shakespeare, character by character, in ten minutes.

    python examples/shakespeare.py [--units 256] [--minutes 10] [--prompt "ROMEO:"]

The text next to this script is Karpathy's tinyshakespeare: 1.1 million characters of the
plays, in the public domain. --data takes any other UTF-8 text. The last tenth of the text is
held out, and the bits per character on it show how well the model predicts text that it has
not seen. Guessing uniformly among the 65 different characters takes log2(65) = 6.0 bits.

Ctrl-C ends training early; the model then writes with the weights reached. Use pickle.load to
read the model that --save writes.
"""

import argparse
import lzma
import math
import pickle
import time
from pathlib import Path

from cylstm import LSTMLanguageModel

PLAYS = Path(__file__).with_name("tinyshakespeare.txt.xz")


def read(path):
    opened = lzma.open if path.suffix == ".xz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        return file.read()


def train(model, text, held_out, epochs, minutes):
    """Train for at most `epochs` epochs and about `minutes` minutes."""
    start = time.perf_counter()
    model.set_params(cosine_epochs=epochs)
    done = 0
    while done < model.cosine_epochs:
        epoch_start = time.perf_counter()
        model.partial_fit(text)
        if model.n_iter_ == done:  # Ctrl-C ended the epoch, keeping the weights reached
            break
        speed = len(text) / (time.perf_counter() - epoch_start)
        done = model.n_iter_
        print(
            f"Epoch {done}: {model.loss_ / math.log(2):.3f} bits per "
            f"character, {model.bits_per_token(held_out):.3f} held out, "
            f"{speed:,.0f} characters/s",
            flush=True,
        )
        if done < model.cosine_epochs:
            # The learning rate should reach 0 when the time is up, so plan as many epochs as
            # fit at the speed so far.
            seconds = (time.perf_counter() - start) / done
            model.set_params(cosine_epochs=max(1, min(epochs, int(60 * minutes / seconds))))


def write(model, n_characters, prompt, temperature, seed):
    """Generate text and print each character as soon as it is drawn."""
    print(f"\n{prompt}", end="", flush=True)
    for character in model.iter_sample(
        n_characters, prompt=prompt, temperature=temperature, random_state=seed
    ):
        print(character, end="", flush=True)
    print()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=PLAYS, help="a UTF-8 text file")
    parser.add_argument(
        "--units", type=int, nargs="+", default=[256], help="units of each layer"
    )
    parser.add_argument("--epochs", type=int, default=40, help="maximum number of epochs")
    parser.add_argument("--minutes", type=float, default=10, help="maximum training time")
    parser.add_argument("--dropout", type=float, default=0.25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=int, default=600, help="characters to write")
    parser.add_argument(
        "--temperature", type=float, default=0.8, help="low: cautious text, high: varied text"
    )
    parser.add_argument("--prompt", default="", help="start of the text to write")
    parser.add_argument("--save", type=Path, help="pickle the model to this file")
    arguments = parser.parse_args()
    if arguments.save:  # fail now rather than after training
        arguments.save.touch()

    text = read(arguments.data)
    n_train = len(text) * 9 // 10
    text, held_out = text[:n_train], text[n_train:]
    model = LSTMLanguageModel(
        arguments.units,
        # The held-out text or the prompt may contain characters that the rest lacks.
        vocabulary=sorted({*text, *held_out, *arguments.prompt}),
        dropout=arguments.dropout,
        learning_rate_init=3e-3,
        random_state=arguments.seed,
    )
    train(model, text, held_out, arguments.epochs, arguments.minutes)
    print(f"{model.bits_per_token(held_out):.3f} bits per character on held-out text")
    if arguments.save:
        with arguments.save.open("wb") as file:
            pickle.dump(model, file)
    if arguments.write:
        write(model, arguments.write, arguments.prompt, arguments.temperature, arguments.seed)


if __name__ == "__main__":
    main()
