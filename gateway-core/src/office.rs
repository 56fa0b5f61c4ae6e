//! What an operator does in the core's database without a running core: seeding a catalogue.

use crate::base::Clock;
use crate::catalogue::{self, Catalogue, SeedError, Seeded};
use crate::db::Db;
use crate::schema;
use crate::settings::OpenError;

/// The core's database, for operators. Cheap to clone.
#[derive(Clone)]
pub struct Office {
    db: Db,
}

impl Office {
    /// Connects once and brings the schema up to date, as the core does.
    ///
    /// # Errors
    /// [`OpenError::Unreachable`] may pass by itself; the others need a change of the settings.
    pub async fn open(database_url: &str, clock: Clock) -> Result<Self, OpenError> {
        let db = Db::connect(database_url, clock).await?;
        db.migrate(&schema::MIGRATIONS).await?;
        Ok(Self { db })
    }

    /// Stores what is not there yet. What is there stays as it is, and is told where it differs. `progress` hears how
    /// much of [`Catalogue::size`] is done.
    ///
    /// # Errors
    /// Something in the catalogue does not fit, or the database fails.
    pub async fn seed(&self, catalogue: &Catalogue, progress: &(dyn Fn(u64) + Sync)) -> Result<Seeded, SeedError> {
        catalogue::seed_telling(&self.db, catalogue, progress).await
    }
}
