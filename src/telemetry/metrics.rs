//! The Prometheus recorder: the libraries record, the operator's listener renders.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use waiting_room::metrics::Kind;

/// Upper bounds of the duration histograms, seconds: from a cached answer to a payment that hangs.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// How often the recorder folds fresh samples into its histograms; without it they grow without bound.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// The one metric of all servers; the libraries' own stand in their tables.
pub(crate) const REQUEST_SECONDS: &str = "vestibule_request_seconds";

/// Says what each metric is, where `/metrics` shows it.
fn describe() {
    describe_histogram!(REQUEST_SECONDS, "Time to answer a request, in seconds, by server and class of status");
    for (name, help) in gateway_core::metrics::TABLE {
        describe_counter!(name, help);
    }
    for (name, help) in gateway_core::metrics::GAUGES {
        describe_gauge!(name, help);
    }
    for (name, kind, help) in waiting_room::metrics::TABLE {
        match kind {
            Kind::Counter => describe_counter!(name, help),
            Kind::Gauge => describe_gauge!(name, help),
            Kind::Histogram => describe_histogram!(name, help),
        }
    }
}

/// Starts recording, once in a process.
pub(crate) fn start(stop: CancellationToken) -> Result<PrometheusHandle> {
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets(&SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .context("cannot start the metrics recorder")?;
    describe();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        while tokio::time::timeout(UPKEEP_EVERY, stop.cancelled()).await.is_err() {
            upkeep.run_upkeep();
        }
    });
    Ok(RECORDER.get_or_init(|| handle).clone())
}
