"""LSTMLanguageModel: errors for bad parameters and bad texts."""

import numpy as np
import pytest
from example_texts import TEXT, model
from sklearn.exceptions import NotFittedError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_tokens": 0}, "'n_tokens' parameter .* must be an int in the range \\[1, inf\\)"),
        ({"n_tokens": 2.5}, "'n_tokens'"),
        ({"temperature": -1}, "'temperature'"),
        ({"temperature": np.nan}, "'temperature'"),
        ({"temperature": np.inf}, "'temperature'"),
        ({"top_k": 0}, "'top_k'"),
        ({"top_p": 0}, "'top_p'"),
        ({"top_p": 1.1}, "'top_p'"),
        ({"n_samples": 0}, "'n_samples'"),
        ({"random_state": "x"}, "'random_state'"),
        ({"prompt": "to \xdf"}, "prompt has the token '\xdf' at position 3"),
        ({"prompt": [1, 2]}, "prompt holds integers, but the model knows characters"),
        ({"prompt": ["a", "b"]}, "prompt is a list of several sequences"),
        ({"prompt": 3.5}, "prompt is of type float"),
        ({"prompt": iter("to")}, "prompt is of type str"),
        ({"prompt": np.array("to")}, "prompt is an array of <U2"),
    ],
)
def test_bad_sampling_arguments(arguments, message):
    fitted = model(max_iter=1).fit(TEXT + "ab")
    with pytest.raises(ValueError, match=message):
        fitted.sample(**{"n_tokens": 5, **arguments})
    if "n_samples" not in arguments:
        with pytest.raises(ValueError, match=message):  # at once, not at the first token
            fitted.iter_sample(**{"n_tokens": 5, **arguments})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layer_sizes": []}, "hidden_layer_sizes is empty"),
        ({"hidden_layer_sizes": 0}, "hidden_layer_sizes"),
        (
            {"tie_weights": True, "hidden_layer_sizes": (6, 5)},
            "embedding_dim=6 must be",
        ),
        ({"tie_weights": True, "hidden_layer_sizes": []}, "hidden_layer_sizes is empty"),
        ({"embedding_dim": 0}, "embedding_dim"),
        ({"bptt_steps": None}, "bptt_steps"),
        ({"bptt_steps": 0}, "bptt_steps"),
        ({"batch_size": 0}, "batch_size"),
        ({"min_count": 0}, "min_count"),
        ({"max_vocabulary": 1}, "max_vocabulary"),
        ({"vocabulary": "ab"}, "token 't' at position 0, which is not in vocabulary_"),
        ({"vocabulary": [1, 2]}, "token 1, but the tokens of X are characters"),
        ({"vocabulary": "ab", "min_count": 2}, "cannot be combined with a given vocabulary"),
        ({"init_scale": 0}, "init_scale"),
        ({"softmax_samples": 0}, "softmax_samples"),
        (
            {"softmax_samples": 5, "alpha": 0.1},
            "alpha=0.1 cannot be combined with softmax",
        ),
        (
            {"softmax_samples": 5, "alpha": 0.1, "solver": "adamw", "l1_ratio": 0.5},
            "alpha=0.1 cannot be combined with softmax",
        ),
        ({"min_count": 1000}, "min_count=1000 leaves no token"),
        ({"learning_rate": "linear"}, "learning_rate"),
        ({"decay_rate": 0}, "decay_rate"),
        ({"decay_rate": 1.5}, "decay_rate"),
        ({"decay_after": -1}, "decay_after"),
        ({"cell": "rnn"}, "cell"),
        ({"cell": "input_gated", "recurrent_dropout": 0.1}, "cannot be combined with"),
        ({"cell": "input_gated", "weight_dropout": 0.1}, "cannot be combined with"),
        ({"embedding_dropout": 1.0}, "embedding_dropout"),
        ({"dtype": "float16"}, "dtype"),
        ({"learning_rate_init": 1e39, "clip_norm": None, "solver": "sgd"}, "NaN or infinite"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        model(**parameters).fit(TEXT)


def test_bad_texts():
    with pytest.raises(ValueError, match="X is empty"):
        model().fit("")
    with pytest.raises(ValueError, match="In X_val|X_val is empty"):
        model().fit(TEXT, X_val="")
    with pytest.raises(ValueError, match="X_val has the token 'Z'"):
        model().fit(TEXT, X_val="Z")
    with pytest.raises(ValueError, match=r"of 1 tokens"):
        model(early_stopping=True).fit("a")
    with pytest.raises(ValueError, match="does not support early_stopping"):
        model(early_stopping=True).partial_fit(TEXT)
    fitted = model().fit(TEXT)
    for method in ("score", "perplexity", "bits_per_token", "predict_proba", "transform"):
        with pytest.raises(ValueError, match="X holds words, but the model knows characters"):
            getattr(fitted, method)([["to", "be"]])
        with pytest.raises(NotFittedError):
            getattr(model(), method)(TEXT)
    for method in ("sample", "iter_sample"):
        with pytest.raises(NotFittedError):
            getattr(model(), method)(5)


def test_a_call_that_fails_leaves_the_model_as_it_was():
    fitted = model().fit(TEXT)
    before = fitted.sample(30, random_state=0)
    with pytest.raises(ValueError, match="is empty"):
        fitted.fit([])
    assert fitted.sample(30, random_state=0) == before
