"""Universal part-of-speech tagging with a bidirectional LSTM.

    python benchmarks/labelling.py --data DIRECTORY [--epochs 6]

DIRECTORY holds en_ewt-ud-train.conllu, -dev and -test (Universal Dependencies, English
Web Treebank). The inputs are lower-cased words. Prints the accuracy over all words of the
test set, and that of giving each word its most frequent tag.
"""

import argparse
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from cylstm import LSTMClassifier

UNKNOWN = 0


def read_sentences(path):
    """Words and tags of each sentence, without multiword token ranges and empty nodes."""
    sentences = []
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        rows = [line.split("\t") for line in block.splitlines() if line[0] != "#"]
        rows = [row for row in rows if row[0].isdigit()]
        sentences.append(([row[1].lower() for row in rows], [row[3] for row in rows]))
    return sentences


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    train, dev, test = (
        read_sentences(Path(arguments.data) / f"en_ewt-ud-{part}.conllu")
        for part in ("train", "dev", "test")
    )
    tags_of = defaultdict(Counter)
    for words, tags in train:
        for word, tag in zip(words, tags, strict=True):
            tags_of[word][tag] += 1
    overall = Counter(tag for _, tags in train for tag in tags).most_common(1)[0][0]
    most_frequent = {word: counts.most_common(1)[0][0] for word, counts in tags_of.items()}
    correct = [
        most_frequent.get(word, overall) == tag
        for words, tags in test
        for word, tag in zip(words, tags, strict=True)
    ]
    baseline = np.mean(correct)

    # Words seen only once train the embedding of unknown words.
    known = [word for word, counts in tags_of.items() if counts.total() > 1]
    index = {word: k for k, word in enumerate(known, start=UNKNOWN + 1)}

    def tokens(sentences):
        return [[index.get(word, UNKNOWN) for word in words] for words, _ in sentences]

    model = LSTMClassifier(
        100,
        vocabulary_size=len(known) + 1,
        embedding_dim=100,
        bidirectional=True,
        return_sequences=True,
        dropout=0.4,
        learning_rate_init=3e-3,
        early_stopping=True,
        max_iter=arguments.epochs,
        random_state=arguments.seed,
        verbose=1,
    )
    start = time.perf_counter()
    model.fit(
        tokens(train),
        [tags for _, tags in train],
        X_val=tokens(dev),
        y_val=[tags for _, tags in dev],
    )
    seconds = time.perf_counter() - start
    score = model.score(tokens(test), [tags for _, tags in test])
    print(
        f"trained on {len(train)} sentences in {seconds:.1f} s (seed {arguments.seed}); "
        f"accuracy on the {len(correct)} words of the test set:\n"
        f"  most frequent tag  {baseline:.4f}\n  LSTMClassifier     {score:.4f}"
    )


if __name__ == "__main__":
    main()
