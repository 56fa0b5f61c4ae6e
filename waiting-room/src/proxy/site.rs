//! Whether a browser sent a request on behalf of another site. Asked where a cookie could be used or overwritten.

use http::HeaderMap;
use http::header::{HOST, HeaderName, ORIGIN};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// True if a browser says so, or if the `Origin` is not this host. Programs that are no browsers say neither.
pub(crate) fn is_cross_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let own = headers.get(HOST).and_then(|host| host.to_str().ok());
    let theirs = origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, host)| host);
    match (own, theirs) {
        (Some(own), Some(theirs)) => !own.eq_ignore_ascii_case(theirs),
        (Some(_) | None, None) | (None, Some(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn who_speaks_for_another_site() {
        let cross = |pairs: &[(&'static str, &'static str)]| {
            let mut headers: HeaderMap = pairs
                .iter()
                .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            headers.insert(HOST, HeaderValue::from_static("shop.example:8080"));
            is_cross_site(&headers)
        };
        assert!(!cross(&[]));
        assert!(!cross(&[("sec-fetch-site", "same-origin")]));
        assert!(!cross(&[("sec-fetch-site", "none")]));
        assert!(cross(&[("sec-fetch-site", "same-site")]));
        assert!(cross(&[("sec-fetch-site", "cross-site"), ("origin", "http://shop.example:8080")]));
        assert!(!cross(&[("origin", "http://shop.example:8080")]));
        assert!(cross(&[("origin", "http://shop.example")]));
        assert!(cross(&[("origin", "https://evil.example")]));
        assert!(cross(&[("origin", "null")]));
    }
}
