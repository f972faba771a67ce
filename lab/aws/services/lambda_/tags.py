"""GetFunction shows a function's tags only to callers who may list them.

https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html#API_GetFunction_ResponseSyntax
"""

import json

from flask import request
from moto.awslambda.responses import LambdaResponse

from lab.aws.api.authorization import lacking
from lab.aws.api.authorization.policy import Need
from lab.aws.api.authorization.resources import resource_tags
from lab.aws.api.call import read


class Responses(LambdaResponse):
    """moto's responses, with this one."""

    def get_function(self) -> str:
        answer = json.loads(super().get_function())
        call, arn = read(request.environ), answer["Configuration"]["FunctionArn"]
        assert call  # other requests do not reach moto
        if refused := lacking(call, [Need("lambda:ListTags", arn, resource_tags(call, arn))]):
            answer.pop("Tags", None)
            answer["TagsError"] = {"ErrorCode": refused.code, "Message": refused.message}
        return json.dumps(answer)
