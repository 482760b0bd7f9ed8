"""Resource names as AIP-122 has them, as distinct types: an organisation's name cannot be passed where a system's is
meant.
"""

from typing import NewType

OrganisationName = NewType("OrganisationName", str)  # organisations/{organisation}
InvitationName = NewType("InvitationName", str)  # invitations/{invitation}
SystemName = NewType("SystemName", str)  # organisations/{organisation}/systems/{system}
ProviderName = NewType("ProviderName", str)  # organisations/{organisation}/providers/{provider}
PersonName = NewType("PersonName", str)  # organisations/{organisation}/people/{person}
MailboxName = NewType("MailboxName", str)  # organisations/{organisation}/mailboxes/{mailbox}
DeliveryName = NewType("DeliveryName", str)  # organisations/{organisation}/deliveries/{delivery}
DocumentName = NewType("DocumentName", str)  # organisations/{organisation}/deliveries/{delivery}/documents/{document}
StrategyName = NewType("StrategyName", str)  # strategies/{strategy}
MeasureName = NewType("MeasureName", str)  # strategies/{strategy}/measures/{measure}
ProjectName = NewType("ProjectName", str)  # projects/{organisation}.{id}

NOBODY = OrganisationName("")


def organisation_of(name: str) -> OrganisationName:
    """The organisation that a name below an organisation belongs to: `organisations/x/systems/y` gives
    `organisations/x`. Raises ValueError.
    """
    parts = name.split("/")
    if len(parts) < 2 or parts[0] != "organisations" or not parts[1]:  # noqa: PLR2004
        raise ValueError(f"not a name below an organisation: {name!r}")
    return OrganisationName(f"organisations/{parts[1]}")


def last(name: str) -> str:
    """The last part of a name: `strategies/gdb` gives `gdb`."""
    return name.rsplit("/", 1)[-1]
