//! Coupons: at most one for each customer, and never more than the campaign has. The keys and the counter decide.

mod store;
#[cfg(test)]
mod tests;

use crate::base::CustomerId;
use crate::db::{Db, DbError, Tx, in_tx};
use crate::metrics::{self, Coupon};

/// Characters of a code, from an alphabet without look-alikes.
const CODE_CHARS: usize = 10;
const CODE_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Issued {
    /// Theirs now.
    Now {
        code: String,
    },
    /// Theirs since before.
    Before {
        code: String,
    },
    /// All are given away.
    Gone,
    NoSuchCampaign,
}

/// Gives `customer` a coupon of `campaign`.
pub(crate) async fn issue(db: &Db, campaign: &str, customer: CustomerId) -> Result<Issued, DbError> {
    let issued = in_tx!(db, tx, { issue_in(tx, campaign, customer).await })?;
    metrics::coupon(match issued {
        Issued::Now { .. } => Coupon::Issued,
        Issued::Before { .. } => Coupon::Repeated,
        Issued::Gone => Coupon::Gone,
        Issued::NoSuchCampaign => Coupon::Refused,
    });
    Ok(issued)
}

/// The counter is taken first: its row lock is what the others wait for, and taken later it would deadlock with the
/// share lock that the coupon's foreign key puts on the same row.
async fn issue_in(tx: &mut Tx, campaign: &str, customer: CustomerId) -> Result<Issued, DbError> {
    if let Some(code) = store::code(tx, campaign, customer).await? {
        return Ok(Issued::Before { code });
    }
    if !store::take(tx, campaign).await? {
        return Ok(match store::exists(tx, campaign).await? {
            true => Issued::Gone,
            false => Issued::NoSuchCampaign,
        });
    }
    let code = new_code();
    match store::insert(tx, campaign, customer, &code).await {
        Ok(()) => Ok(Issued::Now { code }),
        // The same customer from two places at once: the counter is put back with the rest.
        Err(DbError::Duplicate) => {
            let code = store::code(tx, campaign, customer).await?.ok_or(DbError::Duplicate)?;
            Ok(tx.undo(Issued::Before { code }))
        }
        Err(error) => Err(error),
    }
}

fn new_code() -> String {
    let bytes: [u8; CODE_CHARS] = rand::random();
    bytes.iter().map(|byte| char::from(CODE_ALPHABET[usize::from(byte % 32)])).collect()
}
