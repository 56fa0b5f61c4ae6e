//! Forgeries and mix-ups of entry tokens: all refused, with and without the cache.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::credential::{EntryGrant, EntrySigner, new_entry_key};

const NOW_MS: i64 = 1_764_000_000_000;

fn grant() -> EntryGrant {
    EntryGrant {
        room: "demo".to_owned(),
        ticket: "demo.7.0.12".to_owned(),
        session: "s1".to_owned(),
        from_ms: NOW_MS,
        until_ms: NOW_MS + 60_000,
    }
}

fn door() -> (Vec<u8>, EntrySigner, EntryVerifier) {
    let key = new_entry_key();
    let signer = EntrySigner::new(&key).unwrap();
    let verifier = EntryVerifier::from_jwks(&signer.jwks()).unwrap();
    (key, signer, verifier)
}

fn kid(signer: &EntrySigner) -> String {
    let set: Value = serde_json::from_str(&signer.jwks()).unwrap();
    set["keys"][0]["kid"].as_str().unwrap().to_owned()
}

fn claims() -> Value {
    json!({"aud": "demo", "sub": "demo.7.0.12", "jti": "s1", "iat": NOW_MS / 1000, "exp": NOW_MS / 1000 + 60})
}

/// A token signed with the real key over whatever header and claims one likes.
fn signed(key: &[u8], header: &Value, claims: &Value) -> String {
    let message = message(header, claims);
    let pair = Ed25519KeyPair::from_pkcs8(key).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes())))
}

fn message(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

#[test]
fn a_fresh_token_is_an_entry_until_its_last_second() {
    let (_, signer, verifier) = door();
    let token = signer.mint(&grant()).unwrap();
    assert_eq!(verifier.verify(&token, "demo", NOW_MS), Ok(()));
    assert_eq!(verifier.verify(&token, "demo", NOW_MS + 59_999), Ok(()));
    // From the cache: expiry must be judged again.
    assert_eq!(verifier.verify(&token, "demo", NOW_MS + 60_000), Err(EntryRefused::Expired));
    assert_eq!(verifier.verify(&token, "other", NOW_MS), Err(EntryRefused::Invalid));
}

#[test]
fn every_change_of_one_bit_is_refused() {
    let (_, signer, verifier) = door();
    let token = signer.mint(&grant()).unwrap();
    for index in 0..token.len() * 8 {
        let mut bytes = token.clone().into_bytes();
        bytes[index / 8] ^= 1 << (index % 8);
        if let Ok(changed) = String::from_utf8(bytes) {
            assert_eq!(verifier.verify(&changed, "demo", NOW_MS), Err(EntryRefused::Invalid), "bit {index}");
        }
    }
    assert_eq!(verifier.verify(&token, "demo", NOW_MS), Ok(()));
}

#[test]
fn a_good_signature_is_not_enough() {
    let (key, signer, verifier) = door();
    let kid = kid(&signer);
    let good = json!({"alg": "EdDSA", "typ": "entry+jwt", "kid": kid});
    assert_eq!(verifier.verify(&signed(&key, &good, &claims()), "demo", NOW_MS), Ok(()));
    let headers = [
        json!({"alg": "EdDSA", "kid": kid}),
        json!({"alg": "EdDSA", "typ": "JWT", "kid": kid}),
        json!({"alg": "EdDSA", "typ": "customer+jwt", "kid": kid}),
        json!({"alg": "EdDSA", "typ": "ENTRY+JWT", "kid": kid}),
        json!({"alg": "EdDSA", "typ": "entry+jwt"}),
        json!({"alg": "EdDSA", "typ": "entry+jwt", "kid": ""}),
        json!({"alg": "EdDSA", "typ": "entry+jwt", "kid": "../../etc/passwd"}),
        json!({"alg": "EdDSA", "typ": "entry+jwt", "kid": "' or 1=1 --"}),
        json!({"alg": "EdDSA", "typ": "entry+jwt", "kid": kid, "crit": ["exp"]}),
        json!({"alg": "ES256", "typ": "entry+jwt", "kid": kid}),
        json!({"alg": "RS256", "typ": "entry+jwt", "kid": kid}),
        json!({"alg": "HS256", "typ": "entry+jwt", "kid": kid}),
        json!({"alg": "none", "typ": "entry+jwt", "kid": kid}),
        json!({"alg": "eddsa", "typ": "entry+jwt", "kid": kid}),
    ];
    for header in headers {
        let token = signed(&key, &header, &claims());
        assert_eq!(verifier.verify(&token, "demo", NOW_MS), Err(EntryRefused::Invalid), "{header}");
    }
    for missing in ["aud", "sub", "jti", "iat", "exp"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(missing);
        let token = signed(&key, &good, &claims);
        assert_eq!(verifier.verify(&token, "demo", NOW_MS), Err(EntryRefused::Invalid), "{missing}");
    }
    for (name, value) in
        [("exp", json!("never")), ("exp", json!(1e300)), ("exp", json!(null)), ("aud", json!(["demo"]))]
    {
        let mut claims = claims();
        claims[name] = value;
        assert!(verifier.verify(&signed(&key, &good, &claims), "demo", NOW_MS).is_err(), "{claims}");
    }
}

#[test]
fn no_other_key_or_algorithm_gets_in() {
    let (_, signer, verifier) = door();
    let kid = kid(&signer);
    let none = json!({"alg": "none", "typ": "entry+jwt", "kid": kid});
    let unsigned = message(&none, &claims());
    for token in [unsigned.clone(), format!("{unsigned}."), format!("{unsigned}.AA"), String::new(), "..".to_owned()] {
        assert_eq!(verifier.verify(&token, "demo", NOW_MS), Err(EntryRefused::Invalid), "{token}");
    }

    let mallory = new_entry_key();
    let public = Ed25519KeyPair::from_pkcs8(&mallory).unwrap().public_key().as_ref().to_vec();
    let x = URL_SAFE_NO_PAD.encode(&public);
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
    let headers = [
        json!({"alg": "EdDSA", "typ": "entry+jwt", "kid": kid}),
        json!({"alg": "EdDSA", "typ": "entry+jwt", "kid": kid, "jwk": jwk}),
        json!({"alg": "EdDSA", "typ": "entry+jwt", "kid": kid, "jku": "https://evil.example/jwks.json"}),
    ];
    for header in headers {
        let token = signed(&mallory, &header, &claims());
        assert_eq!(verifier.verify(&token, "demo", NOW_MS), Err(EntryRefused::Invalid), "{header}");
    }

    // The public key, in each form that a library might take for a shared secret.
    let set: Value = serde_json::from_str(&signer.jwks()).unwrap();
    let x = set["keys"][0]["x"].as_str().unwrap();
    let raw = URL_SAFE_NO_PAD.decode(x).unwrap();
    for secret in [raw, x.as_bytes().to_vec(), signer.jwks().into_bytes()] {
        let header = json!({"alg": "HS256", "typ": "entry+jwt", "kid": kid});
        let message = message(&header, &claims());
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag));
        assert_eq!(verifier.verify(&token, "demo", NOW_MS), Err(EntryRefused::Invalid));
    }
}

