"""Recording the strategy and its pilot projects, each as the organisation that owns it."""

import uuid

import grpc

from verbund.registry.v1 import project_service_pb2 as projects
from verbund.registry.v1 import strategy_service_pb2 as strategies
from verbund.registry.v1.project_service_pb2_grpc import ProjectServiceStub
from verbund.registry.v1.strategy_service_pb2_grpc import StrategyServiceStub
from verbund.tour.creation import created
from verbund.tour.sample import Pilot, Sample

TIMEOUT_SECONDS = 15.0


def record_strategy(channel: grpc.Channel, sample: Sample) -> bool:
    """Whether the strategy is new; what stands is left as it is."""
    request = strategies.CreateStrategyRequest(
        strategy_id=sample.strategy_id, strategy=sample.strategy, request_id=str(uuid.uuid4())
    )
    create = StrategyServiceStub(channel).CreateStrategy
    return created(lambda: create(request, timeout=TIMEOUT_SECONDS))


def record_pilot(channel: grpc.Channel, pilot: Pilot) -> bool:
    """Whether the project is new; what stands is left as it is."""
    request = projects.CreateProjectRequest(
        project_id=pilot.project_id, project=pilot.content, request_id=str(uuid.uuid4())
    )
    create = ProjectServiceStub(channel).CreateProject
    return created(lambda: create(request, timeout=TIMEOUT_SECONDS))
