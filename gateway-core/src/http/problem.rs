//! What goes wrong, as clients see it: the only place with the status codes of errors. `application/problem+json`.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::db::DbError;
use crate::group::Unserved;
use crate::grpc::Unreserved;

macro_rules! codes {
    ($($name:ident $code:literal $status:ident $retry:ident $title:literal;)*) => {
        /// Why a request failed: stable names that clients may rely on.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Code {
            $(#[doc = $title] $name),*
        }

        impl Code {
            /// All of them, for tables.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),*];

            const fn row(self) -> (&'static str, StatusCode, Retry, &'static str) {
                match self {
                    $(Self::$name => ($code, StatusCode::$status, Retry::$retry, $title)),*
                }
            }
        }
    };
}

/// Whether the same request may be sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Retry {
    /// As it is, later.
    Safe,
    /// Once something about it, or about the world, has changed.
    AfterChange,
    /// Pointless.
    Never,
}

codes! {
    MalformedRequest "malformed_request" BAD_REQUEST AfterChange "The request cannot be read";
    MalformedBody "malformed_body" BAD_REQUEST AfterChange "The body cannot be read";
    LoginRequired "login_required" UNAUTHORIZED AfterChange "Log in first";
    TokenExpired "token_expired" UNAUTHORIZED AfterChange "The login has expired";
    TokenInvalid "token_invalid" UNAUTHORIZED AfterChange "The login is not valid";
    WrongLogin "wrong_login" UNAUTHORIZED AfterChange "E-mail or password is wrong";
    PaymentDeclined "payment_declined" PAYMENT_REQUIRED AfterChange "The payment was declined";
    CrossSite "cross_site" FORBIDDEN Never "This came from another site";
    NotFound "not_found" NOT_FOUND Never "Not found";
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED Never "This method is not possible here";
    SeatsTaken "seats_taken" CONFLICT AfterChange "These seats have just gone";
    SeatsLeftAlone "seats_left_alone" CONFLICT AfterChange "A single seat would be left alone";
    NotTogether "not_together" CONFLICT AfterChange "Not so many next to each other";
    ExtendedAlready "extended_already" CONFLICT Never "The hold was extended before";
    NotExtendable "not_extendable" CONFLICT Never "Holds are not extended here";
    HoldExpired "hold_expired" CONFLICT AfterChange "The hold is over";
    NotPossibleNow "not_possible_now" CONFLICT AfterChange "Not possible any more";
    CancelTooLate "cancel_too_late" CONFLICT Never "Too late to cancel";
    SoldOut "sold_out" CONFLICT Never "Sold out";
    AllHeld "all_held" CONFLICT Safe "All that is left is in other baskets";
    SaleNotStarted "sale_not_started" CONFLICT Safe "The sale has not begun";
    SaleEnded "sale_ended" CONFLICT Never "The sale is over";
    CustomerLimit "customer_limit" CONFLICT AfterChange "More than one customer may have";
    AlreadyIssued "already_issued" CONFLICT Never "You have this coupon already";
    CampaignNotStarted "campaign_not_started" CONFLICT Safe "The campaign has not begun";
    CampaignEnded "campaign_ended" CONFLICT Never "The campaign is over";
    CouponUsed "coupon_used" CONFLICT AfterChange "The coupon is in use";
    CouponsGone "coupons_gone" CONFLICT Never "All coupons are given away";
    EmailTaken "email_taken" CONFLICT AfterChange "This address has an account already";
    RequestInProgress "request_in_progress" CONFLICT Safe "The same request is still running";
    BodyTooLarge "body_too_large" PAYLOAD_TOO_LARGE AfterChange "The body is too large";
    UnsupportedBody "unsupported_body" UNSUPPORTED_MEDIA_TYPE AfterChange "Send JSON or a form";
    InvalidBody "invalid_body" UNPROCESSABLE_ENTITY AfterChange "Something in the body does not fit";
    NoSeats "no_seats" UNPROCESSABLE_ENTITY AfterChange "No seats were chosen";
    NoSuchSeat "no_such_seat" UNPROCESSABLE_ENTITY AfterChange "There is no such seat";
    TooManySeats "too_many_seats" UNPROCESSABLE_ENTITY AfterChange "Too many seats for one order";
    NoSuchProduct "no_such_product" UNPROCESSABLE_ENTITY AfterChange "There is no such product";
    NoLines "no_lines" UNPROCESSABLE_ENTITY AfterChange "Nothing was chosen";
    TooMany "too_many" UNPROCESSABLE_ENTITY AfterChange "Too many for one order";
    MixedSales "mixed_sales" UNPROCESSABLE_ENTITY AfterChange "One order belongs to one sale";
    NoSuchCoupon "no_such_coupon" UNPROCESSABLE_ENTITY AfterChange "There is no such coupon";
    CouponUnfit "coupon_unfit" UNPROCESSABLE_ENTITY AfterChange "The coupon does not fit this order";
    NoSuchCampaign "no_such_campaign" UNPROCESSABLE_ENTITY AfterChange "There is no such campaign";
    InvalidRegistration "invalid_registration" UNPROCESSABLE_ENTITY AfterChange "This cannot be registered";
    IdempotencyKeyReused "idempotency_key_reused" UNPROCESSABLE_ENTITY Never "This key belongs to another request";
    IdempotencyKeyInvalid "idempotency_key_invalid" UNPROCESSABLE_ENTITY AfterChange "This key cannot be used";
    CardDataRefused "card_data_refused" UNPROCESSABLE_ENTITY AfterChange "Card numbers must not be sent here";
    InvalidPayment "invalid_payment" UNPROCESSABLE_ENTITY AfterChange "This payment is not possible";
    WebhookRefused "webhook_refused" UNAUTHORIZED Never "The signature is not valid";
    TooManyTries "too_many_tries" TOO_MANY_REQUESTS Safe "Too many tries";
    Internal "internal" INTERNAL_SERVER_ERROR Safe "Something went wrong on our side";
    Busy "busy" SERVICE_UNAVAILABLE Safe "Too much at once";
}

