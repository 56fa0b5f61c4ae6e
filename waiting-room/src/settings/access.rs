//! Who may join a room and by which lane: anybody, or whoever shows an access code or a token that the shop signed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::{BadSetting, RoomSettings, bad};

/// Who may join.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Everybody; a code or a token only says which lane.
    #[default]
    Open,
    /// Who shows a code or a token.
    Required,
}

/// Tokens (JWT) that say who somebody is. Their algorithm is that of the key: EdDSA, ES256 or RS256.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessTokens {
    /// File with the public keys: a JSON Web Key Set, or one key in PEM form.
    pub keys: PathBuf,
    /// `iss` of every token.
    pub issuer: String,
    /// `aud` of every token, or one of them.
    pub audience: String,
    /// The claim whose value, or list of values, says which lane.
    #[serde(default = "lane_claim")]
    pub lane_claim: String,
    /// Lanes by value of that claim; without an entry, the general lane.
    #[serde(default)]
    pub lanes: BTreeMap<String, String>,
}

fn lane_claim() -> String {
    "lane".to_owned()
}

/// Whether what a room asks for can be shown at all.
pub(super) fn check(name: &str, room: &RoomSettings) -> Result<(), BadSetting> {
    if room.access == Access::Required && room.access_codes.is_none() && room.access_tokens.is_none() {
        return Err(bad(format!("rooms.{name}.access"), "needs `access_codes` or `access_tokens` beside it"));
    }
    let empty = |tokens: &AccessTokens| tokens.issuer.is_empty() || tokens.audience.is_empty();
    if room.access_tokens.as_ref().is_some_and(empty) {
        return Err(bad(format!("rooms.{name}.access_tokens"), "needs an `issuer` and an `audience`"));
    }
    let known = room.lane_names();
    let mut named = room.access_tokens.iter().flat_map(|tokens| &tokens.lanes);
    if let Some((value, lane)) = named.find(|(_, lane)| !known.contains(&lane.as_str())) {
        let reason = format!("there is no lane \"{lane}\" in this room; it has {}", known.join(", "));
        return Err(bad(format!("rooms.{name}.access_tokens.lanes.{value}"), reason));
    }
    Ok(())
}
