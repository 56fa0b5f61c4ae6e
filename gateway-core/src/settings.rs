//! What the core is told when it starts, and why it may refuse to.

use serde::Deserialize;

use crate::db::{DbError, Durability};

/// Which parts of the core a process runs. Without a choice all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Services {
    /// Answers customers, and hears what became of payments.
    pub order: bool,
    /// Releases what has lapsed, and keeps the books in order.
    pub stock: bool,
    /// Asks the payment provider, and hears from it.
    pub payment: bool,
}

impl Services {
    /// The names of the parts.
    pub const NAMES: [&str; 3] = ["order", "stock", "payment"];

    /// All parts.
    pub const ALL: Self = Self { order: true, stock: true, payment: true };
}

impl TryFrom<Vec<String>> for Services {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        if let Some(unknown) = names.iter().find(|name| !Self::NAMES.contains(&name.as_str())) {
            return Err(format!("there is no service {unknown}: they are {}", Self::NAMES.join(", ")));
        }
        if names.is_empty() {
            return Err(format!("name at least one service of {}", Self::NAMES.join(", ")));
        }
        let has = |name: &str| names.iter().any(|named| named == name);
        Ok(Self { order: has("order"), stock: has("stock"), payment: has("payment") })
    }
}

/// The settings, with their defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `sqlite://data/core.db` or `mysql://user:password@host:3306/database`; several hosts of one cluster with commas.
    pub database_url: String,
    /// Starts although the database's settings may lose commits that were acknowledged: for tests.
    pub allow_lost_commits: bool,
    /// On SQLite: several processes with the part `order` share the file, and each writes down which requests it is at work
    /// on, instead of keeping that in memory. All of them must say so. On MariaDB it is always so.
    pub many_order_processes: bool,
    /// Where customers reach the shop, for return addresses.
    pub public_url: String,
    /// How long a login lasts.
    pub customer_token_ms: i64,
    /// How often lapsed holds and open payments are looked at.
    pub sweep_interval_ms: u64,
    /// Where the parts of the core hand each other messages: `database`, or `redis://host:port/number` where they run in
    /// processes of their own.
    pub bus: String,
    /// Which parts this process runs; the others run in processes on the same database and bus.
    pub services: Services,
    /// The gRPC of a process with the part `stock`, which takes all orders of stock of a process that lacks it:
    /// `http://host:port`. Empty: they are taken here.
    pub stock_url: String,
    /// The gRPC of a process with the part `payment`, which is told what it need not wait to find: `http://host:port`.
    /// Empty: it finds all by itself.
    pub payment_url: String,
    /// Where the payment provider is.
    pub processor_url: String,
    /// How long the payment provider may take for one call.
    pub processor_timeout_ms: u64,
    /// The largest request body.
    pub body_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            database_url: String::from("sqlite://data/core.db"),
            allow_lost_commits: false,
            many_order_processes: false,
            public_url: String::from("http://127.0.0.1:8080"),
            customer_token_ms: 12 * 3_600_000,
            sweep_interval_ms: 500,
            bus: String::from("database"),
            services: Services::ALL,
            stock_url: String::new(),
            payment_url: String::new(),
            processor_url: String::from("http://127.0.0.1:8083"),
            processor_timeout_ms: 5_000,
            body_bytes_max: 64 * 1024,
        }
    }
}

/// Keys that are not settings: they come from a secret store and are never shown.
#[derive(Clone)]
pub struct Secrets {
    /// Signs customers' tokens. At least 32 bytes.
    pub customer_key: Vec<u8>,
    /// Proves that a webhook comes from the payment provider.
    pub webhook_secret: Vec<u8>,
    /// Proves to the payment provider who we are.
    pub processor_key: Vec<u8>,
    /// Proves to the other processes of the same core that we are one of them. At least 32 bytes, one line of ASCII.
    pub services_key: Vec<u8>,
}

/// Why the core did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database does not answer. It may later.
    #[error("the core's database cannot be reached")]
    Unreachable(#[source] DbError),
    /// The database answers, but is not fit for use.
    #[error(transparent)]
    Database(DbError),
    /// A setting is.
    #[error("{0}")]
    Unfit(String),
}

