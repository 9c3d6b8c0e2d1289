"""Binary text classification: embedding, bidirectional LSTM, logistic output.

    python benchmarks/sentiment.py --data PATH [--batch 32 128] [--epochs 5]

PATH is a directory with one file per class, one text per line (rt-polarity.pos and
rt-polarity.neg), or a file with lines `label<TAB>text`. A tenth of the texts is held out.
Prints loss, accuracy and time per epoch, and the accuracy of logistic regression on a bag of
words.
"""

import argparse
import re
import time
from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from cylstm import LSTMClassifier

UNKNOWN = 0


def read_lines(path):
    """Non-empty lines of a file in UTF-8 or, like older collections, Latin-1."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return [line for line in text.split("\n") if line.strip()]


def read_texts(path):
    """Texts and their labels."""
    path = Path(path)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix != ".md" and p.name[0] != ".")
        if len(files) != 2:
            raise SystemExit(f"{path} has {len(files)} files, expected one per class")
        lines = [read_lines(p) for p in files]
        return list(chain(*lines)), np.repeat([p.name for p in files], list(map(len, lines)))
    pairs = [line.split("\t", 1) for line in read_lines(path)]
    labels, texts = zip(*pairs, strict=True)
    return list(texts), np.array(labels)


def words_of(text):
    return re.findall(r"[a-z0-9']+|[.,!?;:]", text.lower()) or ["."]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    texts, labels = read_texts(arguments.data)
    train, test, y_train, y_test = train_test_split(
        texts, labels, test_size=0.1, stratify=labels, random_state=arguments.seed
    )
    counts = Counter(chain.from_iterable(map(words_of, train)))
    words = [word for word, count in counts.most_common() if count > 1]
    index = {word: k for k, word in enumerate(words, start=UNKNOWN + 1)}

    def tokens(texts):
        return [[index.get(word, UNKNOWN) for word in words_of(text)] for text in texts]

    X_train, X_test = tokens(train), tokens(test)
    print(
        f"{len(train)} training texts, {len(test)} held out (seed {arguments.seed}), "
        f"{len(words) + 1} different words"
    )
    start = time.perf_counter()
    bag = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10))
    score = bag.fit(train, y_train).score(test, y_test)
    print(
        f"bag of words and word pairs: {score:.4f} after {time.perf_counter() - start:.1f} s"
    )
    for batch_size in arguments.batch:
        model = LSTMClassifier(
            64,
            vocabulary_size=len(words) + 1,
            embedding_dim=64,
            bidirectional=True,
            dropout=0.5,
            learning_rate_init=1e-3 * np.sqrt(batch_size / 32),
            learning_rate="constant",
            batch_size=batch_size,
            max_iter=arguments.epochs,
            random_state=arguments.seed,
        )
        print(f"LSTM, batch {batch_size}\n| epoch | loss | accuracy | s |\n|---|---|---|---|")
        model.set_params(warm_start=True, max_iter=1)
        for epoch in range(1, arguments.epochs + 1):
            start = time.perf_counter()
            model.fit(X_train, y_train)
            seconds = time.perf_counter() - start
            print(
                f"| {epoch} | {model.loss_:.4f} | {model.score(X_test, y_test):.4f} "
                f"| {seconds:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
