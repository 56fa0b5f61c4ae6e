//! What visitors see of the waiting room: the queue page, notices, and the JSON API under `/.waiting-room/`. Decides
//! nothing about who may pass.

mod access;
mod api;
pub(crate) mod asset;
mod facts;
mod handover;
pub(crate) mod page;
mod reply;
mod seen;

pub(crate) use access::ask_for_code;
pub(crate) use api::{at_once, own};
pub(crate) use reply::{check, farewell, keep, refusal, waiting};

use http::{HeaderMap, Method, StatusCode};

use crate::door::Gate;
use crate::path::CanonicalPath;
use crate::proxy::Origin;
use crate::stock::Stock;

/// One request, as the pages and the API need it.
#[derive(Clone, Copy)]
pub(crate) struct Visit<'a> {
    pub(crate) gate: &'a Gate,
    pub(crate) stock: &'a Stock,
    pub(crate) origin: &'a Origin,
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    /// `None` if the path has no canonical form.
    pub(crate) path: Option<&'a CanonicalPath>,
    /// Status of the queue page.
    pub(crate) page_status: StatusCode,
}
