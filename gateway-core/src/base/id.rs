//! Ids: 16 bytes in the database, `prefix_` and 32 hex digits outside. Version 7, so that they sort by time.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal $(, $also:literal)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id that sorts by `now_ms`.
            pub fn new(now_ms: i64) -> Self {
                Self(fresh(now_ms))
            }

            /// The id that follows from `seed`: the same seed, the same id. Used so that a repeated call finds
            /// the row which its first run wrote.
            pub fn derived(seed: [u8; 16]) -> Self {
                Self(uuid::Builder::from_custom_bytes(seed).into_uuid())
            }

            /// Reads the outside form. `None` for anything else.
            pub fn parse(text: &str) -> Option<Self> {
                let hex = text.strip_prefix($prefix)$(.or_else(|| text.strip_prefix($also)))*?;
                parse_hex(hex).map(Self)
            }

            /// Reads the database's form.
            pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map(Self)
            }

            /// The database's form.
            pub(crate) fn to_bytes(self) -> Vec<u8> {
                self.0.as_bytes().to_vec()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                Self::parse(&text).ok_or_else(|| D::Error::custom(concat!("no ", stringify!($name))))
            }
        }
    };
}

id!(
    /// A customer: `cust_…`.
    CustomerId,
    "cust_"
);
id!(
    /// A reservation. Shown as `hold_…` while it is a hold and as `order_…` once it is an order; both name it.
    ReservationId,
    "order_",
    "hold_"
);
id!(
    /// A payment transaction: `trans_…`.
    TransactionId,
    "trans_"
);
id!(
    /// One try at one payment provider: `att_…`.
    AttemptId,
    "att_"
);
id!(
    /// Money given back: `refund_…`.
    RefundId,
    "refund_"
);
id!(
    /// What one part of the core tells another: `msg_…`.
    MessageId,
    "msg_"
);

impl From<AttemptId> for MessageId {
    /// The message that asks for a try has the try's id: asked twice, it is the same message.
    fn from(id: AttemptId) -> Self {
        Self(id.0)
    }
}

impl ReservationId {
    /// The form that is shown while it is a hold.
    pub fn as_hold(self) -> String {
        format!("hold_{}", self.0.simple())
    }
}

fn fresh(now_ms: i64) -> Uuid {
    let millis = u64::try_from(now_ms).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
}

/// Exactly 32 lower-case hex digits: one id has one spelling.
fn parse_hex(hex: &str) -> Option<Uuid> {
    let plain = hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if plain { Uuid::try_parse(hex).ok() } else { None }
}
