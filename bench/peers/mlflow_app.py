"""MLflow: saves the model with its own flavour; `mlflow models serve` then serves that folder."""

import sys

import mlflow.catboost
from catboost import CatBoostClassifier

if __name__ == "__main__":
    source, target = sys.argv[1:]
    mlflow.catboost.save_model(CatBoostClassifier().load_model(source), target)
