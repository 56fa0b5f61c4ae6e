//! The shop's stylesheet, scripts and pictures, embedded; and the policy its pages are sent with.

use aws_lc_rs::digest;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// `Content-Security-Policy` of every page. No inline script or style, nothing from elsewhere. Forms may end at another
/// site because paying redirects to the processor, and browsers hold `form-action` against redirects too.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self' http: https:; base-uri 'none'; frame-ancestors 'none'";

/// `Cache-Control` of every asset: addresses carry `?v=`, so that a new version has a new address.
pub(crate) const CACHE_CONTROL: &str = "public, max-age=604800, immutable";

/// A file that never changes while the process runs.
pub(crate) struct Asset {
    /// What follows `/static/`.
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) bytes: &'static [u8],
    /// With its quotes, as in the header.
    pub(crate) etag: String,
}

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    vec![
        new(
            "shop.css",
            CSS,
            concat!(
                include_str!("../../../templates/assets/tokens.css"),
                include_str!("../../../templates/assets/shop.css"),
                include_str!("../../../templates/assets/seats.css")
            ),
        ),
        new("shop.js", JS, include_str!("../../../templates/assets/shop.js")),
        new("seats.js", JS, include_str!("../../../templates/assets/seats.js")),
        new("favicon.svg", SVG, include_str!("../../../templates/assets/favicon.svg")),
        new(
            "posters/the-last-lighthouse.svg",
            SVG,
            include_str!("../../../templates/assets/posters/the-last-lighthouse.svg"),
        ),
        new("posters/paper-cities.svg", SVG, include_str!("../../../templates/assets/posters/paper-cities.svg")),
        new("posters/a-map-of-rain.svg", SVG, include_str!("../../../templates/assets/posters/a-map-of-rain.svg")),
        new("products/poster.svg", SVG, include_str!("../../../templates/assets/products/poster.svg")),
    ]
});

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut all = digest::Context::new(&digest::SHA256);
    for asset in ASSETS.iter() {
        all.update(asset.etag.as_bytes());
    }
    hex(&all.finish())
});

/// The asset at `path`, which is what follows `/static/`, without the query.
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

fn new(path: &'static str, content_type: &'static str, text: &'static str) -> Asset {
    let etag = format!("\"{}\"", hex(&digest::digest(&digest::SHA256, text.as_bytes())));
    Asset { path, content_type, bytes: text.as_bytes(), etag }
}

/// The first eight bytes: a name for a version, not a proof.
fn hex(digest: &digest::Digest) -> String {
    digest.as_ref().iter().take(8).fold(String::new(), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}
