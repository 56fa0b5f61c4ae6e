//! Codes however they are typed, and tokens that are not what they should be.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der as AsDerPublic};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

use super::*;

const NOW_MS: i64 = 1_764_000_000_000;

const LANES: [&str; 3] = ["general", "members", "x"];

fn key() -> AccessKey {
    AccessKey::new(&[7; 32])
}

#[test]
fn a_code_is_known_however_it_is_typed_and_is_one_person() {
    let text = "# friends\n\n7KQM-2D4X-0RTB,members\n AAAA-BBBB \n";
    let codes = Codes::read(text, "demo", &LANES, &key()).expect("codes");
    let holder = |code: &str| codes.holder(code, "demo", &key());
    let member = holder("7KQM-2D4X-0RTB").expect("known");
    assert_eq!(member.lane.as_deref(), Some("members"));
    assert_eq!(holder(" 7kqm 2d4x ortb "), Some(member.clone()));
    assert_eq!(holder("aaaabbbb").expect("known").lane, None);
    for wrong in ["", "AAAA-BBB", "AAAA-BBBC", "members", "7KQM-2D4X-0RTB,members", &"A".repeat(10_000)] {
        assert_eq!(holder(wrong), None, "{wrong}");
    }
    // The same code is somebody else in another room, and on a door with other keys.
    let other = Codes::read(text, "other", &LANES, &key()).expect("codes").holder("7KQM-2D4X-0RTB", "other", &key());
    assert_ne!(other.expect("known").identity, member.identity);
    assert_eq!(codes.holder("7KQM-2D4X-0RTB", "demo", &AccessKey::new(&[8; 32])), None);
}

#[test]
fn a_file_that_is_wrong_is_told_by_its_line() {
    let read = |text: &str| Codes::read(text, "demo", &LANES, &key()).map(|_| ()).expect_err("refused").to_string();
    assert_eq!(read("AAAA-BBBB\nshort"), "line 2: a code has 8 to 64 letters and digits");
    assert_eq!(read("AAAA-BBBB\n\naaaabbbb,x"), "line 3: this code stands here twice");
    let lane = "line 2: there is no lane \"member\" in this room; it has general, members, x";
    assert_eq!(read("AAAA-BBBB,general\nAAAA-CCCC, member"), lane);
}

#[test]
fn made_codes_are_long_and_differ() {
    let codes: std::collections::BTreeSet<String> = (0..1_000).map(|_| new_access_code()).collect();
    assert_eq!(codes.len(), 1_000);
    assert!(codes.iter().all(|code| code.len() == 14 && code_of(code).is_some()));
}

/// A key pair and its public half as a JSON Web Key Set.
fn ed25519() -> (EncodingKey, String) {
    let pkcs8 = crate::new_entry_key();
    let signer = super::super::EntrySigner::new(&pkcs8).expect("a key");
    (EncodingKey::from_ed_der(&pkcs8), signer.jwks())
}

fn settings() -> AccessTokens {
    AccessTokens {
        keys: "keys.json".into(),
        issuer: "https://shop.example".to_owned(),
        audience: "premiere".to_owned(),
        lane_claim: "tier".to_owned(),
        lanes: BTreeMap::from([("gold".to_owned(), "members".to_owned())]),
    }
}

fn good() -> Value {
    json!({"iss": "https://shop.example", "aud": "premiere", "sub": "ann", "exp": NOW_MS / 1_000 + 60, "tier": "gold"})
}

