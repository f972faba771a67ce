"""Lambda's API: functions really run, and their logs appear in CloudWatch Logs."""

import base64
import copy
import json
import logging
import time
from collections.abc import Callable
from threading import Lock, Thread
from typing import Any

from moto.awslambda.models import LambdaBackend, LambdaFunction
from moto.logs.models import logs_backends

from lab.aws import delays
from lab.aws.context import LabBackend
from lab.aws.dataplane.functions import (
    FunctionNotFoundError,
    FunctionService,
    FunctionVersion,
    Place,
    Result,
    TooManyRequestsError,
    runtime_image,
)
from lab.aws.moto_patches import UPDATE_STATUS
from lab.aws.services.lambda_ import refusals
from lab.aws.services.lambda_.tags import Responses
from lab.network import PUBLIC_DNS

log = logging.getLogger(__name__)
IN_PROGRESS = "InProgress"


class Functions(LabBackend, LambdaBackend):
    """All functions of a region."""

    response_class = Responses

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        lab = self.context.lab
        self.service = FunctionService(
            Place(
                directory=lab.data / "functions" / region_name,
                image=runtime_image.build(lab.cache),
                namespace=self.context.internet.functions.path,
                resolver=PUBLIC_DNS,
                cgroup=f"{lab.cgroup}/functions",
            )
        )
        # Running functions and the API's list change together: a deleted function must not reappear, and
        # moto's list must not be read while another thread changes it.
        self._changing = Lock()

    def create_function(self, spec: dict[str, Any]) -> LambdaFunction:
        refusals.create_function(self.account_id, spec)
        with self._changing:
            result = super().create_function(spec)
            function = self.get_function(spec["FunctionName"])
            function.state = "Pending"
            answer = copy.copy(result)  # Pending, even if the function is ready before it is sent
            answer.state = "Pending"
            state = self._first_state(function)
        delays.later(delays.FUNCTION, lambda: setattr(function, "state", state))
        return answer

    def _first_state(self, function: LambdaFunction) -> str:
        try:
            self._deploy(function)
            return "Active"
        except Exception:
            log.exception("creating the function %s", function.function_name)
            return "Failed"

    def _deploy(self, function: LambdaFunction) -> None:
        version = FunctionVersion(
            name=function.function_name,
            arn=function.function_arn,
            code=function.code_bytes,
            handler=function.handler or "",
            log=self._log,
            runtime=function.run_time or "",
            timeout=int(function.timeout),
            memory=int(function.memory_size),
            environment=dict(function.environment_vars),
        )
        self.service.deploy(version)

    def _log(self, group: str, stream: str, lines: list[str]) -> None:
        logs = logs_backends[self.account_id][self.region_name]
        logs.ensure_log_group(group)
        logs.ensure_log_stream(group, stream)
        now = int(time.time() * 1000)
        logs.put_log_events(group, stream, [{"timestamp": now, "message": line} for line in lines])

    def update_function_code(
        self, function_name: str, qualifier: str, body: dict[str, Any]
    ) -> dict[str, Any] | None:
        refusals.zip_file(body)
        change = super().update_function_code
        return self._update(function_name, lambda: change(function_name, qualifier, body))

    def update_function_configuration(
        self, function_name: str, qualifier: str, body: dict[str, Any]
    ) -> dict[str, Any] | None:
        refusals.configuration(body)
        change = super().update_function_configuration
        return self._update(function_name, lambda: change(function_name, qualifier, body))

    def _update(self, name: str, change: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
        function = self.get_function(name)
        refusals.not_in_state(function, "Pending")
        if getattr(function, UPDATE_STATUS, "") == IN_PROGRESS:
            refusals.updating(function)
        result = change()
        setattr(function, UPDATE_STATUS, IN_PROGRESS)
        delays.later(delays.FUNCTION, lambda: self._updated(function))
        return result and {**result, "LastUpdateStatus": IN_PROGRESS}

    def _updated(self, function: LambdaFunction) -> None:
        status = "Failed"
        try:
            with self._changing:
                if function in self.list_functions():  # may have been deleted
                    self._deploy(function)
                    function.state = "Active"
                    status = "Successful"
        finally:
            setattr(function, UPDATE_STATUS, status)

    def delete_function(self, function_name: str, qualifier: str | None = None) -> None:
        function = self.get_function(function_name, qualifier)
        with self._changing:
            super().delete_function(function_name, qualifier)
            if function.version == "$LATEST":
                self.service.remove(function.function_name)

    def add_permission(self, function_name: str, qualifier: str, raw: str) -> dict[str, Any]:
        refusals.add_permission(self.get_function(function_name, qualifier), json.loads(raw))
        return super().add_permission(function_name, qualifier, raw)

    def put_function_concurrency(self, function_name: str, reserved_concurrency: str) -> str:
        name = self.get_function(function_name).function_name
        with self._changing:
            refusals.reserve(self.list_functions(), name, int(reserved_concurrency))
        result = super().put_function_concurrency(function_name, reserved_concurrency)
        self.service.reserve(self.get_function(function_name).function_name, int(reserved_concurrency))
        return result

    def delete_function_concurrency(self, function_name: str) -> str | None:
        self.service.reserve(self.get_function(function_name).function_name, None)
        return super().delete_function_concurrency(function_name)

    def invoke(
        self, function_name: str, qualifier: str | None, body: Any, headers: Any, response_headers: Any
    ) -> bytes:
        """Adds the response's headers; moto's response class adds the status.

        https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
        """
        function = self.get_function(function_name, qualifier)
        payload = body.encode() if isinstance(body, str) else body or b""
        refusals.not_in_state(function, "Pending", "Failed")
        refusals.payload(payload)
        kind = headers.get("x-amz-invocation-type", "RequestResponse")
        response_headers["x-amz-executed-version"] = str(function.version)
        answer = b""
        if kind == "Event":
            Thread(target=self._run, args=(function, payload), name="lambda-event", daemon=True).start()
        elif kind == "RequestResponse":
            result = self._run(function, payload)
            response_headers["x-amz-log-result"] = base64.b64encode(result.log_tail).decode()
            if result.function_error:
                response_headers["x-amz-function-error"] = result.function_error
            answer = result.payload
        response_headers["Content-Length"] = str(len(answer))
        return answer

    def _run(self, function: LambdaFunction, payload: bytes) -> Result:
        try:
            return self.service.invoke(function.function_name, payload or b"{}")
        except TooManyRequestsError as error:
            raise refusals.throttled(error.reason) from None

    def close(self) -> None:
        """Stop all functions' processes."""
        self.service.close()

    def invoke_for_target_group(self, function_arn: str, target_group_arn: str, payload: bytes) -> Result:
        """For a load balancer. PermissionError if the function's policy denies it, FunctionNotFoundError."""
        function = self.get_function_by_arn(function_arn)
        if function is None:
            raise FunctionNotFoundError(function_arn)
        if not refusals.allows(function, "elasticloadbalancing.amazonaws.com", target_group_arn):
            raise PermissionError(f"{target_group_arn} may not invoke {function_arn}")
        return self.service.invoke(function.function_name, payload)
