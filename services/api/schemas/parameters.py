"""What the query or the headers of a request may say."""

from functools import cache
from typing import Any

from pydantic import BaseModel


class Parameters(BaseModel):
    """flask-openapi3 asks for the JSON schema of these at each request, and making one takes longer than all of the
    validation. So it is made once. It belongs to all who ask: only the document's own, asked for with options, is new.
    """

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        return super().model_json_schema(*args, **options) if args or options else _plain_schema(cls)


@cache
def _plain_schema(model: type[Parameters]) -> dict[str, Any]:
    return super(Parameters, model).model_json_schema()
