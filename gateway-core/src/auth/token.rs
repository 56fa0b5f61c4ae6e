//! Customer tokens: JWT, HS256, of a type and for an audience of their own. Time is an argument.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::base::CustomerId;

/// The header's `typ`: no other token of ours is taken for one of these.
const TYPE: &str = "customer+jwt";

/// The `aud` claim.
const AUDIENCE: &str = "vestibule-core";

/// Longer than any token of ours; refused before it is looked at.
const TOKEN_BYTES_MAX: usize = 2048;

/// Makes and checks customer tokens.
pub(crate) struct Tokens {
    sign: EncodingKey,
    check: DecodingKey,
    rules: Validation,
    lifetime_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    aud: String,
    iat: i64,
    exp: i64,
}

/// Why a token was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    /// Its time is over: log in again.
    #[error("the token has expired")]
    Expired,
    /// Not made by us, or not for this.
    #[error("the token is not valid")]
    Invalid,
}

impl Tokens {
    pub(crate) fn new(key: &[u8], lifetime_ms: i64) -> Self {
        // Fails only when a provider is installed already, and then there is one.
        let _already = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "aud", "sub"]);
        // The library would ask the system's clock; `verify` judges by the injected one.
        rules.validate_exp = false;
        let (sign, check) = (EncodingKey::from_secret(key), DecodingKey::from_secret(key));
        Self { sign, check, rules, lifetime_ms }
    }

    /// A token for `customer` from `now_ms` on, and its lifetime in milliseconds.
    pub(crate) fn mint(&self, customer: CustomerId, now_ms: i64) -> Result<(String, i64), TokenError> {
        let header = Header { typ: Some(TYPE.to_owned()), ..Header::new(Algorithm::HS256) };
        let claims = Claims {
            sub: customer.to_string(),
            aud: AUDIENCE.to_owned(),
            iat: now_ms / 1000,
            exp: now_ms.saturating_add(self.lifetime_ms) / 1000,
        };
        let token = jsonwebtoken::encode(&header, &claims, &self.sign).map_err(|_| TokenError::Invalid)?;
        Ok((token, self.lifetime_ms))
    }

    /// Whose token this is, at `now_ms`.
    pub(crate) fn verify(&self, token: &str, now_ms: i64) -> Result<CustomerId, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Invalid);
        }
        let data = jsonwebtoken::decode::<Claims>(token, &self.check, &self.rules).map_err(|_| TokenError::Invalid)?;
        if data.header.typ.as_deref() != Some(TYPE) {
            return Err(TokenError::Invalid);
        }
        if data.claims.exp <= now_ms.div_euclid(1000) {
            return Err(TokenError::Expired);
        }
        CustomerId::parse(&data.claims.sub).ok_or(TokenError::Invalid)
    }
}
