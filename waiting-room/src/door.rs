//! Who may pass: the verdict for one request, the proof that forwarding consumes, and what a node knows of each room.
//! Renders nothing and forwards nothing.

mod access;
mod book;
mod desk;
mod gate;
mod heal;
mod joining;
mod late;
mod lots;
mod moved;
mod opening;
mod pace;
mod pass;
mod promise;
mod reach;
mod renewal;
mod report;
mod room;
mod shut;
mod stand_in;
mod steer;
mod verdict;
mod wait;
mod without;

pub(crate) use access::Access;
pub use access::AccessFiles;
pub(crate) use desk::{Comer, NotJoined};
pub(crate) use gate::{Gate, Gone, Grant, Standing, Status, Turn};
pub(crate) use late::Held;
pub(crate) use moved::NotResumed;
pub(crate) use pass::Admitted;
pub(crate) use promise::Outcome;
pub(crate) use room::{Room, Rooms};
pub(crate) use shut::Shut;
pub(crate) use steer::Steered;
pub(crate) use verdict::{Arrival, Reads, Verdict, line_unavailable, moved_problem, proof, shown};
pub(crate) use wait::{Eta, Place, eta, is_near, poll_after_ms};
