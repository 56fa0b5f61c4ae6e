//! What a room does while the line's store is away. Whatever it is, those inside go on and the page stays up.

use serde::Deserialize;

use super::{BadSetting, bad};

/// Most nodes that can share a rate.
const LOCAL_NODES_MAX: u32 = 1_000;

/// Who goes in while the store is away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStoreLoss {
    /// Nobody.
    #[default]
    Hold,
    /// Each node lets in its part of the rate, the rate divided by `local_nodes`, and has its part of the places that are
    /// free under `max_active`.
    Local,
    /// Everybody, uncounted by the rate.
    Open,
}

impl OnStoreLoss {
    /// Its name in settings, answers and labels.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            OnStoreLoss::Hold => "hold",
            OnStoreLoss::Local => "local",
            OnStoreLoss::Open => "open",
        }
    }

    /// `nodes`: as the room's `local_nodes` says; a node cannot know by itself how many there are.
    pub(super) fn check(self, nodes: u32, room: &str) -> Result<(), BadSetting> {
        let name = format!("rooms.{room}.local_nodes");
        match (self, nodes) {
            (OnStoreLoss::Local, 0) => Err(bad(name, "must say how many nodes share the rate while the store is away")),
            (_, nodes) if nodes > LOCAL_NODES_MAX => Err(bad(name, format!("must be at most {LOCAL_NODES_MAX}"))),
            (OnStoreLoss::Hold | OnStoreLoss::Local | OnStoreLoss::Open, _) => Ok(()),
        }
    }
}
