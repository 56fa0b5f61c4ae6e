//! Provisional tickets: that somebody came, and when, signed by a node that could not ask the line for a number. Any
//! node with the same keys honours one, so nobody loses by the death of the node that gave it.

use super::ticket::TicketKeys;

/// A provisional ticket that has not become a number for so long is none any more, in milliseconds: its holder was away
/// for longer than the store, and whoever it came before has long been served.
pub(crate) const PROVISIONAL_MS: i64 = 12 * 60 * 60 * 1_000;

/// First byte of a provisional ticket; 1 is a ticket, 2 what a draw's seed is derived from.
const KIND_PROVISIONAL: u8 = 3;
/// arrived_at_ms, name, lane
const FIXED_BYTES: usize = 8 + 16 + 1;

/// Somebody who came while nobody could give numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provisional {
    pub(crate) room: String,
    pub(crate) arrival: Arrival,
}

impl Provisional {
    /// Whether it still stands for a place at this time.
    pub(crate) fn holds(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.arrival.at_ms) < PROVISIONAL_MS
    }
}

/// What tells provisional tickets of a room apart, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrival {
    /// By the store's clock as the node last knew it, so that nodes agree on who came first.
    pub(crate) at_ms: i64,
    /// Under this name its holder joins the line: all copies have the same, and no two tickets do.
    pub(crate) name: [u8; 16],
    /// The index of the lane they may use.
    pub(crate) lane: u8,
}

impl Arrival {
    /// The `nth` ticket of one run of a node.
    pub(crate) fn new(at_ms: i64, node: u64, nth: u64, lane: u8) -> Arrival {
        Arrival { at_ms, name: (u128::from(node) << 64 | u128::from(nth)).to_be_bytes(), lane }
    }

    /// The name in entry tokens.
    pub(crate) fn label(&self) -> String {
        format!("provisional-{:032x}", u128::from_be_bytes(self.name))
    }
}

impl TicketKeys {
    /// Signs a provisional ticket; the text stands where a ticket's would.
    pub(crate) fn mint_provisional(&self, ticket: &Provisional) -> String {
        let mut fields = Vec::with_capacity(FIXED_BYTES);
        fields.extend_from_slice(&ticket.arrival.at_ms.to_be_bytes());
        fields.extend_from_slice(&ticket.arrival.name);
        fields.push(ticket.arrival.lane);
        self.seal(KIND_PROVISIONAL, &ticket.room, &fields)
    }

    /// The provisional ticket, if it is one of ours for this room.
    pub(crate) fn verify_provisional(&self, text: &str, room: &str) -> Option<Provisional> {
        let signed = self.unseal(text)?;
        let (of, fields) = self.open(&signed, KIND_PROVISIONAL)?;
        let (&at_ms, rest) = fields.split_first_chunk::<8>()?;
        let (&name, rest) = rest.split_first_chunk::<16>()?;
        let &[lane] = rest else { return None };
        let arrival = Arrival { at_ms: i64::from_be_bytes(at_ms), name, lane };
        (of == room.as_bytes()).then(|| Provisional { room: room.to_owned(), arrival })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Ticket, TicketClaims};
    use super::*;

    proptest! {
        #[test]
        fn what_was_minted_is_read_back_and_is_no_ticket(
            room in "[a-z0-9-]{1,64}", lane: u8, at_ms: i64, node: u64, nth: u64, secret: [u8; 32],
        ) {
            let keys = TicketKeys::new(&secret);
            let ticket = Provisional { room: room.clone(), arrival: Arrival::new(at_ms, node, nth, lane) };
            let text = keys.mint_provisional(&ticket);
            prop_assert_eq!(keys.verify_provisional(&text, &room), Some(ticket));
            prop_assert_eq!(keys.verify(&text, &room), None);
            prop_assert_eq!(TicketClaims::read(&text), None);
            let other_room = format!("{room}x");
            prop_assert_eq!(keys.verify_provisional(&text, &other_room), None);
        }

        #[test]
        fn noise_is_refused(text in "[A-Za-z0-9_-]{0,200}") {
            prop_assert_eq!(TicketKeys::new(&[7; 32]).verify_provisional(&text, "demo"), None);
        }
    }

    #[test]
    fn a_ticket_and_another_key_are_refused() {
        let keys = TicketKeys::new(&[7; 32]);
        let ticket = Ticket { room: "demo".to_owned(), epoch: 1, lane: 0, number: 1, issued_at_ms: 0, generation: 0 };
        assert_eq!(keys.verify_provisional(&keys.mint(&ticket), "demo"), None);
        let provisional = Provisional { room: "demo".to_owned(), arrival: Arrival::new(1, 2, 3, 0) };
        assert_eq!(provisional.arrival.label(), "provisional-00000000000000020000000000000003");
        let text = keys.mint_provisional(&provisional);
        assert_eq!(TicketKeys::new(&[8; 32]).verify_provisional(&text, "demo"), None);
        for index in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[index / 8] ^= 1 << (index % 8);
            if let Ok(changed) = String::from_utf8(bytes) {
                assert_eq!(keys.verify_provisional(&changed, "demo"), None, "bit {index}");
            }
        }
    }
}
