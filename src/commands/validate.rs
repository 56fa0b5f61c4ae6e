//! `vestibule validate`: the settings were read and are sound; says what they come to.

use anyhow::Result;
use waiting_room::check_settings;

use crate::config::{Config, SettingsError, without_password};

/// Prints what would run where. Mistakes have been told before this is reached.
pub(crate) fn run(config: &Config) -> Result<()> {
    let settings = &config.settings;
    check_settings(&settings.waiting_room, &config.access_files()?)
        .map_err(|error| SettingsError::new(error.to_string()))?;
    println!("The settings are valid.");
    println!("  data folder  {}", config.data_dir().display());
    println!("  front door   {}   store {}", settings.listen.door, without_password(&settings.waiting_room.store));
    println!("  core         {}   gRPC {}", settings.listen.core, settings.listen.core_grpc);
    println!("  database     {}", without_password(&settings.core.database_url));
    println!("  operator     {}", settings.listen.operator);
    for (name, room) in &settings.waiting_room.rooms {
        println!("  room {name}: {} per minute, {} open rules", room.rate_per_minute, room.open.len());
    }
    Ok(())
}
