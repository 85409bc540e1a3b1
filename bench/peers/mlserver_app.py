"""MLServer: a runtime for the model, asked in the Open Inference Protocol: `mlserver start FOLDER`."""

from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput
from model import PeerModel


class Flight(MLModel):
    """One tensor for each feature in, one probability out."""

    async def load(self) -> bool:
        """Load the model."""
        self.model = PeerModel()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """The probability of the row."""
        values = {tensor.name: tensor.data[0] for tensor in payload.inputs}
        score = self.model.probability([values[name] for name in self.model.features])
        output = ResponseOutput(name="score", shape=[1, 1], datatype="FP64", data=[score])
        return InferenceResponse(model_name=self.name, outputs=[output])
