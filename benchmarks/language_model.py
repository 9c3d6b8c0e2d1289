"""Quality and training speed of language models, compared with n-grams and PyTorch.

    python benchmarks/language_model.py characters [--data FILE] [--minutes 10] [--units 256]
    python benchmarks/language_model.py words --train FILE --valid FILE --test FILE
        [--setting small] [--torch]
    python benchmarks/language_model.py dropout --train FILE --valid FILE --test FILE
        [--vocabulary 5000] [--samples 500] [--epochs 12]
    python benchmarks/language_model.py speed [--setting small] [--threads 2 1]

characters: bits per character on the held-out last tenth of a text after each epoch, within a
time limit, compared with Kneser-Ney n-grams of characters.

words: perplexity in the settings "small" and "medium" (without and with dropout) of Zaremba,
Sutskever & Vinyals (arXiv:1409.2329). Words are separated by spaces, and "<eos>" ends each
line; of a .conllu file (Universal Dependencies) they are the words of each sentence. With
--torch, the same network is also trained in PyTorch, from the same initial weights.

dropout: perplexity of a layer of 200 units with tied weights and several kinds of dropout,
after the epoch with the best validation score.

speed: tokens per second of training in these settings, compared with PyTorch: medians of
alternating steps of the solvers, on tokens drawn from Zipf's law.
"""

import argparse
import lzma
import math
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from measure import medians
from sklearn.base import clone

from cylstm import LSTMLanguageModel
from cylstm._text_training import TextTrainer
from cylstm._threads import single_threaded_blas
from cylstm._training import weighted_mean
from cylstm._vocabulary import Vocabulary, read_texts

PLAYS = Path(__file__).parents[1] / "examples" / "tinyshakespeare.txt.xz"


def zaremba(n_units, n_steps, n_epochs, **parameters):
    """Parameters of a setting of Zaremba et al., section 4.1.

    Their loss is the sum over the steps of a chunk and the mean over the streams. Ours is the
    mean over all tokens, so its gradients are smaller by a factor of n_steps. For the same
    updates, the learning rate is multiplied and the clipping norm divided by n_steps.
    """
    return {
        "hidden_layer_sizes": (n_units, n_units),
        "embedding_dim": n_units,
        "batch_size": 20,
        "bptt_steps": n_steps,
        "max_iter": n_epochs,
        "solver": "sgd",
        "momentum": 0,
        "nesterovs_momentum": False,
        "learning_rate_init": 1.0 * n_steps,
        "learning_rate": "exponential",
        "clip_norm": 5.0 / n_steps,
        "dropout": 0.0,
        **parameters,
    }


SETTINGS = {
    "small": zaremba(200, 20, 13, decay_rate=0.5, decay_after=4, init_scale=0.1),
    "medium": zaremba(
        650, 35, 39, decay_rate=1 / 1.2, decay_after=6, init_scale=0.05, dropout=0.5
    ),
}


class KneserNey:
    """Interpolated Kneser-Ney n-grams of characters (Kneser & Ney 1995).

    p(c | context) = (max(n(c) - D, 0) + D * #{n > 0} * p(c | shorter context)) / sum n

    With the longest context, n(c) counts how often c follows it. With a shorter context, it
    counts the different characters that precede context and c. Below the empty context, all
    characters have the same p.
    """

    def __init__(self, text, order, vocabulary):
        self.order = order
        self.vocabulary = vocabulary
        self.levels = [None] * order  # indexed by the length of the context
        counts = Counter(text[k : k + order] for k in range(len(text) - order + 1))
        for length in reversed(range(order)):
            following = defaultdict(dict)
            for gram, count in counts.items():
                following[gram[:-1]][gram[-1]] = count
            # Ney, Essen & Kneser 1994, plus ones that keep the discount above 0: without a
            # discount, what was never seen would have probability 0.
            n = Counter(counts.values())
            discount = (n[1] + 1) / (n[1] + 2 * n[2] + 2)
            self.levels[length] = following, discount
            counts = Counter(gram[1:] for gram in counts)

    def probability(self, character, context):
        shorter = (
            self.probability(character, context[1:]) if context else 1 / len(self.vocabulary)
        )
        following, discount = self.levels[len(context)]
        if context not in following:
            return shorter
        n = following[context]
        own = max(n.get(character, 0) - discount, 0)
        return (own + discount * len(n) * shorter) / sum(n.values())

    def contexts(self, text):
        """The context of each character of the text."""
        return [text[max(0, k + 1 - self.order) : k] for k in range(len(text))]

    def bits(self, text):
        """Bits per character."""
        return -math.fsum(
            math.log2(self.probability(character, context))
            for character, context in zip(text, self.contexts(text), strict=True)
        ) / len(text)