impl From<DbError> for OpenError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Busy(_) | DbError::Unreachable(_) | DbError::CommitUnknown(_) | DbError::ReadOnly(_) => {
                Self::Unreachable(error)
            }
            DbError::Duplicate | DbError::Settings(_) | DbError::Statement(_) | DbError::Shape(_) => {
                Self::Database(error)
            }
        }
    }
}

/// The shortest key that HMAC-SHA256 gets its strength from.
const CUSTOMER_KEY_BYTES_MIN: usize = 32;

/// As long: who can show it takes stock.
const SERVICES_KEY_BYTES_MIN: usize = 32;

impl Settings {
    pub(crate) fn durability(&self) -> Durability {
        if self.allow_lost_commits { Durability::Waived } else { Durability::Demanded }
    }

    /// Refuses what could not work. The text names the setting and what fits.
    pub(crate) fn check(&self, secrets: &Secrets) -> Result<(), OpenError> {
        let unfit = |text: &str| Err(OpenError::Unfit(text.to_owned()));
        if self.customer_token_ms < 1_000 {
            return unfit("customer_token_ms must be at least 1000");
        }
        if !(10..=60_000).contains(&self.sweep_interval_ms) {
            return unfit("sweep_interval_ms must be from 10 to 60000");
        }
        if !(1..=60_000).contains(&self.processor_timeout_ms) {
            return unfit("processor_timeout_ms must be from 1 to 60000");
        }
        if !(1024..=16 * 1024 * 1024).contains(&self.body_bytes_max) {
            return unfit("body_bytes_max must be from 1024 to 16777216");
        }
        if secrets.customer_key.len() < CUSTOMER_KEY_BYTES_MIN {
            return unfit("the customer key must have at least 32 bytes");
        }
        if secrets.services_key.trim_ascii().len() < SERVICES_KEY_BYTES_MIN {
            return unfit("the services key must have at least 32 bytes");
        }
        for (name, url) in [("core.stock_url", &self.stock_url), ("core.payment_url", &self.payment_url)] {
            if !url.is_empty() && !is_plain_http(url) {
                return Err(OpenError::Unfit(format!(
                    "{name} must be http://host:port, the gRPC listener of another process of this core: the parts \
                     speak without TLS, on a network of their own"
                )));
            }
        }
        Ok(())
    }
}

/// A scheme, a host and a port, and nothing more.
fn is_plain_http(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    uri.scheme() == Some(&http::uri::Scheme::HTTP) && uri.port().is_some() && matches!(uri.path(), "" | "/")
}

#[cfg(test)]
mod tests {
    use super::{Secrets, Services, Settings};

    #[test]
    fn addresses_of_other_parts_are_hosts_with_ports_and_the_key_is_long() {
        let secrets = Secrets {
            customer_key: vec![7; 32],
            webhook_secret: Vec::new(),
            processor_key: Vec::new(),
            services_key: vec![b'k'; 32],
        };
        let check = |stock_url: &str, payment_url: &str, secrets: &Secrets| {
            let settings = Settings {
                stock_url: stock_url.to_owned(),
                payment_url: payment_url.to_owned(),
                ..Settings::default()
            };
            settings.check(secrets).map_err(|error| error.to_string())
        };
        for fits in ["", "http://127.0.0.1:8082", "http://stock.internal:8082/", "http://[::1]:8082"] {
            assert_eq!(check(fits, fits, &secrets), Ok(()), "{fits}");
        }
        for wrong in ["stock:8082", "http://stock", "https://stock:8082", "http://stock:8082/x", "redis://s:1", " "] {
            assert!(check(wrong, "", &secrets).is_err_and(|said| said.contains("core.stock_url")), "{wrong}");
            assert!(check("", wrong, &secrets).is_err_and(|said| said.contains("core.payment_url")), "{wrong}");
        }
        let short = Secrets { services_key: vec![b'k'; 31], ..secrets };
        assert!(check("", "", &short).is_err_and(|said| said.contains("services key")));
    }

    #[test]
    fn services_are_named_and_known() {
        let of = |names: &[&str]| Services::try_from(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&Services::NAMES), Ok(Services::ALL));
        assert_eq!(of(&["payment"]), Ok(Services { order: false, stock: false, payment: true }));
        assert!(of(&["payments"]).is_err_and(|error| error.contains("payments") && error.contains("order, stock")));
        assert!(of(&[]).is_err());
    }
}
