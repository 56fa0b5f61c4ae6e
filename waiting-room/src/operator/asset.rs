//! The dashboard's stylesheet and scripts, embedded; and the policy it is sent with.

use crate::visitor::asset::{Asset, CSS, JS, SVG, version_of};
use std::sync::LazyLock;

/// `Content-Security-Policy` of the operator's pages. No inline script or style, nothing from elsewhere.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    vec![
        Asset::new(
            "operator.css",
            CSS,
            concat!(
                include_str!("../../../templates/assets/tokens.css"),
                include_str!("../../../templates/assets/operator.css")
            ),
        ),
        Asset::new("operator.js", JS, include_str!("../../../templates/assets/operator.js")),
        Asset::new("chart.js", JS, include_str!("../../../templates/assets/chart.js")),
        Asset::new("favicon.svg", SVG, include_str!("../../../templates/assets/favicon.svg")),
    ]
});

static VERSION: LazyLock<String> = LazyLock::new(|| version_of(&ASSETS));

/// The asset at `path`, which is what follows `/assets/`, without the query.
pub(crate) fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

/// All of them.
#[cfg(test)]
pub(crate) fn all() -> &'static [Asset] {
    &ASSETS
}

/// What addresses carry as `?v=`.
pub(crate) fn version() -> &'static str {
    &VERSION
}