def characters(arguments):
    opened = lzma.open if arguments.data.suffix == ".xz" else open
    with opened(arguments.data, "rt", encoding="utf-8") as file:
        text = file.read()
    n_train = len(text) * 9 // 10
    train, held_out = text[:n_train], text[n_train:]
    vocabulary = sorted(set(text))
    print(
        f"{len(train)} training characters, {len(held_out)} held out, {len(vocabulary)} "
        f"different ones (seed {arguments.seed}, {arguments.threads[0]} threads)"
    )
    grams = KneserNey(train, arguments.order, vocabulary)
    for context in grams.contexts(held_out)[:50]:
        total = math.fsum(grams.probability(c, context) for c in vocabulary)
        assert abs(total - 1) < 1e-9, (context, total)
    print(f"Kneser-Ney, {arguments.order}-grams: {grams.bits(held_out):.3f} bits held out\n")
    model = LSTMLanguageModel(
        arguments.units,
        vocabulary=vocabulary,
        dropout=arguments.dropout,
        learning_rate_init=3e-3,
        n_jobs=arguments.threads[0],
        random_state=arguments.seed,
    )
    max_epochs = arguments.epochs or 1000
    model.set_params(cosine_epochs=max_epochs)
    print("| epoch | seconds | train bits | held-out bits |\n|---|---|---|---|")
    done = seconds = 0
    while done < model.cosine_epochs:
        start = time.perf_counter()
        model.partial_fit(train)
        seconds += time.perf_counter() - start
        done += 1
        print(
            f"| {done} | {seconds:.1f} | {model.loss_ / math.log(2):.3f} "
            f"| {model.bits_per_token(held_out):.3f} |",
            flush=True,
        )
        if done < model.cosine_epochs:  # the learning rate should reach 0 when the time is up
            n_epochs = int(60 * arguments.minutes / (seconds / done))
            model.set_params(cosine_epochs=max(1, min(max_epochs, n_epochs)))


def read_words(path):
    with open(path, encoding="utf-8") as file:
        if path.suffix != ".conllu":
            return [word for line in file for word in [*line.split(), "<eos>"]]
        words = []
        for line in file:
            number, word, *_ = [*line.split("\t"), ""]
            if number.isdigit():  # no comment, range of words or empty node
                words.append(word)
            elif not line.strip():
                words.append("<eos>")
        return words


def read_texts_of(arguments):
    return [read_words(path) for path in (arguments.train, arguments.valid, arguments.test)]


def word_model(arguments, n_threads):
    return LSTMLanguageModel(
        **SETTINGS[arguments.setting],
        max_vocabulary=arguments.vocabulary,
        tie_weights=arguments.tied,
        softmax_samples=arguments.samples,
        n_jobs=n_threads,
        random_state=arguments.seed,
    )


def make_trainer(model, vocabulary, tokens):
    """The trainer that the first call of partial_fit uses, with the same initial weights."""
    model = clone(model)
    model._vocabulary, model._ends = vocabulary, True
    network = model._make_network(False, **model._layout())
    model._start_training(network, False, None, scale=model.init_scale)
    return TextTrainer(
        network,
        model._make_optimizer(network, 0.0, resume=False, partial=True),
        [np.append(tokens, model._boundary)],
        model._boundary,
        batch_size=model.batch_size,
        bptt_steps=model.bptt_steps,
        n_sampled=model.softmax_samples,
        shuffle=False,
        random_state=model._random_state,
        l1=0.0,
        l2=0.0,
        n_threads=model.n_jobs,
        dropout=model.dropout,
        recurrent_dropout=0.0,
        seed=model._dropout_seed,
    )


