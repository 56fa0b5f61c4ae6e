//! Refuses what another site makes a browser send. Only where a cookie could speak for the customer: a bearer token
//! cannot be sent by another site.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::problem::{Code, Problem};
use super::visitor::bearer;

/// The layer.
pub(super) async fn layer(State(app): State<App>, request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if safe || bearer(request.headers()).is_some() || is_own(request.headers(), &app.settings.public_url) {
        return next.run(request).await;
    }
    Problem::new(Code::CrossSite).detail("Send this from our own pages, or with a bearer token.").into_response()
}

/// Browsers say where a request comes from; what says nothing is no browser.
fn is_own(headers: &HeaderMap, public_url: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    match (text("sec-fetch-site"), text("origin")) {
        (Some("same-origin" | "none"), _) | (None, None) => true,
        (Some(_), _) => false,
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            let ours = [text("x-forwarded-host"), text(header::HOST.as_str())];
            origin == public_url.trim_end_matches('/') || (host.is_some() && ours.contains(&host))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(pairs: &[(&str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(
                name.parse::<header::HeaderName>().expect("a header name"),
                value.parse().expect("a header value"),
            );
        }
        is_own(&headers, "https://shop.example")
    }

    #[test]
    fn other_sites_are_refused() {
        assert!(own(&[]));
        assert!(own(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(own(&[("origin", "https://shop.example")]));
        assert!(own(&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")]));
        assert!(!own(&[("sec-fetch-site", "cross-site")]));
        assert!(!own(&[("sec-fetch-site", "same-site"), ("host", "b.example"), ("origin", "https://b.example")]));
        assert!(!own(&[("origin", "https://evil.example"), ("host", "shop.example")]));
        assert!(!own(&[("origin", "null"), ("host", "shop.example")]));
    }
}
