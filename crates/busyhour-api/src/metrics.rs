//! `/metrics`: the collector and the present state of the fleet, as Prometheus reads them.
//!
//! Names follow Prometheus's rules: base units, `_total` for what only grows, and no label whose values
//! grow with the fleet but the building's name, of which there are at most [`fleet::MAX_BUILDINGS`].

mod fleet;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use prometheus::core::Collector;
use prometheus::{Gauge, GaugeVec, IntCounter, Opts, Registry, TextEncoder};

use crate::app::App;
use crate::json::status;
use crate::problem::Problem;

/// The text format that every Prometheus reads, and `promtool check metrics` with it.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const PREFIX: &str = "busyhour";

/// Everything there is to scrape, as it is now.
pub(crate) async fn metrics(app: App) -> Result<Response, Problem> {
    let exposition = Exposition::default();
    for figure in status::read(&app).await? {
        exposition.figure(&figure)?;
    }
    let state = fleet::State::read(&app).await?;
    state.expose(&exposition)?;
    let info = exposition.family("build_info", "which version runs", &["version"])?;
    info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    Ok(([content_type], exposition.text()?).into_response())
}

/// What one answer tells.
#[derive(Default)]
struct Exposition {
    registry: Registry,
}

impl Exposition {
    /// A figure of the collector; one that [`fleet`] tells by label is left to it.
    fn figure(&self, figure: &status::FigureItem) -> Result<(), Problem> {
        if figure.name.starts_with("judge_open_") {
            return Ok(());
        }
        let (name, unit) = in_base_units(&figure.name);
        let help = sentence(figure.help);
        if name.ends_with("_total") {
            let counter = IntCounter::with_opts(Opts::new(prefixed(&name), help))
                .map_err(|error| broken(&error))?;
            counter.inc_by(u64::try_from(figure.value).unwrap_or(0));
            self.register(counter)
        } else {
            self.gauge(&name, &help, figure.value as f64 * unit)
        }
    }

    fn gauge(&self, name: &str, help: &str, value: f64) -> Result<(), Problem> {
        let gauge = Gauge::with_opts(Opts::new(prefixed(name), sentence(help)))
            .map_err(|error| broken(&error))?;
        gauge.set(value);
        self.register(gauge)
    }

    /// Gauges of one name, told apart by labels.
    fn family(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, Problem> {
        let family = GaugeVec::new(Opts::new(prefixed(name), sentence(help)), labels)
            .map_err(|error| broken(&error))?;
        self.register(family.clone())?;
        Ok(family)
    }

    fn register(&self, collector: impl Collector + 'static) -> Result<(), Problem> {
        self.registry.register(Box::new(collector)).map_err(|error| broken(&error))
    }

    fn text(&self) -> Result<String, Problem> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(|error| broken(&error))
    }
}

fn prefixed(name: &str) -> String {
    format!("{PREFIX}_{name}")
}

/// What a figure of the status is called here, and what its value is multiplied with: Prometheus counts
/// time in seconds.
fn in_base_units(name: &str) -> (String, f64) {
    if let Some(name) = name.strip_suffix("_us") {
        return (format!("{name}_seconds"), 1e-6);
    }
    match name.strip_suffix("_s") {
        Some(name) => (format!("{name}_seconds"), 1.0),
        None => (name.to_owned(), 1.0),
    }
}

fn sentence(help: &str) -> String {
    let mut letters = help.chars();
    let first = letters.next().map(char::to_uppercase);
    first.map_or_else(String::new, |first| {
        format!("{}{}.", first.collect::<String>(), letters.as_str())
    })
}

/// Two of one name, or a name that is none.
fn broken(error: &prometheus::Error) -> Problem {
    tracing::error!(error = error as &dyn std::error::Error, "metrics cannot be told");
    Problem::internal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_seconds() {
        assert_eq!(in_base_units("judge_round_us"), ("judge_round_seconds".to_owned(), 1e-6));
        assert_eq!(in_base_units("uptime_s"), ("uptime_seconds".to_owned(), 1.0));
        assert_eq!(in_base_units("store_slots"), ("store_slots".to_owned(), 1.0));
    }

    #[test]
    fn help_is_a_sentence() {
        assert_eq!(sentence("blocks stored"), "Blocks stored.");
        assert_eq!(sentence(""), "");
    }
}
