"""The demo of `python -m cylstm`: classify digits, forecast sunspots."""

from __future__ import annotations

import time
from importlib.resources import files
from io import StringIO

import numpy as np
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split

from . import LSTMClassifier, LSTMForecaster
from .metrics import coverage
from .plotting import ForecastDisplay

PICTURE = "cylstm-demo.png"
LAST_TRAINING_YEAR = 1960
LEVEL = 80  # percent of the interval
CALIBRATION_YEARS = 44  # four solar cycles, of which each has quiet and active years


def load_sunspots():
    """Years and yearly mean sunspot numbers, 1700 to 2008 (public domain)."""
    text = files("cylstm").joinpath("sunspots.csv").read_text()
    years, counts = np.loadtxt(StringIO(text), delimiter=",", skiprows=1).T
    return years.astype(int), counts


def classify_digits():
    """Fit a classifier to digits read row by row, compare it with baselines, return it."""
    images, labels = load_digits(return_X_y=True)
    X = images.reshape(-1, 8, 8) / 16
    X_train, X_test, y_train, y_test = train_test_split(
        X, labels, test_size=0.25, stratify=labels, random_state=0
    )
    print(
        f"Digits: {len(X_train)} images of 8 steps (rows) x 8 features (pixels), 10 "
        f"classes; tested on {len(X_test)}."
    )
    model = LSTMClassifier(random_state=0, verbose=10)
    start = time.perf_counter()
    model.fit(X_train, y_train)
    seconds = time.perf_counter() - start

    flat_train, flat_test = X_train.reshape(-1, 64), X_test.reshape(-1, 64)
    majority = DummyClassifier().fit(flat_train, y_train)
    linear = LogisticRegression(max_iter=1000).fit(flat_train, y_train)
    print(f"\nTest accuracy, LSTMClassifier after {seconds:.1f} s:")
    print(f"  majority class      {majority.score(flat_test, y_test):.3f}")
    print(f"  LogisticRegression  {linear.score(flat_test, y_test):.3f}")
    print(f"  LSTMClassifier      {model.score(X_test, y_test):.3f}\n")
    return model


def forecast_sunspots():
    """Fit a forecaster to the sunspots, compare it with a baseline, return it and the columns
    of its forecasts."""
    years, counts = load_sunspots()
    # The numbers vary the more the higher they are; their square roots vary evenly.
    roots = np.sqrt(counts)
    first = int(np.searchsorted(years, LAST_TRAINING_YEAR, side="right"))
    origins = range(first, len(years))
    print(
        f"Sunspots: the next year's number, trained on square roots of {first} years up to "
        f"{LAST_TRAINING_YEAR}, tested on {len(origins)}."
    )
    model = LSTMForecaster(
        level=LEVEL, calibration_windows=CALIBRATION_YEARS, random_state=0, verbose=5
    )
    start = time.perf_counter()
    model.fit(roots[:first])
    seconds = time.perf_counter() - start
    # A series for each year: all that was known before it.
    forecasts = model.predict([roots[:origin] for origin in origins])
    forecast, lower, upper = np.square(np.maximum(forecasts, 0))[:, 0].T
    actual, persistence = counts[first:], counts[first - 1 : -1]
    inside = coverage(actual, lower, upper)
    print(
        f"\nTest RMSE, LSTMForecaster with its defaults (context of {model.context_} years) "
        f"after {seconds:.1f} s:"
    )
    print(f"  persistence     {root_mean_squared_error(actual, persistence):.1f}")
    print(f"  LSTMForecaster  {root_mean_squared_error(actual, forecast):.1f}")
    print(
        f"Inside the {LEVEL}% intervals, calibrated on {CALIBRATION_YEARS} years up to "
        f"{LAST_TRAINING_YEAR}: {inside:.0%} of the years."
    )
    return model, {
        "time": years[first:],
        "y": actual,
        "naive": persistence,
        "y_hat": forecast,
        f"y_hat-lo-{LEVEL}": lower,
        f"y_hat-hi-{LEVEL}": upper,
    }


def draw(classifier, forecaster, columns):
    """Save a plot of the forecasts and both loss curves if matplotlib is installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        print('\nNo picture: matplotlib is not installed (pip install "cylstm[plot]").')
        return
    figure = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic([["forecast", "forecast"], ["digits", "sunspots"]])
    years, counts = load_sunspots()
    before = (years > 1900) & (years <= LAST_TRAINING_YEAR)
    title = f"One year ahead, trained on the years up to {LAST_TRAINING_YEAR}"
    ForecastDisplay(
        forecasts={title: columns},
        histories={title: (years[before], counts[before])},
        time_label="year",
    ).plot(ax=axes["forecast"])
    axes["forecast"].set_ylabel("yearly mean sunspot number")
    for name, model in (("digits", classifier), ("sunspots", forecaster)):
        axes[name].plot(np.arange(1, model.n_iter_ + 1), model.loss_curve_)
        axes[name].set(title=f"Training loss, {name}", xlabel="epoch", ylabel="loss")
    axes["digits"].set_yscale("log")
    try:
        figure.savefig(PICTURE, dpi=100)
    except OSError as error:
        print(f"\nNo picture: {error}.")
    else:
        print(f"\nForecast and loss curves are in {PICTURE}.")


def run():
    start = time.perf_counter()
    classifier = classify_digits()
    draw(classifier, *forecast_sunspots())
    print(f"Total time: {time.perf_counter() - start:.1f} s.")
