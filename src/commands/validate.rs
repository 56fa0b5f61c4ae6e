//! `vestibule validate`: the settings were read and are sound; says what they come to.

use anyhow::Result;

use crate::config::Config;

/// Prints what would run where. Mistakes have been told before this is reached.
pub(crate) fn run(config: &Config) -> Result<()> {
    let settings = &config.settings;
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

/// `mysql://user:secret@host/db` without the secret.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    match rest.rsplit_once('@') {
        Some((login, host)) => {
            let user = login.split_once(':').map_or(login, |(user, _)| user);
            format!("{scheme}://{user}:…@{host}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn a_password_is_never_printed() {
        assert_eq!(without_password("mysql://shop:s3cr3t@db:3306/core"), "mysql://shop:…@db:3306/core");
        assert_eq!(without_password("redis://:p@ss@h/0"), "redis://:…@h/0");
        assert_eq!(without_password("sqlite://data/core.db"), "sqlite://data/core.db");
        assert_eq!(without_password("memory"), "memory");
    }
}
