//! The saga on its way: the process dies before and after every commit of an order's journey, and every message comes twice,
//! on both databases. Then `k6/books.py` asks the databases, and links nothing of ours.

use anyhow::Result;

use super::Finding;
use crate::servers::Bench;
use crate::story::{Book, count, tell};

const STORIES: [&str; 6] = [
    "paid_and_booked",
    "declined_and_given_up",
    "given_up_while_paying",
    "money_that_comes_too_late",
    "nobody_comes_back",
    "every_message_comes_twice",
];

pub(super) async fn measure(bench: &Bench) -> Result<Finding> {
    let server = bench.mariadb().await?;
    let mysql = format!("mysql://vestibule:vestibule@{}", server.address);
    let (mut parts, mut notes, mut held) = (Vec::new(), Vec::new(), true);
    for (database, name) in [("sqlite", "SQLite"), ("mariadb", "MariaDB")] {
        let (mut deaths, mut orders, mut broken) = (0, 0, 0_u32);
        for story in STORIES {
            let story = format!("payment::tests::crash::on::{story}::{database}");
            // A journey that breaks says nothing of itself: the checker stops it.
            match tell(bench, Book::Libraries, &story, Some(&mysql)) {
                Ok((figures, true)) => {
                    deaths += count(&figures, "deaths");
                    orders += count(&figures, "orders");
                    notes.push(format!("{name}: {figures}"));
                }
                Ok((figures, false)) => {
                    broken += 1;
                    notes.push(format!("{name}: broken: {figures}"));
                }
                Err(error) => {
                    broken += 1;
                    notes.push(format!("{name}: broken: {error:#}"));
                }
            }
        }
        held &= broken == 0 && deaths > 0;
        parts.push(format!("{name}: {deaths} deaths, {orders} orders, {broken} of {} journeys broken", STORIES.len()));
    }
    Ok(notes.into_iter().fold(Finding::new(held, parts.join("; ")), Finding::note))
}
