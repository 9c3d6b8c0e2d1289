"""What a model file may hold: of each class the fields, and of each field the values.

A file may come from anyone. What these tables do not know is refused, before an object is
made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ._arguments import shown
from ._losses import CLASSIFICATION_LOSSES
from ._optimizers import SCHEDULES
from ._plan import CELLS, LOSSES, POOLINGS
from ._vocabulary import UNKNOWN
from ._windows import BASELINES, SCALINGS

# Where each public class is.
PUBLIC = {
    "LSTMClassifier": "cylstm._classifier",
    "LSTMForecaster": "cylstm._forecaster",
    "LSTMLanguageModel": "cylstm._language_model",
    "LSTMRegressor": "cylstm._regressor",
    "SequenceImputer": "cylstm._imputer",
    "StepwiseTransformer": "cylstm.preprocessing",
}

# Transformers and splitters whose state are numbers and arrays alone.
PARTS = {
    "GroupKFold": "sklearn.model_selection",
    "GroupShuffleSplit": "sklearn.model_selection",
    "KFold": "sklearn.model_selection",
    "MaxAbsScaler": "sklearn.preprocessing",
    "MinMaxScaler": "sklearn.preprocessing",
    "MissingIndicator": "sklearn.impute",
    "Normalizer": "sklearn.preprocessing",
    "PCA": "sklearn.decomposition",
    "Pipeline": "sklearn.pipeline",
    "PowerTransformer": "sklearn.preprocessing",
    "QuantileTransformer": "sklearn.preprocessing",
    "RobustScaler": "sklearn.preprocessing",
    "SimpleImputer": "sklearn.impute",
    "ShuffleSplit": "sklearn.model_selection",
    "StandardScaler": "sklearn.preprocessing",
    "StratifiedGroupKFold": "sklearn.model_selection",
    "StratifiedKFold": "sklearn.model_selection",
    "StratifiedShuffleSplit": "sklearn.model_selection",
    "TimeSeriesOrigins": "cylstm._origins",
    "TimeSeriesSplit": "sklearn.model_selection",
}

MOST = 2**63 - 1

# Those of data frames. narwhals would import others.
LIBRARIES = "pandas", "polars", "pyarrow", "modin", "cudf"


class Kind(NamedTuple):
    """Which values a field may have."""

    expected: str
    fits: Callable[[Any], bool]


def integer(least: int = 0, most: int = MOST) -> Kind:
    return Kind(
        f"an integer of at least {least}" + (f" and at most {most}" if most < MOST else ""),
        lambda x: type(x) is int and least <= x <= most,
    )


def choice(*options: Any) -> Kind:
    return Kind(
        f"one of {', '.join(map(repr, options))}",
        lambda x: any(type(x) is type(option) and x == option for option in options),
    )


def maybe(kind: Kind) -> Kind:
    return Kind(f"{kind.expected}, or None", lambda x: x is None or kind.fits(x))


def several(container: type[list] | type[tuple], kind: Kind) -> Kind:
    return Kind(
        f"a {container.__name__} of which each is {kind.expected}",
        lambda x: type(x) is container and all(kind.fits(of_it) for of_it in x),
    )


def mapping(keys: Kind, values: Kind) -> Kind:
    return Kind(
        f"a dict from {keys.expected} to {values.expected}",
        lambda x: (
            type(x) is dict and all(map(keys.fits, x)) and all(map(values.fits, x.values()))
        ),
    )


def array(dtypes: str, *shape: int | None) -> Kind:
    """Of one of these kinds of numbers; None is any length."""
    lengths = ", ".join("n" if n is None else str(n) for n in shape)
    return Kind(
        f"an array ({lengths}) of dtype kind {' or '.join(dtypes)}",
        lambda x: (
            type(x) is np.ndarray
            and x.dtype.kind in dtypes
            and x.ndim == len(shape)
            and all(n in (None, there) for n, there in zip(shape, x.shape, strict=True))
        ),
    )


def instance(*names: str) -> Kind:
    return Kind(f"a {' or '.join(names)}", lambda x: type(x).__name__ in names)


FLAG = Kind("True or False", lambda x: type(x) is bool)
TEXT = Kind("a string", lambda x: type(x) is str)
NUMBER = Kind("a finite number", lambda x: type(x) in (int, float) and abs(x) < np.inf)
ANYTHING = Kind("a value", lambda x: True)
# Names of columns are what users have.
SCALAR = Kind(
    "a string or number",
    lambda x: (
        x is None or type(x) in (str, float, bool) or (type(x) is int and abs(x) <= MOST)
    ),
)
NAME = Kind(
    "a name",
    lambda x: SCALAR.fits(x) or (type(x) is tuple and all(map(SCALAR.fits, x))),
)
SIZE, COUNT = integer(1, 2**40), integer(0)
VECTOR, MATRIX = array("f", None), array("f", None, None)
INTEGERS, FLAGS = array("i", None), array("b", None)
OF_ROLES = mapping(choice("targets", "past", "known", "static", "year"), ANYTHING)

FIELDS: dict[str, dict[str, Kind]] = {
    "Architecture": {
        "n_inputs": SIZE,
        "n_ahead": COUNT,
        "hidden_layer_sizes": several(tuple, SIZE),
        "n_scores": SIZE,
        "loss": choice(*LOSSES),
        "dtype": choice("float32", "float64"),
        "cell": choice(*CELLS),
        "activation": choice("tanh", "relu"),
        "projection": maybe(SIZE),
        "bidirectional": FLAG,
        "per_step": FLAG,
        "vocabulary": COUNT,
        "levels": several(tuple, NUMBER),
        "tied": FLAG,
        "weights": choice(None, "int8"),
        "pooling": choice(*POOLINGS),
        "residual": FLAG,
        "layer_norm": FLAG,
        "chain": FLAG,
    },
    "History": {
        **dict.fromkeys(
            ("loss_curve", "validation_scores", "learning_rates", "seconds"), VECTOR
        ),
        "n_iter": COUNT,
        "t": COUNT,
    },
    "Optimizer": {
        "rule": instance("SGD", "Adam", "AdamW"),
        "schedule": choice(*SCHEDULES),
        "learning_rate_init": NUMBER,
        "clip_norm": maybe(NUMBER),
        "n_epochs": integer(1),
        "decay_rate": NUMBER,
        "decay_after": COUNT,
        "n_epochs_done": COUNT,
        "moments": maybe(MATRIX),
        "n_steps": integer(0, 2**53),
        "learning_rate": NUMBER,
    },
    "SGD": {"momentum": NUMBER, "nesterovs_momentum": FLAG},
    "Adam": {"beta_1": NUMBER, "beta_2": NUMBER, "epsilon": NUMBER},
    "InputFormat": {
        "form": choice("columns", "steps", "ragged", "tokens"),
        "n_features": SIZE,
        "n_step_features": SIZE,
        "vocabulary": COUNT,
        "dtype": choice("float32", "float64"),
        "per_step": FLAG,
    },
    "Vocabulary": {
        "kind": choice(*UNKNOWN),
        "tokens": Kind(
            "strings, or an array of integers",
            lambda x: several(list, TEXT).fits(x) or INTEGERS.fits(x),
        ),
        "has_unknown": FLAG,
    },
    "WindowLayout": {
        "context": SIZE,
        "horizon": SIZE,
        "season": SIZE,
        "baseline": choice(*BASELINES),
        "scaling": choice(*SCALINGS),
        "calendar": several(tuple, TEXT),
        "n_targets": SIZE,
        "ratios": FLAGS,
        "gaps": OF_ROLES,
        "offsets": OF_ROLES,
        "scales": OF_ROLES,
    },
    "LinearPart": {"_units": several(list, NUMBER), "_fits": several(list, ANYTHING)},
    "Panel": {
        **dict.fromkeys(("targets", "known", "past", "static"), MATRIX),
        "times": maybe(array("iM", None)),
        "frequency": maybe(instance("Frequency")),
        **dict.fromkeys(("starts", "lengths", "offsets"), INTEGERS),
        "form": instance("ArrayForm", "TableForm", "ListForm", "LongForm"),
        "ids": several(list, NAME),
        "changes": maybe(several(tuple, ANYTHING)),
    },
    "Frequency": {
        "kind": choice("integers", "fixed", "months", "business days"),
        "step": integer(1),
        "month_end": FLAG,
        "zone": maybe(TEXT),
    },
    "ColumnRoles": {
        **dict.fromkeys(("known", "past", "static"), several(tuple, NAME)),
        **dict.fromkeys(("id_column", "time_column", "target_column"), NAME),
    },
    "ArrayForm": {"id_column": NAME, "time_column": NAME, "n_dimensions": integer(1, 2)},
    "TableForm": {
        "id_column": NAME,
        "time_column": NAME,
        "targets": several(tuple, NAME),
        "is_series": FLAG,
        "library": choice(*LIBRARIES),
        "has_index": FLAG,
        "index_name": NAME,
        "time_type": maybe(instance("TimeType")),
    },
    "ListForm": {
        "forms": several(list, instance("ArrayForm", "TableForm", "LongForm")),
        "which": INTEGERS,
    },
    "LongForm": {
        "id_column": NAME,
        "time_column": NAME,
        "library": choice(*LIBRARIES),
        "time_type": instance("TimeType"),
        "id_values": maybe(mapping(choice("values", "dtype"), ANYTHING)),
    },
    "TimeType": {"dtype": TEXT, "zone": maybe(TEXT), "period": maybe(TEXT)},
}

FIELDS["AdamW"] = {
    **FIELDS["Adam"],
    "decay": NUMBER,
    "segments": several(list, several(tuple, COUNT)),
}

# Of fitted estimators, beside their parameters.
_TRAINED = {
    "_history": instance("History"),
    "_seeds": several(list, integer(0, 2**31 - 1)),
    "_network": instance("Network"),
}
_SUPERVISED = {
    **_TRAINED,
    "n_features_in_": SIZE,
    "_input_format": instance("InputFormat"),
    "n_outputs_": SIZE,
    "out_activation_": TEXT,
}
FITTED: dict[str, dict[str, Kind]] = {
    "LSTMRegressor": {
        **_SUPERVISED,
        "_y_is_1d": FLAG,
        "y_offset_": VECTOR,
        "y_scale_": VECTOR,
    },
    "LSTMClassifier": {
        **_SUPERVISED,
        "_fitted_loss": choice(*CLASSIFICATION_LOSSES),
        "_multilabel": FLAG,
        "classes_": array("biufUOMm", None),
    },
    "LSTMLanguageModel": {
        **_TRAINED,
        "_vocabulary": instance("Vocabulary"),
        "_ends": FLAG,
    },
    "LSTMForecaster": {
        **_TRAINED,
        "_quantile_levels": several(tuple, NUMBER),
        "_levels": several(tuple, NUMBER),
        "_context_of_settling": maybe(SIZE),
        "_layout": instance("WindowLayout"),
        "_frequency": maybe(instance("Frequency")),
        "_roles": instance("ColumnRoles"),
        "calibration_windows_": COUNT,
        "_linear": maybe(instance("LinearPart")),
        "_left_offset": MATRIX,
        "_left_scale": MATRIX,
        "_panel": instance("Panel"),
        "_errors": mapping(TEXT, ANYTHING),
        "_fitted_lengths": INTEGERS,
        "_trained_lengths": INTEGERS,
    },
    "StepwiseTransformer": {
        "transformer_": instance(*PARTS),
        "n_features_in_": SIZE,
        "_had_gaps": FLAG,
    },
    "SequenceImputer": {
        "n_features_in_": SIZE,
        "_form": choice("columns", "steps", "ragged"),
        "_n_step_features": SIZE,
        "_had_gaps": FLAG,
        "statistics_": VECTOR,
        "_carries_forward": FLAG,
        "indicator_features_": INTEGERS,
        "elapsed_features_": INTEGERS,
    },
}

# What may be there, or not.
OPTIONAL = {
    "feature_names_in_": array("OU", None),
    "_sklearn_output_config": mapping(
        choice("transform"), choice("default", "pandas", "polars")
    ),
    "_optimizer": instance("Optimizer"),
    "_random_state": instance("RandomState"),
}


def check_fields(name: str, state: Mapping[str, Any], kinds: Mapping[str, Kind]) -> None:
    """Refuse a state that lacks a field, has an unknown one, or a value of another kind."""
    for field, kind in kinds.items():
        if field not in state:
            raise ValueError(f"{name} has no {field}")
        if not kind.fits(state[field]):
            raise ValueError(
                f"{name}.{field} is {shown(state[field])}; expected {kind.expected}"
            )
    for field in state:
        if field not in kinds:
            raise ValueError(f"{name} has a field {shown(field)}, which is not known")
