"""The path of one request, shown as a picture or in words."""

from dataclasses import dataclass
from itertools import pairwise

from helpers.base.tables import Table, table
from helpers.pictures import hop, request_picture
from helpers.pictures.hop import Hop
from helpers.pictures.svg import Picture


@dataclass
class RequestPath:
    """The hops of a request in their order; curl is the first."""

    hops: list[Hop]
    url: str

    @property
    def refused(self) -> Hop | None:
        """The hop that refused it; None if it got through, or if that is not known."""
        return next((one for one in self.hops if one.state == "refused"), None)

    @property
    def reached(self) -> list[str]:
        """The hops up to the last one known to have received the request; a log before it may be late."""
        seen = [one.state == "passed" or (one.state == "refused" and bool(one.entry)) for one in self.hops]
        return [one.name for number, one in enumerate(self.hops) if any(seen[number:])]

    def own_seconds(self, one: Hop) -> float | None:
        """How long the request spent there, without the time that the next hop took."""
        timed = [each for each in self.hops if each.seconds is not None]
        inner = next((after for before, after in pairwise(timed) if before is one), None)
        if one.seconds is None:
            return None
        return max(0.0, one.seconds - (inner.seconds or 0.0 if inner else 0.0))

    def table(self) -> Table:
        """A row for each hop."""
        return table(
            [
                {
                    "hop": f"{one.name} ({one.where})" if one.where else one.name,
                    "status": one.status or request_picture.ENDS[one.state],
                    "address": one.called,
                    "protocol": " ".join(filter(None, (one.protocol, one.tls))),
                    "server presented": hop.short(one.server),
                    "client presented": hop.short(one.client),
                    "duration": hop.milliseconds(one.seconds),
                }
                for one in self.hops
            ]
        )

    def __str__(self) -> str:
        said = [f"{one.name}: {one.why}" for one in self.hops if one.why]
        return "\n".join([repr(self.table()), *said])

    @property
    def picture(self) -> Picture:
        """The path as a drawing."""
        return request_picture.draw(
            self.hops, self.url, [self.own_seconds(one) for one in self.hops], str(self)
        )

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return self.picture._repr_mimebundle_()
