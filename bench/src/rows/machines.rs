//! The machines of reservations and payments against models that were written without them.

use std::time::Instant;

use anyhow::Result;

use super::Finding;
use crate::servers::Bench;
use crate::story::{Book, count, tell};

const STORIES: [&str; 2] = [
    "reservation::state::model_tests::random_events_do_what_the_model_says",
    "payment::state::model_tests::random_evidence_does_what_the_models_say",
];

pub(super) fn measure(bench: &Bench) -> Result<Finding> {
    let wanted = bench.runs(1_000_000, 100_000);
    let (mut events, mut held, mut differences) = (Vec::new(), true, 0);
    let began = Instant::now();
    for story in STORIES {
        let (figures, well) = tell(bench, Book::Libraries, story, None)?;
        differences += count(&figures, "differences");
        held &= well && count(&figures, "events") >= wanted;
        events.push(format!("{} in {}", count(&figures, "events"), figures["story"].as_str().unwrap_or_default()));
    }
    let measured = format!("{differences} differences; events: {}", events.join(", "));
    let took = format!("{:.1} s, building included", began.elapsed().as_secs_f64());
    Ok(Finding::new(held && differences == 0, measured).note(took))
}
