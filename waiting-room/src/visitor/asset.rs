//! The queue page's script and picture, its inlined style, and the policy it is sent with. The operator's screen
//! embeds its own files in the same shape.

use aws_lc_rs::digest;
use base64::Engine as _;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// Inlined in the page: one round trip is all it takes, and it holds when everything behind the door is away.
pub(crate) const STYLE: &str =
    concat!(include_str!("../../../templates/assets/tokens.css"), include_str!("../../../templates/assets/queue.css"));

/// `Cache-Control` of every asset: addresses carry `?v=`, so that a new version has a new address.
pub(crate) const CACHE_CONTROL: &str = "public, max-age=604800, immutable";

/// A file that never changes while the process runs.
pub(crate) struct Asset {
    /// What follows the prefix.
    pub(crate) path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) bytes: &'static [u8],
    /// With its quotes, as in the header.
    pub(crate) etag: String,
}

pub(crate) const CSS: &str = "text/css; charset=utf-8";
pub(crate) const JS: &str = "text/javascript; charset=utf-8";
pub(crate) const SVG: &str = "image/svg+xml";

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    vec![
        Asset::new("queue.js", JS, include_str!("../../../templates/assets/queue.js")),
        Asset::new("countdown.js", JS, include_str!("../../../templates/assets/countdown.js")),
        Asset::new("verify.js", JS, include_str!("../../../templates/assets/verify.js")),
        Asset::new("draw.js", JS, include_str!("../../../templates/assets/draw.js")),
        Asset::new("check.js", JS, include_str!("../../../templates/assets/check.js")),
        Asset::new("solve.js", JS, include_str!("../../../templates/assets/solve.js")),
        Asset::new("favicon.svg", SVG, include_str!("../../../templates/assets/favicon.svg")),
    ]
});

static VERSION: LazyLock<String> = LazyLock::new(|| version_of(&ASSETS));

// The one inlined style is allowed by its hash, so nobody else's is.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = digest::digest(&digest::SHA256, STYLE.as_bytes());
    let hash = base64::engine::general_purpose::STANDARD.encode(hash.as_ref());
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// `Content-Security-Policy` of the queue page and the notices.
pub(crate) fn content_security_policy() -> &'static str {
    &POLICY
}

/// The asset at `path`, which is what follows `/.waiting-room/assets/`, without the query.
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

impl Asset {
    /// Names the text's version by its hash.
    pub(crate) fn new(path: &'static str, content_type: &'static str, text: &'static str) -> Self {
        let etag = format!("\"{}\"", hex(&digest::digest(&digest::SHA256, text.as_bytes())));
        Self { path, content_type, bytes: text.as_bytes(), etag }
    }
}

/// One name for the versions of all `assets`.
pub(crate) fn version_of(assets: &[Asset]) -> String {
    let mut all = digest::Context::new(&digest::SHA256);
    for asset in assets {
        all.update(asset.etag.as_bytes());
    }
    hex(&all.finish())
}

/// The first eight bytes: a name for a version, not a proof.
fn hex(digest: &digest::Digest) -> String {
    digest.as_ref().iter().take(8).fold(String::new(), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}
