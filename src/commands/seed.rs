//! `vestibule seed FILE`: a catalogue from a file into the core's database. All of it is looked through before any of it is
//! stored, what is there stays as it is, and a seeding that was interrupted goes on where it stopped.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use gateway_core::catalogue::{Catalogue, SeedError, Seeded};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::SeedArgs;
use crate::config::Config;
use crate::failure::{Down, Misused, Unfit};
use crate::out::say;

/// The format, for whoever has to mend a file.
const FORMAT: &str = "docs/catalogue.md says what can stand where";

/// Stores the file, with a bar on a terminal and a summary at the end.
pub(crate) async fn run(arguments: &SeedArgs, config: Config) -> Result<()> {
    let file = arguments.file.display();
    let catalogue = read(&arguments.file)?;
    let office = super::office(config).await?;
    let bar = ProgressBar::new(catalogue.size());
    let template = "{bar:30} {human_pos} of {human_len} rows, {eta} left";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let started = Instant::now();
    let seeded = office.seed(&catalogue, &|rows| bar.inc(rows)).await;
    bar.finish_and_clear();
    match seeded {
        Ok(seeded) => {
            summarise(&seeded, &format!("{file}, {:.1} s", started.elapsed().as_secs_f64()));
            Ok(())
        }
        Err(SeedError::Invalid(faults)) => {
            let faults: Vec<String> = faults.iter().map(|fault| format!("  {fault}")).collect();
            let faults = faults.join("\n");
            Err(Unfit(format!("{file} cannot be stored, and nothing of it was:\n{faults}\n{FORMAT}")).into())
        }
        Err(SeedError::Db(error)) => {
            let error = anyhow::Error::new(error);
            Err(Down(format!("the database failed: {error:#}. Run the same again: it goes on from there")).into())
        }
    }
}

/// Reads TOML or JSON, by the ending of the name. What is wrong is told with its line.
fn read(path: &Path) -> Result<Catalogue> {
    let file = path.display();
    let text = fs::read_to_string(path).map_err(|error| Misused(format!("{file} cannot be read: {error}")))?;
    let catalogue = match path.extension().and_then(|ending| ending.to_str()) {
        Some("toml") => toml::from_str(&text).map_err(|error| error.to_string()),
        Some("json") => serde_json::from_str(&text).map_err(|error| error.to_string()),
        _ => return Err(Misused(format!("{file}: the name of a catalogue ends with .toml or .json")).into()),
    };
    catalogue.map_err(|reason| Unfit(format!("{file} is not a catalogue: {}\n{FORMAT}", reason.trim_end())).into())
}

fn summarise(seeded: &Seeded, what: &str) {
    say!("Stored what was new of {what}");
    for (name, count) in [
        ("sales", seeded.sales),
        ("films", seeded.films),
        ("screenings", seeded.screenings),
        ("seats", seeded.seats),
        ("products", seeded.products),
        ("campaigns", seeded.campaigns),
    ] {
        say!("  {name:<11} {count}");
    }
    if !seeded.differences.is_empty() {
        say!("Left as it was, because it was there before and may have been sold like that:");
    }
    for difference in &seeded.differences {
        say!("  {difference}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let error = read(&path).unwrap_err();
        format!("{error} {:?}", crate::failure::exit_code(&error))
    }

    #[test]
    fn mistakes_are_told_with_file_and_line() {
        let toml = told("a.toml", "[[sales]]\nid = 7\n");
        assert!(toml.contains("a.toml") && toml.contains("line 2"), "{toml}");
        let json = told("a.json", "{\n  \"sales\": [{ \"id\": \"x\", \"hold\": 1 }]\n}");
        assert!(json.contains("line 2") && json.contains("unknown field `hold`"), "{json}");
        let time = told("a.toml", "sales = []\n[[films]]\nid = \"f\"\nminutes = \"long\"\n");
        assert!(time.contains("line 4"), "{time}");
    }

    #[test]
    fn a_file_that_is_not_there_or_not_named_so_is_wrong_usage() {
        let none = read(Path::new("nowhere.toml")).unwrap_err();
        assert!(none.downcast_ref::<Misused>().is_some(), "{none}");
        assert!(told("a.yaml", "").contains(".toml or .json"));
    }

    #[test]
    fn the_example_is_a_catalogue() {
        let example = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/catalogue.toml")).unwrap();
        assert!(example.size() > 20, "{}", example.size());
    }
}