class TorchTwin:
    """PyTorch twin of a TextTrainer: the same network, trained on the same streams."""

    def __init__(self, trainer):
        import torch

        torch.manual_seed(0)
        torch.set_num_threads(trainer.n_threads)
        a = trainer.network.architecture
        self.trainer = trainer
        self.dropout = torch.nn.Dropout(trainer.dropout["dropout"])
        self.embedding = torch.nn.Embedding(a.vocabulary, a.n_inputs)
        n_layers = len(a.hidden_layer_sizes)
        self.lstm = torch.nn.LSTM(a.n_inputs, a.n_features, n_layers, dropout=self.dropout.p)
        self.head = torch.nn.Linear(a.n_features, a.n_scores)
        if a.tied:
            self.head.weight = self.embedding.weight
        self.modules = torch.nn.ModuleDict(
            {name: getattr(self, name) for name in ("embedding", "dropout", "lstm", "head")}
        )
        self.modules.load_state_dict(torch_weights(trainer.network))
        for k in range(n_layers):
            # With a second trainable bias, steps on the sum of both would be twice as large.
            getattr(self.lstm, f"bias_hh_l{k}").requires_grad_(False)
        self.parameters = [w for w in self.modules.parameters() if w.requires_grad]
        self.solver = torch.optim.SGD(self.parameters, lr=1.0)

    def forward(self, tokens, state):
        """Scores of all steps for tokens of shape (T, B), and the new state."""
        h, state = self.lstm(self.dropout(self.embedding(tokens)), state)
        return self.head(self.dropout(h)).flatten(0, 1), tuple(s.detach() for s in state)

    def updates(self, epoch=1):
        """Take a step of the solver for each chunk; yield its loss and number of tokens."""
        import torch

        own = self.trainer.optimizer
        n_decays = max(0, epoch - own.decay_after)
        self.solver.param_groups[0]["lr"] = own.learning_rate_init * own.decay_rate**n_decays
        inputs, targets, streams, starts = self.trainer._lay_out()
        # Drop the last token of streams that are one token longer than the others.
        rows = streams[:-1] + np.arange(np.diff(streams).min())[:, None]
        inputs = torch.from_numpy(inputs[rows])
        targets = torch.from_numpy(targets[rows, 0].astype(np.int64))
        cuts = self.trainer._chunks(streams)[:-1].tolist()
        state = None
        self.modules.train()
        chunks = zip(
            cuts, inputs.tensor_split(cuts)[1:], targets.tensor_split(cuts)[1:], strict=True
        )
        for first, x, y in chunks:
            if state is not None:  # reset streams that restart here
                carried = torch.tensor(~np.isin(streams[:-1] + first, starts))
                state = tuple(s * carried[:, None] for s in state)
            self.solver.zero_grad()
            scores, state = self.forward(x, state)
            loss = torch.nn.functional.cross_entropy(scores, y.flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, own.clip_norm)
            self.solver.step()
            yield loss.item(), y.numel()

    def train_epoch(self, epoch):
        """Train for one epoch; return its training perplexity."""
        return math.exp(weighted_mean(self.updates(epoch)))

    def perplexity(self, tokens):
        """Perplexity with the whole context, as LSTMLanguageModel.perplexity computes it."""
        import torch

        boundary = self.trainer.boundary
        inputs = torch.from_numpy(np.append(boundary, tokens))[:, None].split(1000)
        targets = torch.from_numpy(np.append(tokens, boundary)).split(1000)
        total, state = 0.0, None
        self.modules.eval()
        with torch.no_grad():
            for x, y in zip(inputs, targets, strict=True):
                scores, state = self.forward(x, state)
                total += torch.nn.functional.cross_entropy(scores, y, reduction="sum").item()
        return math.exp(total / (len(tokens) + 1))


def torch_weights(network):
    """Weights under the names of PyTorch's modules embedding, lstm and head."""
    import torch

    own = network.weights
    weights = {name: own[name] for name in own if not name.startswith("layers")}
    weights.setdefault("head.weight", own["embedding.weight"])  # tied
    for k in range(len(network.architecture.hidden_layer_sizes)):
        weights[f"lstm.weight_ih_l{k}"] = own[f"layers.{k}.weight_ih"]
        weights[f"lstm.weight_hh_l{k}"] = own[f"layers.{k}.weight_hh"]
        weights[f"lstm.bias_ih_l{k}"] = own[f"layers.{k}.bias"]
        weights[f"lstm.bias_hh_l{k}"] = np.zeros_like(own[f"layers.{k}.bias"])
    return {name: torch.tensor(weight) for name, weight in weights.items()}


def endless(epoch):
    while True:
        yield from epoch()


def print_speeds(vocabulary, tokens, arguments):
    print("| threads | cylstm tokens/s | torch tokens/s | ratio |\n|---|---|---|---|")
    for n_threads in arguments.threads:
        trainer = make_trainer(word_model(arguments, n_threads), vocabulary, tokens)
        twin = TorchTwin(trainer)
        own = endless(lambda trainer=trainer: trainer.steps_in_chunks(*trainer._lay_out()))
        other = endless(twin.updates)
        with single_threaded_blas():
            times = medians([own.__next__, other.__next__], arguments.repeats)
        n_tokens = trainer.batch_size * trainer.bptt_steps
        own, other = (n_tokens / microseconds * 1e6 for microseconds in times)
        print(f"| {n_threads} | {own:.0f} | {other:.0f} | {own / other:.2f} |", flush=True)


def speed(arguments):
    p = 1 / np.arange(1, arguments.vocabulary + 1)
    rng = np.random.default_rng(arguments.seed)
    tokens = rng.choice(arguments.vocabulary, 100_000, p=p / p.sum())
    print_speeds(Vocabulary("integers", range(arguments.vocabulary)), tokens, arguments)


