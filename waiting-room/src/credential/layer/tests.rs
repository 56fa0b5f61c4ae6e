//! The layer around an axum router, as the upstream uses it.

use axum::Router;
use axum::routing::any;
use http::StatusCode;
use tower::ServiceExt;

use super::*;
use crate::credential::{EntryGrant, EntrySigner, new_entry_key};
use crate::settings::Settings;

const NOW_MS: i64 = 1_764_000_000_000;

struct Shop {
    router: Router,
    signer: EntrySigner,
}

fn shop() -> Shop {
    let signer = EntrySigner::new(&new_entry_key()).unwrap();
    let verifier = Arc::new(EntryVerifier::from_jwks(&signer.jwks()).unwrap());
    let layer = EntryLayer::new(verifier, &Settings::default().rooms, Arc::new(|| NOW_MS)).unwrap();
    let router = Router::new()
        .route("/films", any(|| async { "films" }))
        .route("/{*rest}", any(|| async { "protected" }))
        .layer(layer);
    Shop { router, signer }
}

impl Shop {
    async fn get(&self, path: &str, token: Option<&str>) -> (StatusCode, String) {
        let mut request = Request::get(path);
        if let Some(token) = token {
            request = request.header("x-entry-token", token);
        }
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn token(&self, until_ms: i64) -> String {
        let grant = EntryGrant {
            room: "demo".to_owned(),
            ticket: "demo.1.0.1".to_owned(),
            session: "s".to_owned(),
            from_ms: NOW_MS - 60_000,
            until_ms,
        };
        self.signer.mint(&grant).unwrap()
    }
}

#[tokio::test]
async fn open_paths_need_nothing_and_all_others_an_entry() {
    let shop = shop();
    assert_eq!(shop.get("/films", None).await, (StatusCode::OK, "films".to_owned()));
    let (status, body) = shop.get("/screenings/a/seats", None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(body.contains("entry_required"), "{body}");
    let token = shop.token(NOW_MS + 60_000);
    assert_eq!(shop.get("/screenings/a/seats", Some(&token)).await, (StatusCode::OK, "protected".to_owned()));
    let (status, body) = shop.get("/screenings/a/seats", Some(&shop.token(NOW_MS - 1_000))).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(body.contains("entry_expired"), "{body}");
    let (status, body) = shop.get("/nowhere/at/all", Some("nonsense")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(body.contains("entry_required"), "{body}");
}

#[tokio::test]
async fn a_second_spelling_of_a_path_is_refused() {
    let shop = shop();
    let token = shop.token(NOW_MS + 60_000);
    for path in ["/%66ilms", "//films", "/films/../buy", "/screenings/%61/seats", "/films%2f", "/buy;x"] {
        let (status, body) = shop.get(path, Some(&token)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert!(body.contains("path_refused"), "{body}");
    }
}

#[tokio::test]
async fn rooms_are_found_as_at_the_door() {
    let signer = EntrySigner::new(&new_entry_key()).unwrap();
    let verifier = Arc::new(EntryVerifier::from_jwks(&signer.jwks()).unwrap());
    let other = RoomSettings { hosts: vec!["other.example".to_owned()], open: Vec::new(), ..RoomSettings::default() };
    let mut rooms = Settings::default().rooms;
    rooms.insert("other".to_owned(), other);
    let layer = EntryLayer::new(verifier, &rooms, Arc::new(|| NOW_MS)).unwrap();
    let router = Router::new().route("/{*rest}", any(|| async { "shop" })).layer(layer);
    let shop = Shop { router, signer };
    let status = async |host: &str, path: &str| {
        let request = Request::get(path).header("host", host).header("x-entry-token", shop.token(NOW_MS + 60_000));
        let response = shop.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        response.status()
    };
    assert_eq!(status("shop.example", "/buy").await, StatusCode::OK);
    assert_eq!(status("other.example", "/buy").await, StatusCode::FORBIDDEN, "a token of another room");
    assert_eq!(status("other.example", "/films").await, StatusCode::FORBIDDEN, "open in another room");
}
