//! Tickets: a signed place in line, kept by the visitor. HMAC-SHA256 over a length-delimited binary form, about a
//! microsecond to check. Says nothing about whether the place has been called: that is the line's business.

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::line::numbered;

/// First byte of a ticket. Another kind of credential must never verify as a ticket, so each has its own.
const KIND_TICKET: u8 = 1;
/// First byte of what the seed of a draw is derived from.
const KIND_DRAW_SEED: u8 = 2;
const KEY_ID_BYTES: usize = 4;
const MAC_BYTES: usize = 32;
/// epoch, lane, number, issued_at_ms
const FIXED_BYTES: usize = 8 + 1 + 8 + 8;
const GENERATION_BYTES: usize = 8;
/// Longest text that is looked at; one for the longest room name has 201 characters.
const TEXT_BYTES_MAX: usize = 256;

/// One place in the line of one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) room: String,
    /// Which life of the line the number belongs to; a line that was lost or drained starts a new one.
    pub(crate) epoch: u64,
    pub(crate) lane: u8,
    /// The number in the order of arrival in its lane, from 1.
    pub(crate) number: u64,
    pub(crate) issued_at_ms: i64,
    /// Of a place that went on with another device: the one of its newest ticket. Otherwise 0.
    pub(crate) generation: u64,
}

impl Ticket {
    /// The number as the line knows it.
    pub(crate) fn in_line(&self) -> u64 {
        numbered(usize::from(self.lane), self.number)
    }
}

/// The keys that sign and verify tickets. Knows how to hold one key; the key id in the ticket allows for more.
#[derive(Clone)]
pub(crate) struct TicketKeys {
    id: [u8; KEY_ID_BYTES],
    key: hmac::Key,
}

impl TicketKeys {
    pub(crate) fn new(secret: &[u8]) -> TicketKeys {
        let mut id = [0; KEY_ID_BYTES];
        // The id is public; a hash of the key with a prefix of its own tells nothing about the key.
        let mut named = b"vestibule ticket key id".to_vec();
        named.extend_from_slice(secret);
        for (to, from) in id.iter_mut().zip(digest::digest(&digest::SHA256, &named).as_ref()) {
            *to = *from;
        }
        TicketKeys { id, key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// What codes are derived with.
    pub(super) fn key(&self) -> &hmac::Key {
        &self.key
    }

    /// Signs a ticket; the text is safe in cookies, headers and JSON.
    pub(crate) fn mint(&self, ticket: &Ticket) -> String {
        let mut fields = Vec::with_capacity(FIXED_BYTES + GENERATION_BYTES);
        fields.extend_from_slice(&ticket.epoch.to_be_bytes());
        fields.push(ticket.lane);
        fields.extend_from_slice(&ticket.number.to_be_bytes());
        fields.extend_from_slice(&ticket.issued_at_ms.to_be_bytes());
        if ticket.generation > 0 {
            fields.extend_from_slice(&ticket.generation.to_be_bytes());
        }
        self.seal(KIND_TICKET, &ticket.room, &fields)
    }

    /// The ticket, if it is one of ours for this room. There is one answer to everything else: nothing is learnt
    /// from why a forgery failed.
    pub(crate) fn verify(&self, text: &str, room: &str) -> Option<Ticket> {
        let signed = self.unseal(text)?;
        let (key_id, ticket) = read(&signed)?;
        (key_id == self.id && ticket.room == room).then_some(ticket)
    }

    /// Signs the fields of one kind of credential for a room.
    pub(super) fn seal(&self, kind: u8, room: &str, fields: &[u8]) -> String {
        let mut bytes = Vec::with_capacity(2 + KEY_ID_BYTES + room.len() + fields.len() + MAC_BYTES);
        bytes.push(kind);
        bytes.extend_from_slice(&self.id);
        // Room names have at most 64 bytes, so the length fits.
        bytes.push(u8::try_from(room.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(room.as_bytes());
        bytes.extend_from_slice(fields);
        let tag = hmac::sign(&self.key, &bytes);
        bytes.extend_from_slice(tag.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What was signed with this key.
    pub(super) fn unseal(&self, text: &str) -> Option<Vec<u8>> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (signed, tag) = bytes.split_last_chunk::<MAC_BYTES>()?;
        hmac::verify(&self.key, signed, tag).ok()?;
        bytes.truncate(bytes.len() - MAC_BYTES);
        Some(bytes)
    }

    /// Room and fields of what was sealed as this kind with this key.
    pub(super) fn open<'a>(&self, signed: &'a [u8], kind: u8) -> Option<(&'a [u8], &'a [u8])> {
        let (key_id, room, fields) = parts(signed, kind)?;
        (key_id == self.id).then_some((room, fields))
    }

    /// The secret that a room's lots are drawn with: the same on every node with this key, nothing to store and nothing
    /// to lose, and nobody without the key can know it.
    pub(crate) fn draw_seed(&self, room: &str, epoch: u64) -> [u8; 32] {
        let mut bytes = vec![KIND_DRAW_SEED, u8::try_from(room.len()).unwrap_or(u8::MAX)];
        bytes.extend_from_slice(room.as_bytes());
        bytes.extend_from_slice(&epoch.to_be_bytes());
        let mut seed = [0; MAC_BYTES];
        seed.copy_from_slice(hmac::sign(&self.key, &bytes).as_ref());
        seed
    }
}

/// What a ticket says, believed by nobody: for its holder, who has no key to verify it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketClaims {
    /// The room.
    pub room: String,
    /// Which life of its line.
    pub epoch: u64,
    /// The index of the lane.
    pub lane: u8,
    /// The number in the order of arrival in its lane.
    pub number: u64,
}

impl TicketClaims {
    /// Reads a ticket's text without verifying it.
    pub fn read(text: &str) -> Option<TicketClaims> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (signed, _) = bytes.split_last_chunk::<MAC_BYTES>()?;
        let (_, ticket) = read(signed)?;
        Some(TicketClaims { room: ticket.room, epoch: ticket.epoch, lane: ticket.lane, number: ticket.number })
    }
}

/// The key that something says it was signed with, its room and its fields, if it is of this kind.
fn parts(signed: &[u8], kind: u8) -> Option<([u8; KEY_ID_BYTES], &[u8], &[u8])> {
    let (&of, rest) = signed.split_first()?;
    let (&key_id, rest) = rest.split_first_chunk::<KEY_ID_BYTES>()?;
    let (&length, rest) = rest.split_first()?;
    let (room, fields) = rest.split_at_checked(usize::from(length))?;
    (of == kind).then_some((key_id, room, fields))
}

/// The fields of a ticket, and the id of the key that it says it was signed with.
fn read(signed: &[u8]) -> Option<([u8; KEY_ID_BYTES], Ticket)> {
    let (key_id, room, rest) = parts(signed, KIND_TICKET)?;
    let (&epoch, rest) = rest.split_first_chunk::<8>()?;
    let (&lane, rest) = rest.split_first()?;
    let (&number, rest) = rest.split_first_chunk::<8>()?;
    let (&issued_at_ms, rest) = rest.split_first_chunk::<8>()?;
    // Only places that went on with another device have one: 0 is never written.
    let (&generation, rest) = if rest.is_empty() { (&[0; 8], rest) } else { rest.split_first_chunk::<8>()? };
    if !rest.is_empty() {
        return None;
    }
    let ticket = Ticket {
        room: String::from_utf8(room.to_vec()).ok()?,
        epoch: u64::from_be_bytes(epoch),
        lane,
        number: u64::from_be_bytes(number),
        issued_at_ms: i64::from_be_bytes(issued_at_ms),
        generation: u64::from_be_bytes(generation),
    };
    Some((key_id, ticket))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            room: "demo".to_owned(),
            epoch: 3,
            lane: 0,
            number: 48_211,
            issued_at_ms: 1_764_000_000_000,
            generation: 0,
        }
    }