#[test]
fn a_token_says_who_and_which_lane() {
    let (signing, jwks) = ed25519();
    let tokens = Tokens::read(&jwks, &settings()).expect("keys");
    let holder = |claims: &Value| {
        let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &signing).expect("signed");
        tokens.holder(&token, "demo", &key(), NOW_MS)
    };
    let ann = holder(&good()).expect("good");
    assert_eq!(ann.lane.as_deref(), Some("members"));
    let with = |name: &str, value: Value| {
        let mut claims = good();
        claims[name] = value;
        holder(&claims)
    };
    assert_eq!(with("tier", json!(["silver", "gold"])), Some(ann.clone()), "one of a list");
    assert_eq!(with("tier", json!("silver")), Some(Holder { lane: None, ..ann.clone() }));
    assert_eq!(with("aud", json!(["premiere", "x"])), Some(ann.clone()));
    assert_ne!(with("sub", json!("bob")).expect("good").identity, ann.identity);
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("aud", json!("other")),
        ("exp", json!(NOW_MS / 1_000)),
        ("exp", json!("soon")),
        ("nbf", json!(NOW_MS / 1_000 + 60)),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("exp", Value::Null),
    ] {
        assert_eq!(with(name, value.clone()), None, "{name} {value}");
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// A P-256 pair: the private half, the public one as JSON Web Key Set and as PEM.
fn p256() -> (EncodingKey, [String; 2]) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a pair");
    let point = pair.public_key().as_ref().to_vec();
    let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
    let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": part(1..33), "y": part(33..65)});
    let spki: AsDerPublic = pair.public_key().as_der().expect("encoded");
    let private = pair.to_pkcs8v1().expect("encoded");
    (
        EncodingKey::from_ec_der(private.as_ref()),
        [json!({ "keys": [jwk] }).to_string(), pem("PUBLIC KEY", spki.as_ref())],
    )
}

/// The same of RSA.
fn rsa() -> (EncodingKey, [String; 2]) {
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).expect("a pair");
    let public = pair.public_key();
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (n, e) = (public.modulus(), public.exponent());
    let jwk = json!({"kty": "RSA", "n": part(n.big_endian_without_leading_zero()), "e": part(e.big_endian_without_leading_zero())});
    let spki: AsDerPublic = public.as_der().expect("encoded");
    let private: Pkcs8V1Der<'_> = pair.as_der().expect("encoded");
    let private = EncodingKey::from_rsa_pem(pem("PRIVATE KEY", private.as_ref()).as_bytes()).expect("a key");
    (private, [json!({ "keys": [jwk] }).to_string(), pem("PUBLIC KEY", spki.as_ref())])
}

#[test]
fn each_algorithm_is_known_by_its_key_in_either_form() {
    for (algorithm, (signing, files)) in [(Algorithm::ES256, p256()), (Algorithm::RS256, rsa())] {
        let token =
            |algorithm, key: &EncodingKey| jsonwebtoken::encode(&Header::new(algorithm), &good(), key).expect("signed");
        for file in files {
            let tokens = Tokens::read(&file, &settings()).expect("keys");
            let holder = |token: &str| tokens.holder(token, "demo", &key(), NOW_MS);
            assert!(holder(&token(algorithm, &signing)).is_some(), "{algorithm:?} {file}");
            // The public key is public: nobody may sign with it as a shared secret.
            let secret = EncodingKey::from_secret(file.as_bytes());
            assert_eq!(holder(&token(Algorithm::HS256, &secret)), None);
            assert_eq!(holder(&token(Algorithm::EdDSA, &ed25519().0)), None);
        }
    }
    let (signing, jwks) = ed25519();
    let set: Value = serde_json::from_str(&jwks).expect("JSON");
    let point = URL_SAFE_NO_PAD.decode(set["keys"][0]["x"].as_str().expect("x")).expect("base64");
    let spki = [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".as_slice(), &point].concat();
    let tokens = Tokens::read(&pem("PUBLIC KEY", &spki), &settings()).expect("keys");
    let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &good(), &signing).expect("signed");
    assert!(tokens.holder(&token, "demo", &key(), NOW_MS).is_some());
}

#[test]
fn a_token_of_another_key_or_algorithm_is_nothing() {
    let (signing, jwks) = ed25519();
    let tokens = Tokens::read(&jwks, &settings()).expect("keys");
    let (foreign, _) = ed25519();
    let shared = EncodingKey::from_secret(jwks.as_bytes());
    for (algorithm, key_used) in [(Algorithm::EdDSA, &foreign), (Algorithm::HS256, &shared)] {
        let token = jsonwebtoken::encode(&Header::new(algorithm), &good(), key_used).expect("signed");
        assert_eq!(tokens.holder(&token, "demo", &key(), NOW_MS), None, "{algorithm:?}");
    }
    let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &good(), &signing).expect("signed");
    let (head, rest) = token.split_once('.').expect("three parts");
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    assert_eq!(tokens.holder(&format!("{none}.{rest}"), "demo", &key(), NOW_MS), None, "{head}");
    assert!(Tokens::read("{}", &settings()).is_err() && Tokens::read("{\"keys\":[]}", &settings()).is_err());
}