impl Code {
    /// The stable name.
    pub(crate) const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The status that it is answered with.
    pub(crate) const fn status(self) -> StatusCode {
        self.row().1
    }

    /// Whether the same request, sent again, may end otherwise.
    pub(crate) const fn may_change(self) -> bool {
        matches!(self.row().2, Retry::Safe)
    }

    /// For people.
    pub(crate) const fn title(self) -> &'static str {
        self.row().3
    }
}

/// A problem to answer with. Rides along in the response's extensions, so that people get a page instead.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) extra: Map<String, Value>,
    pub(crate) retry_after_ms: Option<i64>,
    /// Where a person goes on: a path and the words for it.
    pub(crate) onward: Option<(String, &'static str)>,
}

impl Problem {
    /// A problem that says no more than its title.
    pub(crate) fn new(code: Code) -> Self {
        Self { code, detail: Cow::Borrowed(code.title()), extra: Map::new(), retry_after_ms: None, onward: None }
    }

    /// Says what happened and what to do.
    pub(crate) fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds a member.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// When to come again.
    pub(crate) fn retry_after_ms(mut self, ms: i64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// Where a person goes on.
    pub(crate) fn onward(mut self, path: impl Into<String>, label: &'static str) -> Self {
        self.onward = Some((path.into(), label));
        self
    }

    /// The document, with the request's id if there is one.
    pub(crate) fn json(&self, request_id: Option<&str>) -> Value {
        let (code, status, retry, title) = self.code.row();
        let retry = match retry {
            Retry::Safe => "safe",
            Retry::AfterChange => "after_change",
            Retry::Never => "never",
        };
        let mut document = json!({
            "type": format!("urn:vestibule:problem:{code}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail,
            "code": code,
            "retry": retry,
        });
        if let Some(members) = document.as_object_mut() {
            members.extend(self.extra.clone());
            members.extend(request_id.map(|id| (String::from("request_id"), json!(id))));
        }
        document
    }

    /// The response to an app.
    pub(crate) fn to_response(&self, request_id: Option<&str>) -> Response {
        let body = self.json(request_id).to_string();
        let mut response = (self.code.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.code.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// For `Retry-After`: whole seconds, rounded up.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_ms.map(|ms| ms.max(0).unsigned_abs().div_ceil(1000))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.to_response(None);
        response.extensions_mut().insert(self);
        response
    }
}

/// When a busy database is worth another try, in milliseconds.
const BUSY_RETRY_MS: i64 = 1_000;

impl From<DbError> for Problem {
    /// The cause goes to the log, here and only here; the client learns whether to try again.
    fn from(error: DbError) -> Self {
        let code = match &error {
            DbError::Busy(_) | DbError::Unreachable(_) | DbError::CommitUnknown(_) | DbError::ReadOnly(_) => Code::Busy,
            DbError::Duplicate | DbError::Settings(_) | DbError::Statement(_) | DbError::Shape(_) => Code::Internal,
        };
        tracing::error!(code = code.as_str(), cause = chain(&error), "the database failed a request");
        let problem = Self::new(code);
        if code == Code::Busy { problem.retry_after_ms(BUSY_RETRY_MS) } else { problem }
    }
}

impl From<Unserved> for Problem {
    fn from(unserved: Unserved) -> Self {
        match unserved {
            Unserved::Failed(error) => error.into(),
            Unserved::Full { retry_after_ms } => Self::new(Code::Busy)
                .detail("More people want this than can be served in seconds. Nothing was done; try again soon.")
                .retry_after_ms(retry_after_ms),
        }
    }
}

impl From<Unreserved> for Problem {
    /// What failed in another process stands in that process's log.
    fn from(unreserved: Unreserved) -> Self {
        let detail = match unreserved {
            Unreserved::Unserved(unserved) => return unserved.into(),
            Unreserved::Broken => return Self::new(Code::Internal),
            Unreserved::TurnedAway => "No orders can be taken at the moment. Nothing was done; try again soon.",
            Unreserved::Later | Unreserved::NoAnswer => {
                "Nobody knows yet whether this order was placed. Ask again with the same idempotency key."
            }
        };
        Self::new(Code::Busy).detail(detail).retry_after_ms(BUSY_RETRY_MS)
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_is_used_twice_and_all_are_errors() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{} is used twice", code.as_str());
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{}", code.as_str());
        }
    }

    #[test]
    fn a_full_queue_says_when_to_come_again() {
        let response = Problem::from(Unserved::Full { retry_after_ms: 6_100 }).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
    }
}