#[test]
fn swapped_keys_end_what_was_remembered() {
    let (_, signer, verifier) = door();
    let (_, other, _) = door();
    let token = signer.mint(&grant()).unwrap();
    assert_eq!(verifier.verify(&token, "demo", NOW_MS), Ok(()));
    verifier.swap(&other.jwks()).unwrap();
    assert_eq!(verifier.verify(&token, "demo", NOW_MS), Err(EntryRefused::Invalid));
    assert_eq!(verifier.verify(&other.mint(&grant()).unwrap(), "demo", NOW_MS), Ok(()));
    assert_eq!(verifier.swap("{}"), Err(BadKeys::NotAKeySet));
    assert_eq!(verifier.swap(r#"{"keys":[]}"#), Err(BadKeys::NoKey));
    assert_eq!(verifier.verify(&other.mint(&grant()).unwrap(), "demo", NOW_MS), Ok(()));
}

#[test]
fn the_cache_stays_within_its_bound() {
    let (_, signer, verifier) = door();
    // A smaller cache of the same kind: the bound is the cache's own, this shows that it is in use.
    let verifier = EntryVerifier { checked: Cache::new(8), ..verifier };
    for session in 0..64 {
        let token = signer.mint(&EntryGrant { session: format!("s{session}"), ..grant() }).unwrap();
        assert_eq!(verifier.verify(&token, "demo", NOW_MS), Ok(()));
    }
    assert!(verifier.checked.len() <= 8);
    assert!(verifier.verify(&"a".repeat(TOKEN_BYTES_MAX + 1), "demo", NOW_MS).is_err());
}

#[test]
fn a_bad_private_key_is_refused() {
    assert!(EntrySigner::new(b"").is_err());
    assert!(EntrySigner::new(&[0; 83]).is_err());
}
