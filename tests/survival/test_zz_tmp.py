import time, pytest
from tests.survival import harbour as h
from tests.survival.server import MortalServer
from tests.survival.test_engine_killed import _sick_release
async def test_one(tmp_path):
    h.PATIENCE = 70
    async with MortalServer(tmp_path) as server:
        for at in (25, 12, 30):
            t=time.monotonic()
            try:
                print("at", at, await _sick_release(server, "default", tmp_path, at))
            except BaseException as e:
                print("at", at, repr(e))
                c = await server.client()
                async for w in c.list_workflows("ExecutionStatus='Running'"):
                    hist = await c.get_workflow_handle(w.id).fetch_history()
                    print(w.id)
                    for e in hist.events[-8:]: print("   ", e.event_id, e.event_time.ToDatetime().time(), e.event_type)
                    d = await c.get_workflow_handle(w.id).describe()
                    print([ (p.activity_type.name,p.state,p.attempt,p.last_failure.message) for p in d.raw_description.pending_activities], d.raw_description.pending_workflow_task)
                raise
            print("took", time.monotonic()-t)
