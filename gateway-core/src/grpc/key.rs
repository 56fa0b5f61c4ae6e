//! The key that the processes of one core show each other, as a bearer: calls that write or ask others for something are
//! not for strangers. What anybody may watch needs none.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

const HEADER: &str = "authorization";
const SCHEME: &str = "Bearer ";

/// What a stranger is told, and whoever runs a process without the right key.
const REFUSAL: &str =
    "this call is for processes of the same core: copy data/keys/services.key of this one to the caller";

/// Lets calls through that show the key.
#[derive(Clone)]
pub(crate) struct KeyCheck(Arc<[u8]>);

/// KeyShow the key with every call.
#[derive(Clone)]
pub(super) struct KeyShow(MetadataValue<Ascii>);

impl KeyCheck {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(key.trim_ascii().into())
    }
}

impl KeyShow {
    /// `None` if the key does not fit into a header.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        let key = std::str::from_utf8(key.trim_ascii()).ok()?;
        let mut bearer = MetadataValue::try_from(format!("{SCHEME}{key}")).ok()?;
        bearer.set_sensitive(true);
        Some(Self(bearer))
    }
}

impl Interceptor for KeyCheck {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let given = request.metadata().get(HEADER).map(MetadataValue::as_encoded_bytes);
        let given = given.and_then(|value| value.strip_prefix(SCHEME.as_bytes())).unwrap_or_default();
        if self.0.is_empty() || verify_slices_are_equal(given, &self.0).is_err() {
            return Err(Status::unauthenticated(REFUSAL));
        }
        Ok(request)
    }
}

impl Interceptor for KeyShow {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(HEADER, self.0.clone());
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(checks: &[u8], shows: &[u8]) -> bool {
        let shown = KeyShow::new(shows).expect("a header").call(Request::new(())).expect("passed on");
        KeyCheck::new(checks).call(shown).is_ok()
    }

    #[test]
    fn only_the_same_key_opens() {
        assert!(passes(b"a key", b"a key"));
        assert!(passes(b"a key\n", b" a key"), "as an editor may have left it");
        for other in [&b"a kex"[..], b"a ke", b"a key2", b"", b"A KEY"] {
            assert!(!passes(b"a key", other), "{other:?}");
        }
        assert!(!passes(b"", b""), "without a key nobody comes in");
        assert!(!passes(b" \n", b""));
    }

    #[test]
    fn who_shows_nothing_is_told_what_to_do() {
        for value in ["", "a key", "Basic a key", "bearer a key"] {
            let mut request = Request::new(());
            request.metadata_mut().insert(HEADER, value.parse().expect("a header"));
            let status = KeyCheck::new(b"a key").call(request).expect_err("a stranger");
            assert_eq!(status.code(), tonic::Code::Unauthenticated, "{value:?}");
            assert!(status.message().contains("data/keys/services.key"), "{status}");
        }
        assert!(KeyCheck::new(b"a key").call(Request::new(())).is_err());
    }

    #[test]
    fn a_key_that_is_no_header_is_found_before_it_is_used() {
        assert!(KeyShow::new(b"a\nb").is_none());
        assert!(KeyShow::new(&[0xff, 0xfe]).is_none());
        assert!(!format!("{:?}", KeyShow::new(b"secret").expect("a header").0).contains("secret"), "not for logs");
    }
}
