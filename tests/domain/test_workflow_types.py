"""The kinds of workflow by name: what they are called is what the server knows them by."""

import pytest
from temporalio import workflow

from domain import workflow_types
from domain.names import MisnamedWorkflowError, read_id
from workers.story import WORKFLOWS


def test_every_kind_that_is_named_is_one_that_workers_run() -> None:
    """A name that no worker knows would start what nobody runs."""
    ours = {workflow._Definition.must_from_class(one).name for one in WORKFLOWS}
    named = {
        value
        for name, value in vars(workflow_types).items()
        if name.isupper() and str(value).endswith("Workflow")
    }

    assert named <= ours
    assert set(workflow_types.TYPE_OF.values()) <= named


@pytest.mark.parametrize("story", workflow_types.TYPE_OF)
def test_every_story_that_ids_begin_with_is_read(story: str) -> None:
    """What cannot be read has a sentence, and no error of another kind."""
    with pytest.raises(MisnamedWorkflowError, match=f"under the id {story}/<"):
        read_id(f"{story}/", story)
