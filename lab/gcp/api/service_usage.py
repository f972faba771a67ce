"""Whether the project's services are enabled: gcloud checks it before it creates a cluster.

https://cloud.google.com/service-usage/docs/reference/rest/v1/services/get
"""

from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from lab.gcp.api.authentication import COMPUTE, CONTAINER, SERVICE_USAGE, Service
from lab.gcp.api.errors import ApiError
from lab.gcp.api.messages import render
from lab.gcp.api.oauth import AccessToken
from lab.settings import GOOGLE_PROJECT

_ENABLED = (CONTAINER.host, COMPUTE.host)


class ServiceUsage:
    """The only method of this API that the lab offers."""

    service: Service = SERVICE_USAGE

    def rules(self) -> list[Rule]:
        return [Rule("/v1/projects/<project>/services/<name>", methods=["GET"], endpoint=self)]

    def respond(self, names: dict[str, str], request: Request, caller: AccessToken) -> Response:
        path = f"projects/{names['project']}/services/{names['name']}"
        if names["project"] != GOOGLE_PROJECT:
            raise ApiError("PERMISSION_DENIED", f"Permission denied to get service [{names['name']}]")
        state = "ENABLED" if names["name"] in _ENABLED else "DISABLED"
        return render({"name": path, "parent": f"projects/{names['project']}", "state": state})
