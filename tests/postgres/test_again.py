"""What is shown of a DuckDB file, again of a database: the same tests, of its `project`."""

# ruff: noqa: F401 - what is imported here is collected once more, with the fixtures beside it

from test_books import (
    switched_on,
    test_a_failure_is_told_and_ends_with_1,
    test_of_a_row_that_came_twice_the_later_counts,
    test_the_books_are_loaded_as_they_are_served,
    test_what_upstream_forgets_stays_and_what_still_grows_is_replaced,
)
from test_deletes import (
    test_more_than_the_share_is_marked_only_when_told,
    test_one_that_chats_again_while_it_is_looked_for_is_not_marked,
    test_one_that_comes_back_is_unmarked,
    test_what_is_gone_leaves_no_trace_of_change,
)
from test_privacy import (
    test_hashed_users_can_still_be_counted_and_joined,
    test_what_is_veiled_is_no_news_the_second_time,
)
from test_sync import (
    test_a_last_message_that_appears_and_changes_shape_is_followed,
    test_a_last_message_that_disappears_loses_its_row,
    test_a_late_settlement_within_the_lookback_is_a_change,
    test_a_run_that_dies_between_chunks_resumes_at_its_cursor,
    test_a_value_that_nobody_can_read_costs_its_row_alone,
    test_bad_rows_are_kept_aside_once_with_their_reasons,
    test_lost_local_state_changes_nothing,
    test_many_chunks_of_all_bots_are_as_good_as_one,
    test_names_of_bots_may_hold_anything,
    test_no_session_token_is_anywhere_in_the_file,
)
from test_transcripts import (
    test_a_message_that_cant_be_read_is_put_aside,
    test_all_messages_are_stored_whatever_the_api_means,
    test_an_edited_message_is_replaced_when_its_conversation_goes_on,
    test_killed_between_messages_and_their_transcripts_they_are_read_again,
    test_only_changed_conversations_are_asked_for,
    test_the_newest_come_first_under_the_cap_and_the_rest_is_told,
)
from test_upgrade import (
    models_of_their_own,
    synced,
    test_a_step_that_dies_is_taken_again_and_none_twice,
    test_changed_models_are_not_current,
    test_rows_are_loaded_into_what_was_added,
)
from test_verify import (
    test_a_backfill_loads_what_settled_too_late_and_moves_no_cursor,
    test_rows_that_cannot_be_read_are_counted_once_and_no_gap,
)
