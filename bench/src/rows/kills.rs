//! `kill -9` of the core and of its database under load, and what the buyers were told held against the database.

use anyhow::Result;

use super::Finding;
use crate::servers::Bench;
use crate::story::{Book, count, tell};

const STORIES: [(&str, &str); 3] = [
    ("kill::core_and_mariadb", "core, MariaDB, or both, each in two of three"),
    ("kill::core_on_sqlite", "core on SQLite"),
    ("kill::writer_of_galera", "the writer of three Galera nodes"),
];

pub(super) fn measure(bench: &Bench) -> Result<Finding> {
    let (mut parts, mut held, mut notes) = (Vec::new(), true, Vec::new());
    for (story, what) in STORIES {
        let (figures, well) = tell(bench, Book::Faults, story, None)?;
        let [faults, acknowledged, lost, doubled, changed] =
            ["faults", "acknowledged", "lost", "doubled", "answers_changed"].map(|name| count(&figures, name));
        held &= well && acknowledged > 0 && lost + doubled + changed == 0;
        parts.push(format!(
            "{what}: {faults} kills, {acknowledged} orders acknowledged, {lost} lost, {doubled} doubled"
        ));
        notes.push(figures.to_string());
    }
    Ok(notes.into_iter().fold(Finding::new(held, parts.join("; ")), Finding::note))
}
