//! Joiners as `join.lua` reads them, and what it answers. People of one lane who follow each other are one word.

use super::answer::{Learn, Seen, SnapshotAnswer, short};
use crate::line::{Given, Joined, Joiner, Refused, Session};
use redis::{FromRedisValue, ParsingError, Value, from_redis_value};

/// The arguments of a join.
pub(super) fn arguments(joiners: &[Joiner], nonce: u64) -> Vec<Vec<u8>> {
    let mut words = vec![format!("{nonce:016x}").into_bytes()];
    for run in joiners.chunk_by(|one, next| one.is_plain() && one == next) {
        let Some(Joiner { lane, identity, late, proof }) = run.first() else { continue };
        words.push(match (identity, late, proof) {
            (Some(identity), ..) => [format!("{lane}i").as_bytes(), &identity.0].concat(),
            (None, Some(name), _) => [format!("{lane}l").as_bytes(), &name.0].concat(),
            (None, None, Some(proof)) => [format!("{lane}p").as_bytes(), &proof.0].concat(),
            (None, None, None) => format!("{lane}x{}", run.len()).into_bytes(),
        });
    }
    words
}

/// The answer of `join`: a row of four for each word.
pub(super) struct JoinAnswer {
    seen: Seen,
    session_ms: i64,
    rows: Vec<u64>,
}

impl FromRedisValue for JoinAnswer {
    fn from_redis_value(value: Value) -> Result<JoinAnswer, ParsingError> {
        let (SnapshotAnswer(seen), session_ms, rows): (_, _, Vec<u64>) = from_redis_value(value)?;
        let whole = rows.len() % 4 == 0;
        whole.then_some(JoinAnswer { seen, session_ms, rows }).ok_or_else(|| short("a joiner"))
    }
}

impl JoinAnswer {
    pub(super) fn joined(self) -> Joined {
        let JoinAnswer { seen: Seen { snapshot, .. }, session_ms, rows } = self;
        let mut given = Vec::new();
        for row in rows.chunks_exact(4) {
            let &[what, number, count, admitted] = row else { continue };
            given.extend((0..count).map(|nth| match what {
                0 => {
                    let session = || Session::derive(snapshot.epoch, number + nth, 0, session_ms);
                    Given::New { number: number + nth, session: (nth < admitted).then(session) }
                }
                1 | 2 => Given::Known { number, used: what == 2 },
                _ => Given::Refused(match number {
                    0 => Refused::Full,
                    1 => Refused::Closed,
                    2 => Refused::NoLane,
                    _ => Refused::Proof,
                }),
            }));
        }
        Joined { given, snapshot }
    }
}

impl Learn for JoinAnswer {
    fn seen(&self) -> &Seen {
        &self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{Identity, Proof};

    #[test]
    fn who_follow_each_other_are_one_word() {
        let (one, other) = (Joiner::default(), Joiner { lane: 1, ..Joiner::default() });
        let known = Joiner { identity: Some(Identity([7; 16])), ..other };
        let late = Joiner { late: Some(Identity([9; 16])), ..other };
        let proved = Joiner { proof: Some(Proof([8; 16])), ..other };
        let words = arguments(&[one, one, one, other, known, known, late, proved, proved, one], 255);
        let [identity, promise, proof] =
            [(b"1i", 7), (b"1l", 9), (b"1p", 8)].map(|(kind, byte)| [kind.as_slice(), &[byte; 16]].concat());
        let wanted: [&[u8]; 9] =
            [b"00000000000000ff", b"0x3", b"1x1", &identity, &identity, &promise, &proof, &proof, b"0x1"];
        assert_eq!(words, wanted);
    }
}
