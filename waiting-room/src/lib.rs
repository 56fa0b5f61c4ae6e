//! stub
#[allow(dead_code, reason = "filled by the handlers")]
mod visitor {
    pub(crate) mod asset;
    pub(crate) mod page;
}
#[allow(dead_code, reason = "filled by the handlers")]
mod operator {
    pub(crate) mod asset;
    pub(crate) mod page;
}
