//! One story: a crowd comes, something breaks and is whole again, and then the judge looks at what everybody saw.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::crowd::{Crowd, Manners};
use crate::doors::Doors;
use crate::judge::{fullest, least_share, worst_window};
use crate::server::RedisProcess;
use crate::watch::Watch;

pub(crate) const RATE_PER_MINUTE: u64 = 1_200;
/// The people of one second.
pub(crate) const BURST: u64 = RATE_PER_MINUTE / 60;
/// After a fault has healed, the rate must be used again within this time.
const AGAIN_WITHIN: Duration = Duration::from_secs(5);
/// The least share of the rate in a short story, on a machine that does other things as well. What it really was is
/// printed, and `deploy/bench` holds long stories to the promise.
const SHARE_MIN: f64 = 0.6;
const MINUTE: Duration = Duration::from_secs(60);

/// The stories measure rates, so they run one after the other.
pub(crate) static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Whether the stories take as long as the promises say.
#[expect(clippy::disallowed_methods, reason = "how long tests take is not a setting of the program")]
pub(crate) fn is_long() -> bool {
    std::env::var("VESTIBULE_TEST_FAULTS_LONG").as_deref() == Ok("1")
}

/// A time in long stories, and in short ones.
pub(crate) fn seconds(long: u64, short: u64) -> Duration {
    Duration::from_secs(if is_long() { long } else { short })
}

pub(crate) struct World {
    pub(crate) redis: RedisProcess,
    pub(crate) doors: Doors,
    crowd: Crowd,
}

impl World {
    /// Three doors on a Redis of their own, and more people than go in during the story.
    pub(crate) async fn open(redis: RedisProcess) -> World {
        let store = format!("redis://127.0.0.1:{}/0", redis.port());
        World::on(redis, &store, 0, Vec::new()).await
    }

    pub(crate) async fn on(
        redis: RedisProcess,
        store: &str,
        gone_of_ten: usize,
        environment: Vec<(String, String)>,
    ) -> World {
        let doors = Doors::open(store, RATE_PER_MINUTE, BURST, environment).await;
        let stay = if is_long() { 4_400 } else { 800 };
        let visitors = stay * 10 / (10 - gone_of_ten);
        let ask_again_ms = if is_long() { u64::MAX } else { 2_000 };
        let crowd = Crowd::come(&doors, Manners { visitors, gone_of_ten, ask_again_ms });
        World { redis, doors, crowd }
    }
}

impl World {
    /// Until everybody has a number.
    pub(crate) async fn gather(&self) {
        self.crowd.is_here().await;
    }
}

/// Tells a story: `fault` breaks something, and is over when it is whole again.
pub(crate) async fn tell(name: &str, mut world: World, fault: impl AsyncFnOnce(&mut World)) {
    world.gather().await;
    let watch = Watch::begin(world.doors.signs()).await;
    sleep(seconds(10, 1)).await;
    fault(&mut world).await;
    sleep(AGAIN_WITHIN).await;
    let from = Instant::now();
    sleep(seconds(60, 5)).await;
    judge(name, &world, watch, (from, Instant::now())).await;
}

/// Prints what everybody saw, and holds it to the promises. `calm` is when the rate must be used.
pub(crate) async fn judge(name: &str, world: &World, watch: Watch, calm: (Instant, Instant)) {
    let (asked, unanswered) = watch.end().await;
    let came = world.doors.arrivals.lock().expect("arrivals").clone();
    let (mut times, lost, twice, turned_away, tickets) = {
        let seen = world.crowd.seen.lock().expect("seen");
        let times = came.iter().map(|(who, at)| (seen.asked.get(who).map_or(*at, |asked| *asked.min(at)), *at));
        (times.collect::<Vec<_>>(), seen.lost.clone(), seen.twice.clone(), seen.turned_away.clone(), seen.ticketed)
    };
    times.sort_by_key(|(_, came)| *came);
    let arrivals: Vec<Instant> = times.iter().map(|(_, came)| *came).collect();
    let strict: Vec<_> = arrivals.iter().map(|at| (*at, *at)).collect();
    let worst = worst_window(&times, RATE_PER_MINUTE, BURST, MINUTE);
    // Who was let in and heard of it late comes late, perhaps together with others.
    let on_arrival = worst_window(&strict, RATE_PER_MINUTE, BURST, MINUTE);
    let window = MINUTE.min(calm.1 - calm.0);
    let share = least_share(&arrivals, RATE_PER_MINUTE, calm, window);
    let found = json!({
        "story": name, "long": is_long(), "tickets": tickets, "lost": lost.len(), "twice": twice.len(),
        "turned_away": turned_away.len(), "came_in": arrivals.len(),
        "over": worst.over(), "over_on_arrival": on_arrival.over(),
        "worst_window": format!("{} in {} ms, {} allowed", on_arrival.people, on_arrival.window_ms, on_arrival.allowed),
        "fullest_minute": fullest(&arrivals, MINUTE), "minute_allows": RATE_PER_MINUTE + BURST,
        "asked": asked, "unanswered": unanswered.len(), "share": share, "share_over_s": window.as_secs_f64(),
    });
    eprintln!("\n{found}");
    let first = |what: &[String]| what.iter().take(5).cloned().collect::<Vec<_>>();
    assert_eq!(first(&lost), Vec::<String>::new(), "no place is lost");
    assert_eq!(first(&twice), Vec::<String>::new(), "no number twice");
    assert_eq!(first(&turned_away), Vec::<String>::new(), "an entry opens the door");
    assert_eq!(first(&unanswered), Vec::<String>::new(), "page and poll answer in time");
    assert!(asked > 2, "the doors were asked");
    assert_eq!(worst.over(), 0, "too many: {found}");
    assert!(share > SHARE_MIN, "the rate again: {found}");
}
