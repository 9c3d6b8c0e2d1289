"""Learn to write like Shakespeare, character by character, in ten minutes.

    python examples/shakespeare.py [--units 256] [--minutes 10] [--prompt "ROMEO:"]

The text beside this script is Karpathy's tinyshakespeare: 1.1 million characters of the
plays, in the public domain. --data takes any other text in UTF-8. The last tenth is held
out: bits per character on it say how well the model does on what it has never read. A model
that knew nothing would need log2(65) = 6.0 bits for each of the 65 characters.

Ctrl-C ends learning, and the model writes what it can. What --save keeps is read again with
pickle.load.
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


def learn(model, text, held_out, epochs, minutes):
    """One epoch after the other, at most so many and for no longer than so many minutes."""
    begin = time.perf_counter()
    model.set_params(max_iter=epochs)
    done = 0
    while done < model.max_iter:
        epoch_begin = time.perf_counter()
        model.partial_fit(text)
        if model.n_iter_ == done:  # Ctrl-C ended the epoch; the weights reached are kept
            break
        speed = len(text) / (time.perf_counter() - epoch_begin)
        done = model.n_iter_
        print(
            f"Epoch {done}: {model.loss_ / math.log(2):.3f} bits per "
            f"character, {model.bits_per_token(held_out):.3f} held out, "
            f"{speed:,.0f} characters/s",
            flush=True,
        )
        if done < model.max_iter:
            # The learning rate falls to 0 within max_iter epochs, and that should be when the
            # time is over: as many epochs as there is time for at the speed so far.
            seconds = (time.perf_counter() - begin) / done
            model.set_params(max_iter=max(1, min(epochs, int(60 * minutes / seconds))))


def write(model, n_characters, prompt, temperature, seed):
    """Show each character as soon as it is drawn."""
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
    parser.add_argument("--data", type=Path, default=PLAYS, help="a text file in UTF-8")
    parser.add_argument("--units", type=int, nargs="+", default=[256], help="of each layer")
    parser.add_argument("--epochs", type=int, default=40, help="at most")
    parser.add_argument("--minutes", type=float, default=10, help="at most")
    parser.add_argument("--dropout", type=float, default=0.25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=int, default=600, help="characters to write")
    parser.add_argument(
        "--temperature", type=float, default=0.8, help="low: careful, high: daring"
    )
    parser.add_argument("--prompt", default="", help="begin of what it writes")
    parser.add_argument("--save", type=Path, help="keep the model in this file")
    arguments = parser.parse_args()
    if arguments.save:  # rather now than in ten minutes
        arguments.save.touch()

    text = read(arguments.data)
    n_learnt = len(text) * 9 // 10
    text, held_out = text[:n_learnt], text[n_learnt:]
    model = LSTMLanguageModel(
        arguments.units,
        # What is held out, or the prompt, may have a character that the rest lacks.
        vocabulary=sorted({*text, *held_out, *arguments.prompt}),
        dropout=arguments.dropout,
        learning_rate="cosine",
        random_state=arguments.seed,
    )
    learn(model, text, held_out, arguments.epochs, arguments.minutes)
    print(f"{model.bits_per_token(held_out):.3f} bits per character on held-out text")
    if arguments.save:
        with arguments.save.open("wb") as file:
            pickle.dump(model, file)
    if arguments.write:
        write(model, arguments.write, arguments.prompt, arguments.temperature, arguments.seed)


if __name__ == "__main__":
    main()
