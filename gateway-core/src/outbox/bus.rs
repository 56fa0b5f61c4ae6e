//! How a message that waits reaches whoever is told. The rows of the outbox are the truth on every bus: a message is done
//! when its effect is committed, and not before.
//!
//! On the database's own bus, workers take messages from the rows. Redis Streams are for many processes: a relay takes them,
//! and puts an id and a fence into the stream of the consumer, whose group hands it to one of its workers without anybody
//! having to look. Nothing else is in Redis, no words and no state. If Redis loses an entry, or whoever had it dies, the
//! lease in the row ends and the message is relayed again; what comes twice is refused by its fence, or by the inbox.
//! While Redis is away workers take messages from the rows.

mod redis_streams;
#[cfg(test)]
mod tests;

pub(super) use redis_streams::Entry;
pub(crate) use redis_streams::RedisStreams;

/// Where processes hand each other messages.
#[derive(Clone)]
pub(crate) enum Bus {
    Database,
    RedisStreams(Box<RedisStreams>),
}

impl Bus {
    /// Reads `database`, or `redis://host:port/number`.
    ///
    /// # Errors
    /// What would fit, in a sentence.
    pub(crate) fn parse(setting: &str) -> Result<Self, String> {
        if setting == "database" {
            return Ok(Self::Database);
        }
        if !setting.starts_with("redis://") {
            return Err(String::from("bus must be \"database\" or redis://host:port/number"));
        }
        match RedisStreams::at(setting, "vestibule:bus") {
            Ok(streams) => Ok(Self::RedisStreams(Box::new(streams))),
            Err(error) => Err(format!("bus is no address of Redis: {error}")),
        }
    }

    /// The same for another worker.
    pub(crate) fn another(&self) -> Self {
        match self {
            Self::Database => Self::Database,
            Self::RedisStreams(streams) => Self::RedisStreams(Box::new(streams.another())),
        }
    }
}
