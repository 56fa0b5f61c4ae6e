//! The whole front door over real connections: a real listener in front, a real upstream behind, a real store.

mod abuse;
mod access;
mod autopilot;
mod draw;
mod forward;
mod harness;
mod journey;
mod operator;
mod outage;
mod resume;
mod rooms;
mod sessions;
mod smuggling;
