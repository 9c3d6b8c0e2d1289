"""Labelling words with a bidirectional LSTM, with and without a CRF.

    python benchmarks/labelling.py --data DIRECTORY [--task phrases] [--epochs 6] [--seeds 3]

DIRECTORY holds en_ewt-ud-train.conllu, -dev and -test (Universal Dependencies, English
Web Treebank). The inputs are lower-cased words. The labels are universal part-of-speech tags,
or with --task phrases whether a word begins a noun phrase (B), is inside one (I) or outside
(O): a phrase is a run of determiners, adjectives, numerals, nouns and proper nouns with at
least one noun, and a determiner begins a new one.

Prints for each loss and seed the accuracy over all words of the test set, the F1 score of
whole phrases, and how many pairs of successive labels (and first labels) it predicts that the
training set does not have, such as an I after an O. The first row gives each word its most
frequent label.
"""

import argparse
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from measure import table_head, table_row

from cylstm import LSTMClassifier

UNKNOWN = 0
NOUNS = {"NOUN", "PROPN"}
OF_PHRASES = {"DET", "ADJ", "NUM", *NOUNS}


def read_sentences(path):
    """Words and tags of each sentence, without multiword token ranges and empty nodes."""
    sentences = []
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        rows = [line.split("\t") for line in block.splitlines() if line[0] != "#"]
        rows = [row for row in rows if row[0].isdigit()]
        sentences.append(([row[1].lower() for row in rows], [row[3] for row in rows]))
    return sentences


def mark_phrases(tags):
    """B, I or O for each word."""
    runs = [[]]
    for k, tag in enumerate(tags):
        if tag not in OF_PHRASES or tag == "DET":
            runs.append([])
        if tag in OF_PHRASES:
            runs[-1].append(k)
    labels = ["O"] * len(tags)
    for run in runs:
        if NOUNS & {tags[k] for k in run}:
            labels[run[0] : run[-1] + 1] = ["B"] + ["I"] * (len(run) - 1)
    return labels


def spans(labels):
    """(start, end) of each phrase; an I that follows no phrase begins one."""
    found, start = set(), None
    for k, label in enumerate([*labels, "O"]):
        if start is not None and label != "I":
            found.add((start, k))
            start = None
        if label == "B" or (label == "I" and start is None):
            start = k
    return found


def f1_of_phrases(truth, predicted):
    n_right = n_true = n_predicted = 0
    for of_truth, of_predicted in zip(map(spans, truth), map(spans, predicted), strict=True):
        n_right += len(of_truth & of_predicted)
        n_true += len(of_truth)
        n_predicted += len(of_predicted)
    return 2 * n_right / (n_true + n_predicted)


def pairs(labels):
    return zip([None, *labels[:-1]], labels, strict=True)


def describe(train, truth, predicted, task):
    """Cells of the table."""
    seen = {pair for labels in train for pair in pairs(labels)}
    unseen = sum(pair not in seen for labels in predicted for pair in pairs(labels))
    right = np.concatenate(predicted) == np.concatenate(truth)
    cells = [f"{right.mean():.4f}"]
    if task == "phrases":
        cells.append(f"{f1_of_phrases(truth, predicted):.4f}")
    return [*cells, unseen]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--task", choices=["tags", "phrases"], default="tags")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    train, dev, test = (
        read_sentences(Path(arguments.data) / f"en_ewt-ud-{part}.conllu")
        for part in ("train", "dev", "test")
    )

    def labels_of(sentences):
        labels = [tags for _, tags in sentences]
        return list(map(mark_phrases, labels)) if arguments.task == "phrases" else labels

    y_train, y_dev, y_test = map(labels_of, (train, dev, test))
    counts_of = defaultdict(Counter)
    for (words, _), labels in zip(train, y_train, strict=True):
        for word, label in zip(words, labels, strict=True):
            counts_of[word][label] += 1
    overall = Counter(label for labels in y_train for label in labels).most_common(1)[0][0]
    most_frequent = {word: counts.most_common(1)[0][0] for word, counts in counts_of.items()}

    # Words seen only once train the embedding of unknown words.
    known = [word for word, counts in counts_of.items() if counts.total() > 1]
    index = {word: k for k, word in enumerate(known, start=UNKNOWN + 1)}

    def tokens(sentences):
        return [[index.get(word, UNKNOWN) for word in words] for words, _ in sentences]

    print(f"{len(train)} sentences to train on, {sum(map(len, y_test))} words to test on")
    phrases = ["F1 of phrases"] if arguments.task == "phrases" else []
    print(table_head(["loss", "seed", "accuracy", *phrases, "unseen pairs", "s of fit"]))
    guesses = [[most_frequent.get(word, overall) for word in words] for words, _ in test]
    cells = describe(y_train, y_test, guesses, arguments.task)
    print(table_row(["most frequent label", "", *cells, ""]))
    for seed in range(arguments.seeds):
        for loss in ("log_loss", "crf"):
            model = LSTMClassifier(
                100,
                vocabulary_size=len(known) + 1,
                embedding_dim=100,
                bidirectional=True,
                return_sequences=True,
                loss=loss,
                dropout=0.4,
                learning_rate_init=3e-3,
                learning_rate="constant",
                early_stopping=True,
                max_iter=arguments.epochs,
                random_state=seed,
            )
            start = time.perf_counter()
            model.fit(tokens(train), y_train, X_val=tokens(dev), y_val=y_dev)
            seconds = time.perf_counter() - start
            cells = describe(y_train, y_test, model.predict(tokens(test)), arguments.task)
            print(table_row([loss, seed, *cells, f"{seconds:.1f}"]), flush=True)


if __name__ == "__main__":
    main()
