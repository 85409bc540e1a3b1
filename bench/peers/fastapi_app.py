"""FastAPI as one who knows it would write it: a typed body, a list and no DataFrame, one worker, no access log.

`python fastapi_app.py PORT catboost` asks CatBoost, `python fastapi_app.py PORT lignum` the engine that our predictor uses.
"""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from model import PeerModel
from pydantic import BaseModel, ConfigDict, create_model

_TYPES: dict[str, Any] = {"category": str, "number": float | None, "integer": int, "boolean": bool}


def application(engine: str) -> FastAPI:
    """The application, whose rows are those of the model."""
    model = PeerModel()
    probability = model.probability if engine == "catboost" else _lignum(str(model.folder / "model.cbm"))
    fields: dict[str, Any] = {name: (_TYPES[kind], ...) for name, kind in model.types.items()}
    row_type: type[BaseModel] = create_model("Row", __config__=ConfigDict(extra="forbid", strict=True), **fields)
    body_type = create_model("Body", records=(list[row_type], ...))  # type: ignore[valid-type]
    names = model.features
    app = FastAPI()

    @app.post("/predict")
    async def predict(body: body_type) -> JSONResponse:  # type: ignore[valid-type]
        records: list[Any] = body.records  # type: ignore[attr-defined]
        return JSONResponse({"scores": [[probability([getattr(row, name) for name in names])] for row in records]})

    return app


def _lignum(path: str) -> Any:
    import lignum

    predict = lignum.load(path).predict
    raw, threads, mode = False, 1, "serial"
    return lambda row: float(predict([row], raw, threads, mode)[0])


if __name__ == "__main__":
    uvicorn.run(application(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
