"""What projects can be found by: the words of a search, and the fields of a filter."""

import re
from dataclasses import dataclass
from typing import Self

from verbund.registry.v1 import project_service_pb2 as pb
from verbund.resources.filters import Field, Kind, codes_of

WORDS_MAX = 16
WORD = re.compile(r"\w+(?:[.-]\w+)*")  # keeps `2.0` and `open-data` whole, as PostgreSQL's parser does

IDENTIFIED = "(p.name IN (SELECT i.project FROM registry.project_identifiers i WHERE i.{column} {{}}))"

# The fields of ListProjects' filter, with the SQL that they stand for.
FIELDS = {
    "owner": Field(Kind.TEXT, "p.owner"),
    "status": Field(Kind.CODE, "p.status", codes_of(pb.ProjectStatus.items(), "PROJECT_STATUS_")),
    "visibility": Field(Kind.CODE, "p.visibility", codes_of(pb.Visibility.items(), "VISIBILITY_")),
    "strategy": Field(Kind.TEXT, "p.strategy"),
    "measure": Field(Kind.TEXT, "p.measure"),
    "parties.organisation": Field(Kind.ELEMENTS, "(EXISTS (SELECT FROM unnest(p.parties) AS party WHERE party {}))"),
    "identifiers.scheme": Field(Kind.ELEMENTS, IDENTIFIED.format(column="scheme")),
    "identifiers.id": Field(Kind.ELEMENTS, IDENTIFIED.format(column="id")),
    "period.start_date": Field(Kind.DATE, "p.start_date"),
    "period.end_date": Field(Kind.DATE, "p.end_date"),
    "update_time": Field(Kind.TIME, "p.update_time"),
}


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a query, in lower case and in order."""

    plain: tuple[str, ...]

    @classmethod
    def of(cls, query: str) -> Self:
        """The first words of a query."""
        return cls(tuple(dict.fromkeys(WORD.findall(query.lower())))[:WORDS_MAX])

    def starts(self) -> str:
        """A tsquery for texts with every word, or a word that begins so. Words have no quotes, so quoting is enough."""
        return " & ".join(f"'{word}':*" for word in self.plain)
