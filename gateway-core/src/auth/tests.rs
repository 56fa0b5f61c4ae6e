//! Tokens: ours, for us, and in time.

use super::token::{TokenError, Tokens};
use crate::base::CustomerId;

const KEY: &[u8] = b"a key of thirty-two bytes, or so";
const HOUR_MS: i64 = 3_600_000;

#[test]
fn a_token_names_its_customer_until_it_expires() {
    let tokens = Tokens::new(KEY, HOUR_MS);
    let customer = CustomerId::new(1_000);
    let (token, lifetime_ms) = tokens.mint(customer, 0).expect("a token");
    assert_eq!(lifetime_ms, HOUR_MS);
    assert_eq!(tokens.verify(&token, HOUR_MS - 1_000), Ok(customer));
    assert_eq!(tokens.verify(&token, HOUR_MS), Err(TokenError::Expired));
}

#[test]
fn another_key_another_type_and_another_audience_are_refused() {
    let tokens = Tokens::new(KEY, HOUR_MS);
    let foreign = Tokens::new(b"some other key", HOUR_MS).mint(CustomerId::new(1), 0).expect("a token").0;
    assert_eq!(tokens.verify(&foreign, 0), Err(TokenError::Invalid));
    for (typ, aud) in [("JWT", "vestibule-core"), ("entry+jwt", "vestibule-core"), ("customer+jwt", "demo")] {
        let header = jsonwebtoken::Header { typ: Some(typ.to_owned()), ..jsonwebtoken::Header::default() };
        let claims = serde_json::json!({ "sub": CustomerId::new(1).to_string(), "aud": aud, "iat": 0, "exp": 9_999 });
        let token = jsonwebtoken::encode(&header, &claims, &jsonwebtoken::EncodingKey::from_secret(KEY));
        assert_eq!(tokens.verify(&token.expect("a token"), 0), Err(TokenError::Invalid), "{typ} {aud}");
    }
    for wrong in ["", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(tokens.verify(wrong, 0), Err(TokenError::Invalid), "{wrong}");
    }
}

mod stories {
    use super::super::*;
    use crate::testing::{World, clock, on_every_database};

    on_every_database!(registering_and_logging_in, guessing_is_slowed_down);

    fn auth(world: &World) -> Auth {
        Auth::new(world.db.clone(), clock(), super::KEY, super::HOUR_MS)
    }

    async fn registering_and_logging_in(world: &World) {
        let auth = auth(world);
        let password = || String::from("correct horse");
        let Ok(Registered::New(id)) = auth.register(" Ann@Example.org ", password()).await else { panic!("not new") };
        assert_eq!(auth.register("ann@example.org", password()).await.ok(), Some(Registered::Again(id)));
        let other = auth.register("ann@example.org", String::from("battery staple")).await;
        assert_eq!(other.ok(), Some(Registered::EmailTaken));
        assert_eq!(auth.log_in("ANN@example.org", password()).await.ok(), Some(LoggedIn::As(id)));
        assert_eq!(auth.log_in("ann@example.org", String::from("wrong wrong")).await.ok(), Some(LoggedIn::Wrong));
        assert_eq!(auth.log_in("nobody@example.org", password()).await.ok(), Some(LoggedIn::Wrong));
        assert_eq!(auth.email(id).await.expect("a read").as_deref(), Some("ann@example.org"));
        for (email, password) in [("no address", "long enough"), ("a@b@c", "long enough"), ("a@b", "short")] {
            let outcome = auth.register(email, password.to_owned()).await;
            assert!(matches!(outcome, Ok(Registered::Invalid(_))), "{email}: {outcome:?}");
        }
    }

    async fn guessing_is_slowed_down(world: &World) {
        let auth = auth(world);
        auth.register("a@b.c", String::from("correct horse")).await.expect("registered");
        for _ in 0..10 {
            assert_eq!(auth.log_in("a@b.c", String::from("guess guess")).await.ok(), Some(LoggedIn::Wrong));
        }
        let outcome = auth.log_in("a@b.c", String::from("correct horse")).await;
        assert!(matches!(outcome, Ok(LoggedIn::Throttled { retry_after_ms: 1.. })), "{outcome:?}");
    }
}
