"""The names of the tables, spelled once; their schemas stand in `lake.tables` and `lake.fixed_schemas`.

They stand apart since a server names the table of each record that it logs, and must not load Polars for that. Whoever
has to do with frames takes them from `lake.tables`.
"""

DATASET = "dataset"
EVALUATION = "evaluation"
RELEASE = "release"
PREDICTIONS = "predictions"
LABELS = "labels"
WINDOWS = "windows"
EXPERIMENT = "experiment"
FEEDBACK = "feedback"
MAINTENANCE = "maintenance"
LABEL_DELIVERIES = "label_deliveries"
REJECTED_LABELS = "rejected_labels"
ERASURES = "erasures"
COMMITS = "commits"
PARAMETERS = "parameters"

# Those of one use case.
TABLES = (
    DATASET,
    EVALUATION,
    PREDICTIONS,
    LABELS,
    LABEL_DELIVERIES,
    REJECTED_LABELS,
    WINDOWS,
    EXPERIMENT,
    FEEDBACK,
    MAINTENANCE,
    ERASURES,
)

# Where the tables stand that belong to no one use case: no use case has such a name.
LOG = "_log"