def timed(train, n_tokens):
    """Result of train(), and tokens per second."""
    start = time.perf_counter()
    return train(), n_tokens / (time.perf_counter() - start)


def words(arguments):
    train, valid, test = texts = read_texts_of(arguments)
    model = word_model(arguments, arguments.threads[0])
    twin = None
    if arguments.torch:
        vocabulary = Vocabulary.learn(read_texts([train]), 1, arguments.vocabulary)
        tokens = [vocabulary.encode(read_texts([text]))[0] for text in texts]
        print_speeds(vocabulary, tokens[0], arguments)
        twin = TorchTwin(make_trainer(model, vocabulary, tokens[0]))
    header = "epoch | train | valid | tokens/s"
    if twin:
        header += " | torch train | valid | tokens/s"
    print(
        f"\n{len(train)} training words, {len(valid)} and {len(test)} held out; perplexity\n"
        f"| {header} |\n{'|---' * (header.count('|') + 1)}|"
    )
    for epoch in range(1, (arguments.epochs or model.max_iter) + 1):
        _, rate = timed(lambda: model.partial_fit([train]), len(train))
        row = f"| {epoch} | {math.exp(model.loss_):.2f} | {model.perplexity([valid]):.2f} "
        row += f"| {rate:.0f} |"
        if twin:
            perplexity, rate = timed(lambda epoch=epoch: twin.train_epoch(epoch), len(train))
            row += f" {perplexity:.2f} | {twin.perplexity(tokens[1]):.2f} | {rate:.0f} |"
        print(row, flush=True)
    print(f"\ntest perplexity: {model.perplexity([test]):.2f}")
    if twin:
        print(f"PyTorch's: {twin.perplexity(tokens[2]):.2f}")


RATES = [
    {},
    {"weight_dropout": 0.5},
    {"dropout": 0.4},
    {"dropout": 0.4, "weight_dropout": 0.5},
    {"dropout": 0.4, "weight_dropout": 0.5, "embedding_dropout": 0.1},
]


def dropout(arguments):
    train, valid, test = read_texts_of(arguments)
    max_iter = arguments.epochs or 12
    arguments.tied = True
    print(
        f"{len(train)} training words, {len(valid)} and {len(test)} held out, up to "
        f"{max_iter} epochs; perplexity\n"
        "| dropout | weight_dropout | embedding_dropout | epoch | valid | test |\n"
        "|---|---|---|---|---|---|"
    )
    for rates in RATES:
        model = word_model(arguments, arguments.threads[0]).set_params(
            hidden_layer_sizes=200,
            learning_rate="cosine",
            max_iter=max_iter,
            early_stopping=True,
            n_iter_no_change=4,
            **rates,
        )
        model.fit([train], X_val=[valid])
        best = int(np.argmax(model.validation_scores_)) + 1
        print(
            f"| {model.dropout} | {model.weight_dropout} | {model.embedding_dropout} | {best} "
            f"| {model.perplexity([valid]):.1f} | {model.perplexity([test]):.1f} |",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    modes = {"characters": characters, "words": words, "dropout": dropout, "speed": speed}
    parser.add_argument("mode", nargs="?", choices=modes, default="characters")
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[2], help="speed takes several"
    )
    parser.add_argument(
        "--epochs", type=int, help="maximum; default: by --minutes or --setting"
    )
    parser.add_argument("--seed", type=int, default=0)
    group = parser.add_argument_group("characters")
    group.add_argument("--data", type=Path, default=PLAYS)
    group.add_argument("--minutes", type=float, default=10)
    group.add_argument("--units", type=int, nargs="+", default=[256], help="of each layer")
    group.add_argument("--dropout", type=float, default=0.25)
    group.add_argument("--order", type=int, default=5, help="of the n-grams")
    group = parser.add_argument_group("words, dropout, speed")
    for name in ("train", "valid", "test"):
        group.add_argument(f"--{name}", type=Path)
    group.add_argument("--setting", choices=SETTINGS, default="small")
    group.add_argument("--tied", action="store_true")
    group.add_argument("--samples", type=int, help="of the softmax; PyTorch uses all of it")
    group.add_argument("--vocabulary", "--max-vocabulary", type=int, default=10_000)
    group.add_argument("--torch", action="store_true")
    group.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    files = arguments.train, arguments.valid, arguments.test
    if arguments.mode in ("words", "dropout") and None in files:
        parser.error(f"{arguments.mode} needs --train, --valid and --test")
    modes[arguments.mode](arguments)


if __name__ == "__main__":
    main()
