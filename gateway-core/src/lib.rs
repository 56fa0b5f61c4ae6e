//! stub
#[allow(dead_code, reason = "filled by the handlers")]
mod http {
    pub(crate) mod asset;
    pub(crate) mod page;
}
#[allow(dead_code, reason = "filled by the handlers")]
mod sandbox {
    pub(crate) mod page;
}