    #[test]
    fn every_change_of_one_bit_is_refused() {
        let keys = TicketKeys::new(&[7; 32]);
        let text = keys.mint(&ticket());
        for index in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[index / 8] ^= 1 << (index % 8);
            if let Ok(changed) = String::from_utf8(bytes) {
                assert_eq!(keys.verify(&changed, "demo"), None, "bit {index}");
            }
        }
        for length in 0..text.len() {
            assert_eq!(keys.verify(&text[..length], "demo"), None, "cut to {length}");
        }
        assert_eq!(keys.verify(&format!("{text}A"), "demo"), None);
        assert_eq!(keys.verify(&format!("{text}="), "demo"), None);
    }

    #[test]
    fn another_room_or_key_is_refused() {
        let keys = TicketKeys::new(&[7; 32]);
        let text = keys.mint(&ticket());
        assert_eq!(keys.verify(&text, "other"), None);
        assert_eq!(TicketKeys::new(&[8; 32]).verify(&text, "demo"), None);
    }

    #[test]
    fn another_kind_is_refused_even_with_a_good_signature() {
        let keys = TicketKeys::new(&[7; 32]);
        let bytes = URL_SAFE_NO_PAD.decode(keys.mint(&ticket())).unwrap();
        for (index, value) in [(0, 2), (1, bytes[1] ^ 1)] {
            let mut signed = bytes[..bytes.len() - MAC_BYTES].to_vec();
            signed[index] = value;
            let tag = hmac::sign(&keys.key, &signed);
            signed.extend_from_slice(tag.as_ref());
            assert_eq!(keys.verify(&URL_SAFE_NO_PAD.encode(signed), "demo"), None);
        }
    }

    #[test]
    fn each_room_epoch_and_key_has_its_own_draw_seed() {
        let keys = TicketKeys::new(&[7; 32]);
        let seeds = [
            keys.draw_seed("demo", 1),
            keys.draw_seed("demo", 2),
            keys.draw_seed("demo2", 1),
            TicketKeys::new(&[8; 32]).draw_seed("demo", 1),
        ];
        assert_eq!(std::collections::BTreeSet::from(seeds).len(), 4);
        assert_eq!(seeds[0], TicketKeys::new(&[7; 32]).draw_seed("demo", 1));
    }

    proptest! {
        #[test]
        fn what_was_minted_is_read_back(
            room in "[a-z0-9-]{1,64}", epoch: u64, lane: u8, number: u64, issued_at_ms: i64, generation: u64, secret: [u8; 32],
        ) {
            let keys = TicketKeys::new(&secret);
            let ticket = Ticket { room: room.clone(), epoch, lane, number, issued_at_ms, generation };
            let text = keys.mint(&ticket);
            prop_assert!(text.len() <= TEXT_BYTES_MAX);
            prop_assert_eq!(keys.verify(&text, &room), Some(ticket));
            prop_assert_eq!(TicketClaims::read(&text), Some(TicketClaims { room, epoch, lane, number }));
        }

        #[test]
        fn noise_is_refused(text in "[A-Za-z0-9_-]{0,200}") {
            prop_assert_eq!(TicketKeys::new(&[7; 32]).verify(&text, "demo"), None);
        }
    }
}
