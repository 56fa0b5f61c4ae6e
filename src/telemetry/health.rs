//! `/healthz`, `/readyz` and `/metrics` for the operator's listener.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Map, Value, json};

/// A check that does not answer within this time has failed.
const CHECK_WITHIN: Duration = Duration::from_secs(2);

type Answer = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

type Check = Arc<dyn Fn() -> Answer + Send + Sync>;

/// What must work for this process to be ready, by name.
#[derive(Clone, Default)]
pub(crate) struct Readiness {
    checks: Vec<(&'static str, Check)>,
}

impl Readiness {
    /// Adds a check: `Err` says in words what is not ready.
    pub(crate) fn add<F>(&mut self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.push((name, Arc::new(move || Box::pin(check()))));
    }

    async fn report(&self) -> (bool, Map<String, Value>) {
        let mut report = Map::new();
        let mut ready = true;
        for (name, check) in &self.checks {
            let verdict = tokio::time::timeout(CHECK_WITHIN, check()).await;
            let verdict = verdict.unwrap_or_else(|_| Err(format!("no answer within {} s", CHECK_WITHIN.as_secs())));
            ready &= verdict.is_ok();
            report.insert((*name).to_owned(), verdict.map_or_else(Value::String, |()| json!("ok")));
        }
        (ready, report)
    }
}

/// The routes: alive, ready, and the numbers.
pub(crate) fn router(readiness: Readiness, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(render).with_state(metrics))
}

async fn readyz(State(readiness): State<Readiness>) -> Response {
    let (ready, checks) = readiness.report().await;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(json!({ "ready": ready, "checks": checks }))).into_response()
}

async fn render(State(metrics): State<PrometheusHandle>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_failing_check_makes_the_process_not_ready_and_is_named() {
        let mut readiness = Readiness::default();
        readiness.add("database", || async { Ok(()) });
        assert!(readiness.report().await.0);
        readiness.add("store", || async { Err("redis does not answer".to_owned()) });
        let (ready, report) = readiness.report().await;
        assert!(!ready);
        assert_eq!(report["store"], "redis does not answer");
        assert_eq!(report["database"], "ok");
    }

    #[tokio::test]
    async fn a_check_that_hangs_counts_as_failed() {
        let mut readiness = Readiness::default();
        readiness.add("database", std::future::pending);
        assert!(!readiness.report().await.0);
    }
}
