//! The client of the sandbox provider. Every call has a time-out; whatever is not a definite answer is `NoAnswer`.

use super::{GivenBack, Heard, Order};
use crate::base::{Currency, Money};
use reqwest::{RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A provider that does not even take the connection in this time is treated as gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The provider's answers are a few lines; more is not an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The charge does not allow what was asked for.
const CONFLICT: Heard = Heard::NoAnswer("conflict");

/// Speaks to one sandbox. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

#[derive(Serialize)]
struct Charge<'a> {
    reference: &'a str,
    amount: i64,
    currency: &'a str,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

#[derive(Serialize)]
struct Refund<'a> {
    refund_id: &'a str,
    amount: i64,
}

/// Only what is needed; what the provider adds one day does not break us.
#[derive(Deserialize)]
struct Standing {
    reference: String,
    status: String,
    amount: i64,
    currency: String,
    action_url: Option<String>,
}

impl Client {
    /// A client for the provider at `url`. `timeout_ms` bounds each call.
    pub(crate) fn new(url: &str, key: &[u8], timeout_ms: u64) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(Duration::from_millis(timeout_ms))
            .build()?;
        let key = String::from_utf8_lossy(key).into_owned();
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), key })
    }

    pub(super) async fn charge(&self, order: &Order) -> Heard {
        let charge = Charge {
            reference: &order.reference,
            amount: order.money.amount,
            currency: order.money.currency.as_str(),
            method: &order.method,
            return_url: order.return_url.as_deref(),
            token: order.token.as_deref(),
        };
        let request = self.http.post(format!("{}/charges", self.url)).json(&charge);
        let heard = self.ask(request, &order.reference).await;
        // Our reference stands for something else there: only the charge itself can tell what was taken.
        if heard == CONFLICT { self.find(&order.reference).await } else { heard }
    }

    pub(super) async fn find(&self, reference: &str) -> Heard {
        self.ask(self.http.get(format!("{}/charges/{reference}", self.url)), reference).await
    }

    pub(super) async fn cancel(&self, reference: &str) -> Heard {
        let request = self.http.post(format!("{}/charges/{reference}/cancel", self.url));
        let heard = self.ask(request, reference).await;
        if heard == CONFLICT {
            // Too late to withdraw: how it stands decides.
            self.find(reference).await
        } else if heard == Heard::Refused {
            // Whatever the provider dislikes about a cancel, it is no verdict about the money.
            Heard::NoAnswer("cancel_refused")
        } else {
            heard
        }
    }

    pub(super) async fn refund(&self, reference: &str, refund_id: &str, amount: i64) -> GivenBack {
        let request = self.http.post(format!("{}/charges/{reference}/refund", self.url));
        let request = request.json(&Refund { refund_id, amount }).bearer_auth(&self.key);
        let Ok(answer) = request.send().await else { return GivenBack::NoAnswer };
        match answer.status() {
            StatusCode::OK => GivenBack::Done,
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::NOT_FOUND => GivenBack::Refused,
            _ => GivenBack::NoAnswer,
        }
    }

    async fn ask(&self, request: RequestBuilder, reference: &str) -> Heard {
        let answer = match request.bearer_auth(&self.key).send().await {
            Ok(answer) => answer,
            Err(error) => return Heard::NoAnswer(error_class(&error)),
        };
        match answer.status() {
            StatusCode::OK => read(answer, reference).await,
            StatusCode::NOT_FOUND => Heard::Absent,
            StatusCode::UNPROCESSABLE_ENTITY => Heard::Refused,
            StatusCode::CONFLICT => CONFLICT,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Heard::NoAnswer("unauthorized"),
            StatusCode::TOO_MANY_REQUESTS => Heard::NoAnswer("throttled"),
            status if status.is_server_error() => Heard::NoAnswer("provider_error"),
            _ => Heard::NoAnswer("unexpected_status"),
        }
    }
}

async fn read(mut answer: reqwest::Response, reference: &str) -> Heard {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_BYTES_MAX => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Heard::NoAnswer("answer_too_long"),
            Ok(None) => break,
            Err(error) => return Heard::NoAnswer(error_class(&error)),
        }
    }
    serde_json::from_slice(&body).map_or(Heard::NoAnswer("answer_malformed"), |standing| heard(standing, reference))
}

fn heard(standing: Standing, reference: &str) -> Heard {
    if standing.reference != reference {
        return Heard::NoAnswer("wrong_reference");
    }
    match (standing.status.as_str(), standing.action_url) {
        ("captured", _) => match Currency::parse(&standing.currency) {
            Some(currency) => Heard::Captured(Money { amount: standing.amount, currency }),
            None => Heard::NoAnswer("answer_malformed"),
        },
        ("declined", _) => Heard::Declined,
        ("processing", _) => Heard::Accepted,
        ("cancelled", _) => Heard::Cancelled,
        ("requires_action", Some(url)) if url.starts_with("http://") || url.starts_with("https://") => {
            Heard::ActionNeeded(url)
        }
        _ => Heard::NoAnswer("answer_malformed"),
    }
}

fn error_class(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "unreachable"
    } else {
        "connection_lost"
    }
}

#[cfg(test)]
mod tests {
    use super::{Heard, Standing, heard};

    fn standing(status: &str, action_url: Option<&str>) -> Standing {
        Standing {
            reference: "att_1".to_owned(),
            status: status.to_owned(),
            amount: 1200,
            currency: "EUR".to_owned(),
            action_url: action_url.map(str::to_owned),
        }
    }

    #[test]
    fn an_answer_about_another_charge_is_none() {
        assert_eq!(heard(standing("captured", None), "att_2"), Heard::NoAnswer("wrong_reference"));
    }

    #[test]
    fn a_state_nobody_knows_is_no_verdict() {
        assert_eq!(heard(standing("settling", None), "att_1"), Heard::NoAnswer("answer_malformed"));
        assert_eq!(heard(standing("requires_action", None), "att_1"), Heard::NoAnswer("answer_malformed"));
        let script = Some("javascript:alert(1)");
        assert_eq!(heard(standing("requires_action", script), "att_1"), Heard::NoAnswer("answer_malformed"));
    }

    #[test]
    fn declined_is_definite_and_processing_is_not() {
        assert_eq!(heard(standing("declined", None), "att_1"), Heard::Declined);
        assert_eq!(heard(standing("processing", None), "att_1"), Heard::Accepted);
    }
}
