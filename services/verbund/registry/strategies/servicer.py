"""StrategyService: load, decide, save, show."""

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.empty_pb2 import Empty

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.registry.changes.domain import Change
from verbund.registry.changes.store import ChangeStore
from verbund.registry.strategies.domain import Strategy
from verbund.registry.strategies.store import MeasureStore, StrategyStore
from verbund.registry.v1 import strategy_service_pb2 as pb
from verbund.resources import pages
from verbund.resources.names import MeasureName, StrategyName
from verbund.resources.pages import Page
from verbund.serving.call import Call


class StrategyServicer:
    """Strategies and their measures."""

    service: ServiceDescriptor = pb.DESCRIPTOR.services_by_name["StrategyService"]

    def __init__(
        self,
        database: Database,
        strategies: StrategyStore,
        measures: MeasureStore,
        changes: ChangeStore,
        clock: Clock,
    ) -> None:
        self._database = database
        self._strategies = strategies
        self._measures = measures
        self._changes = changes
        self._clock = clock

    def CreateStrategy(self, request: pb.CreateStrategyRequest, call: Call) -> pb.Strategy:
        """Records a strategy."""
        with self._database.transaction(call) as tx:
            strategy = Strategy.created(request, owner=call.organisation, at=self._clock())
            self._strategies.insert(tx, strategy)
            self._changes.record(tx, Change.created(strategy, call))
            return tx.answer(strategy.content)

    def GetStrategy(self, request: pb.GetStrategyRequest, call: Call) -> bytes:
        """Reads one strategy: the stored bytes are the answer."""
        with self._database.read(call) as rows:
            return self._strategies.find(rows, StrategyName(request.name)).body

    def ListStrategies(self, request: pb.ListStrategiesRequest, call: Call) -> pb.ListStrategiesResponse:
        """Lists strategies by name."""
        page = Page.asked(request, call.organisation)
        with self._database.read(call) as rows:
            found = self._strategies.list(rows, after=page.after, size=page.limit)
        shown = [strategy.content for strategy in page.shown(found)]
        full = pages.are_full(strategy.body for strategy in found)
        return pb.ListStrategiesResponse(strategies=shown, next_page_token=page.next_token(found, full=full))

    def UpdateStrategy(self, request: pb.UpdateStrategyRequest, call: Call) -> pb.Strategy:
        """Changes a strategy; an update that changes nothing is answered and told to nobody."""
        with self._database.transaction(call) as tx:
            before = self._strategies.lock(tx, StrategyName(request.strategy.name))
            after = before.updated(request.strategy, request.update_mask, call=call, at=self._clock())
            if after is not before:
                self._strategies.save(tx, before, after)
                self._changes.record(tx, Change.updated(before, after, call))
            return tx.answer(after.content)

    def DeleteStrategy(self, request: pb.DeleteStrategyRequest, call: Call) -> Empty:
        """Deletes a strategy that has no measures and no projects."""
        with self._database.transaction(call) as tx:
            locked = self._strategies.lock(tx, StrategyName(request.name))
            strategy = locked.deleted(request.etag, call=call)
            self._strategies.delete(tx, strategy)
            self._changes.record(tx, Change.deleted(strategy, call, at=self._clock()))
            return tx.answer(Empty())

    def CreateMeasure(self, request: pb.CreateMeasureRequest, call: Call) -> pb.Measure:
        """Records a measure of a strategy; as every change of a strategy, by its owner."""
        with self._database.transaction(call) as tx:
            strategy = self._strategies.find(tx, StrategyName(request.parent))
            measure = strategy.measure(request, call=call, at=self._clock())
            self._measures.insert(tx, measure, strategy)
            self._changes.record(tx, Change.created(measure, call))
            return tx.answer(measure.content)

    def GetMeasure(self, request: pb.GetMeasureRequest, call: Call) -> bytes:
        """Reads one measure: the stored bytes are the answer."""
        with self._database.read(call) as rows:
            return self._measures.find(rows, MeasureName(request.name)).body

    def ListMeasures(self, request: pb.ListMeasuresRequest, call: Call) -> pb.ListMeasuresResponse:
        """Lists a strategy's measures by name."""
        page = Page.asked(request, call.organisation)
        with self._database.read(call) as rows:
            parent = self._strategies.find(rows, StrategyName(request.parent))
            found = self._measures.list(rows, StrategyName(parent.name), after=page.after, size=page.limit)
        shown = [measure.content for measure in page.shown(found)]
        full = pages.are_full(measure.body for measure in found)
        return pb.ListMeasuresResponse(measures=shown, next_page_token=page.next_token(found, full=full))

    def UpdateMeasure(self, request: pb.UpdateMeasureRequest, call: Call) -> pb.Measure:
        """Changes a measure; an update that changes nothing is answered and told to nobody."""
        with self._database.transaction(call) as tx:
            before = self._measures.lock(tx, MeasureName(request.measure.name))
            after = before.updated(request.measure, request.update_mask, call=call, at=self._clock())
            if after is not before:
                self._measures.save(tx, before, after)
                self._changes.record(tx, Change.updated(before, after, call))
            return tx.answer(after.content)

    def DeleteMeasure(self, request: pb.DeleteMeasureRequest, call: Call) -> Empty:
        """Deletes a measure that has no projects."""
        with self._database.transaction(call) as tx:
            locked = self._measures.lock(tx, MeasureName(request.name))
            measure = locked.deleted(request.etag, call=call)
            self._measures.delete(tx, measure)
            self._changes.record(tx, Change.deleted(measure, call, at=self._clock()))
            return tx.answer(Empty())
