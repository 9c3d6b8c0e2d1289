"""Forecast a panel of daily series with holidays that are known ahead.

    python examples/forecasting.py [--series 40] [--horizon 14] [--plot forecasts.png]

The data are made up: daily customers of canteens, which are quiet at weekends, and of
bakeries, which are busy then. Each is almost empty on holidays of its own. One network
forecasts all of them. It sees the day of the week, the holidays of the days to come, and which
of the two kinds a series is.

A backtest forecasts the last weeks from three earlier origins, to compare the errors with
those of naive forecasts and to see how many values are inside the 80% and 95% intervals. Then
a model of all data forecasts what comes after their end. Needs pandas, and matplotlib for the
plot.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from cylstm import LSTMForecaster
from cylstm.plotting import ForecastDisplay

SHARE_OF_HOLIDAYS = 0.05


def make_customers(name, is_bakery, n_days, rng):
    """The series of one place."""
    days = pd.date_range("2023-01-01", periods=n_days)
    weekend = days.dayofweek >= 5
    holiday = rng.random(n_days) < SHARE_OF_HOLIDAYS
    summer = -np.cos(2 * np.pi * days.dayofyear / 365)
    weather = np.zeros(n_days)  # lasts for some days and is not known ahead
    for t in range(1, n_days):
        weather[t] = 0.7 * weather[t - 1] + rng.normal(scale=0.05)
    customers = rng.uniform(50, 2000) * (1 + 0.1 * summer + weather)
    customers *= np.where(weekend, 1.6 if is_bakery else 0.4, 1)
    customers *= np.where(holiday, 0.1, 1) * rng.lognormal(sigma=0.05, size=n_days)
    return pd.DataFrame(
        {
            "unique_id": name,
            "ds": days,
            "y": customers,
            "holiday": holiday,
            "is_bakery": is_bakery,
        }
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--series", type=int, default=40)
    parser.add_argument("--days", type=int, default=500, help="days of each series")
    parser.add_argument("--horizon", type=int, default=14, help="days to forecast")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, default=Path("forecasts.png"))
    arguments = parser.parse_args()

    rng = np.random.default_rng(arguments.seed)
    names = [
        f"{'bakery' if k % 2 else 'canteen'} {k // 2 + 1}" for k in range(arguments.series)
    ]
    n_days = arguments.days + arguments.horizon
    customers = pd.concat(
        [make_customers(name, k % 2 == 1, n_days, rng) for k, name in enumerate(names)]
    )
    in_future = customers.groupby("unique_id").cumcount() >= arguments.days
    so_far, to_come = customers[~in_future], customers[in_future]

    model = LSTMForecaster(
        arguments.horizon,
        level=[80, 95],
        known=["holiday"],
        static=["is_bakery"],
        calendar=["dayofweek"],
        max_iter=arguments.epochs,
        random_state=arguments.seed,
    )
    print(f"Forecasts of {arguments.horizon} days from three origins:")
    print(model.evaluate(so_far, n_windows=3).to_string(index=False, float_format="%.3f"))

    model.fit(so_far)
    forecasts = model.predict(future=to_come[["unique_id", "ds", "holiday"]])
    print("\nAfter the end of the data:")
    print(forecasts.head().to_string(index=False, float_format="%.1f"))
    display = ForecastDisplay.from_forecaster(
        model, future=to_come, actual=to_come, ids=names[:4]
    )
    display.figure_.savefig(arguments.plot)
    print(f"\nForecasts of four places are in {arguments.plot}.")


if __name__ == "__main__":
    main()
