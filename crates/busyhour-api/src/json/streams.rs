//! A path's windows as synthetic streams of five minutes, classified as Microsoft's dashboard would
//! classify a call's streams.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use busyhour_model::{
    CLASSIFIERS, Classification, Classifier, CriterionOutcome, STREAM_MICROS, StreamCriterion,
    SyntheticStream, UtcMicros, synthetic_streams,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::span::{Span, SpanQuery};
use super::{Items, items, query};
use crate::app::App;
use crate::problem::Problem;
use crate::text;

/// Without being told: the last day.
const USUAL: Duration = Duration::from_secs(86_400);
/// A week is 4 032 streams.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// Windows read at once: an hour of them, of which there are at most ten a second.
const AT_ONCE: Duration = Duration::from_secs(3_600);
const MAX_WINDOWS_AT_ONCE: usize = 36_000;

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct StreamQuery {
    /// The newest unless told.
    classifier: Option<String>,
}

/// One direction of a path over five minutes. It is no call's stream: `synthetic` is always true.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StreamItem {
    synthetic: bool,
    /// The agent is a simulated one.
    simulated: bool,
    started_utc: String,
    duration_s: i64,
    direction: &'static str,
    classifier: &'static str,
    classifier_edition: &'static str,
    classification: &'static str,
    /// Criteria that are exceeded.
    poor_due_to: Vec<&'static str>,
    /// Why nothing could be said of the stream as a whole.
    unclassified_because: Option<&'static str>,
    /// Criteria that were not evaluated, each with its reason.
    not_evaluated: Vec<String>,
    windows: u32,
    packets: u64,
    lost: u64,
    /// Lost in this direction or the other.
    lost_unknown: u64,
    /// What is known to be lost in this direction over what was sent in it.
    loss_ratio: Option<f64>,
    rtt_us_mean: Option<f64>,
    jitter_us_mean: Option<f64>,
}

/// The synthetic streams of one path that lie wholly within the time, oldest first.
pub(crate) async fn list(
    app: App,
    Path(id): Path<String>,
    span: Result<Query<SpanQuery>, QueryRejection>,
    parameters: Result<Query<StreamQuery>, QueryRejection>,
) -> Items<StreamItem> {
    let parameters = query(parameters)?;
    let span = Span::new(&id, &query(span)?, app.now(), (USUAL, LONGEST))?;
    let classifier = classifier(parameters.classifier.as_deref())?;
    let found = app.with_store(move |services| {
        let (_, simulated) = span.find(services)?;
        let mut streams = Vec::new();
        let (mut from, until) = whole_streams(span);
        while from < until {
            let end = from.plus(AT_ONCE).min(until);
            let windows = services.telemetry.windows(span.path, from, end, MAX_WINDOWS_AT_ONCE)?;
            let windows =
                windows.iter().map(|stored| (stored.judged.placed, &stored.judged.window));
            streams.extend(synthetic_streams(windows));
            from = end;
        }
        Ok((streams, simulated))
    });
    let (streams, simulated) = found.await?;
    Ok(items(streams.iter().map(|stream| StreamItem::new(stream, classifier, simulated)).collect()))
}

/// The first and the last moment of the five minutes that lie wholly within the span.
fn whole_streams(span: Span) -> (UtcMicros, UtcMicros) {
    let first = span.from.0.saturating_add(STREAM_MICROS - 1).div_euclid(STREAM_MICROS);
    let end = span.until.0.div_euclid(STREAM_MICROS);
    (UtcMicros(first.saturating_mul(STREAM_MICROS)), UtcMicros(end.saturating_mul(STREAM_MICROS)))
}

/// The newest unless told.
fn classifier(name: Option<&str>) -> Result<&'static Classifier, Problem> {
    let found = match name {
        Some(name) => Classifier::named(name),
        None => CLASSIFIERS.last(),
    };
    found.ok_or_else(|| {
        let known: Vec<&str> = CLASSIFIERS.iter().map(|classifier| classifier.name).collect();
        Problem::bad_request(format!("classifier must be one of {}", known.join(", ")))
    })
}

impl StreamItem {
    fn new(stream: &SyntheticStream, classifier: &Classifier, simulated: bool) -> Self {
        let Classification { class, unclassified_because, criteria } = classifier.classify(stream);
        let exceeded = |(criterion, outcome): &(StreamCriterion, CriterionOutcome)| {
            matches!(outcome, CriterionOutcome::Exceeded { .. }).then(|| criterion.as_str())
        };
        let not_evaluated = |(criterion, outcome): &(StreamCriterion, CriterionOutcome)| {
            let CriterionOutcome::NotEvaluated(why) = outcome else { return None };
            Some(format!("{criterion}: {why}"))
        };
        #[expect(clippy::cast_precision_loss, reason = "packets of five minutes are few")]
        let loss_ratio = (stream.packets > 0).then(|| stream.lost as f64 / stream.packets as f64);
        Self {
            synthetic: true,
            simulated,
            started_utc: text::utc(stream.started),
            duration_s: STREAM_MICROS / 1_000_000,
            direction: stream.direction.as_str(),
            classifier: classifier.name,
            classifier_edition: classifier.edition,
            classification: class.as_str(),
            poor_due_to: criteria.iter().filter_map(exceeded).collect(),
            unclassified_because,
            not_evaluated: criteria.iter().filter_map(not_evaluated).collect(),
            windows: stream.windows,
            packets: stream.packets,
            lost: stream.lost,
            lost_unknown: stream.lost_unknown,
            loss_ratio,
            rtt_us_mean: stream.rtt_mean_us,
            jitter_us_mean: stream.jitter_mean_us,
        }
    }
}
