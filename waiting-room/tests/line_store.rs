//! The contract of `LineStore`, run on every store: memory, one Redis, a Redis cluster, Redis behind Sentinel. A store without a server to
//! run on says so, and fails in CI.

#[path = "line_store/begin.rs"]
mod begin;
#[path = "line_store/claims.rs"]
mod claims;
#[path = "line_store/lanes.rs"]
mod lanes;
#[path = "line_store/loss.rs"]
mod loss;
#[path = "line_store/moves.rs"]
mod moves;
#[path = "line_store/schedule.rs"]
mod schedule;
#[path = "line_store/shared.rs"]
mod shared;
#[path = "line_store/world.rs"]
mod world;

use world::{Leg, World};

/// All stories under one name.
mod story {
    pub(super) use super::{begin::*, claims::*, lanes::*, loss::*, moves::*, schedule::*};
}

/// One test per story and store.
macro_rules! contract {
    ($($story:ident),+ $(,)?) => {
        contract!(@ memory, Leg::Memory; $($story),+);
        contract!(@ redis, Leg::Redis; $($story),+);
        contract!(@ redis_sentinel, Leg::RedisSentinel; $($story),+);
        contract!(@ redis_cluster, Leg::RedisCluster; $($story),+);
    };
    (@ $name:ident, $leg:expr; $($story:ident),+) => {
        mod $name {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    if let Some(world) = World::new($leg) {
                        story::$story(world).await;
                    }
                }
            )+
        }
    };
}

contract!(
    a_room_begins_once,
    numbers_follow_without_a_gap,
    a_calm_room_admits_at_once,
    one_number_goes_in_once,
    one_number_goes_in_once_through_groups,
    claims_stay_under_the_rate,
    groups_answer_when_the_session_begins,
    who_is_seen_is_counted_until_in,
    claims_of_another_epoch_spend_nothing,
    a_cap_holds_until_a_session_ends,
    a_lost_room_comes_back_above_what_was_seen,
    who_was_inside_before_a_loss_is_counted_again,
    tickets_bring_a_line_back_that_was_lost_everywhere,
    copies_of_a_promise_get_one_number,
    a_proof_of_work_is_used_once_at_whichever_node,
    changes_are_kept_with_what_was_before,
    a_draw_gathers_people_and_opens_on_time,
    a_full_queue_takes_nobody_until_somebody_went_in,
    a_schedule_says_when_people_join_and_go_in,
    a_room_that_lets_everybody_pass_only_counts,
    a_ramp_moves_the_rate_until_it_is_set,
    claims_say_why_not,
    a_restart_keeps_everything,
    a_change_is_seen_by_other_handles,
    a_paused_room_lets_nobody_in,
    who_leaves_cannot_come_back,
    lanes_share_the_rate_and_are_never_lost,
    an_identity_has_one_place,
    a_place_goes_on_with_one_device,
    moves_outlive_a_restart_and_a_loss,
    rooms_are_apart,
    wrong_calls_are_refused,
);
