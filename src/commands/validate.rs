//! `vestibule validate`: the settings were read and are sound; says what they come to.

use anyhow::Result;
use waiting_room::check_settings;

use crate::config::{Config, SettingsError, without_password};
use crate::out::say;

/// Prints what would run where. Mistakes have been told before this is reached.
pub(crate) fn run(config: &Config) -> Result<()> {
    let settings = &config.settings;
    check_settings(&settings.waiting_room, &config.access_files()?)
        .map_err(|error| SettingsError::new(error.to_string()))?;
    say!("The settings are valid.");
    say!("  data folder  {}", config.data_dir().display());
    say!("  front door   {}   store {}", settings.listen.door, without_password(&settings.waiting_room.store));
    say!("  core         {}   gRPC {}", settings.listen.core, settings.listen.core_grpc);
    say!("  database     {}", without_password(&settings.core.database_url));
    say!("  operator     {}", settings.listen.operator);
    for (name, room) in &settings.waiting_room.rooms {
        say!("  room {name}: {} per minute, {} open rules", room.rate_per_minute, room.open.len());
    }
    Ok(())
}
