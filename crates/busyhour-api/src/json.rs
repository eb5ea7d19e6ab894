//! The JSON API under `/api/v1`: arrays of flat objects in an envelope, units in the names.

pub(crate) mod agents;
pub(crate) mod audit;
pub(crate) mod buildings;
pub(crate) mod estimate;
pub(crate) mod evidence;
pub(crate) mod forget;
pub(crate) mod history;
pub(crate) mod hours;
pub(crate) mod incidents;
pub(crate) mod inventory;
pub(crate) mod paths;
pub(crate) mod places;
mod span;
pub(crate) mod status;
pub(crate) mod streams;

use std::str::FromStr;

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use busyhour_model::{DailyAverage, WorstHour};
use serde::Serialize;

use crate::problem::Problem;
use crate::text;

/// The version of every answer's shape. A field may be added within it; none is removed or changed.
const SCHEMA_VERSION: u32 = 1;

/// What every list comes in.
#[derive(Debug, Serialize)]
pub(crate) struct Envelope<T> {
    schema_version: u32,
    items: Vec<T>,
}

/// What a single answer comes in.
#[derive(Debug, Serialize)]
pub(crate) struct Single<T> {
    schema_version: u32,
    #[serde(flatten)]
    item: T,
}

pub(crate) type Items<T> = Result<Json<Envelope<T>>, Problem>;

fn items<T>(items: Vec<T>) -> Json<Envelope<T>> {
    Json(Envelope { schema_version: SCHEMA_VERSION, items })
}

fn single<T>(item: T) -> Json<Single<T>> {
    Json(Single { schema_version: SCHEMA_VERSION, item })
}

/// The query's parameters, or what is wrong with them.
pub(crate) fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query
        .map(|Query(parameters)| parameters)
        .map_err(|rejection| Problem::rejected(rejection.status(), rejection.body_text()))
}

/// The body, or what is wrong with it.
fn body<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    body.map(|Json(body)| body)
        .map_err(|rejection| Problem::rejected(rejection.status(), rejection.body_text()))
}

/// A parameter that is a word, a number, an identity, a date.
pub(crate) fn parsed<T: FromStr>(name: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::bad_request(format!("{name} cannot be {text:?}")))
}

/// The figures of a worst hour and the plain daily average beside it.
#[derive(Debug, Default, Serialize)]
struct Figures {
    worst_hour_local: Option<String>,
    worst_hour_valid: Option<u32>,
    worst_hour_bad: Option<u32>,
    worst_hour_bad_ratio: Option<f64>,
    worst_hour_breach: Option<&'static str>,
    /// The 90th percentile of what is most wrong, in words: `84 ms round trip`.
    worst_hour_says: Option<String>,
    /// The daily average of the same, in words.
    average_says: Option<String>,
    worst_hour_loss_ratio: Option<f64>,
    worst_hour_loss_ratio_p90: Option<f64>,
    worst_hour_rtt_us_p90: Option<u32>,
    worst_hour_jitter_us_p90: Option<u32>,
    average_loss_ratio: Option<f64>,
    average_rtt_us: Option<u32>,
    average_jitter_us: Option<u32>,
    average_passes: Option<bool>,
    masked: bool,
    masking_factor: Option<f64>,
}

impl Figures {
    fn new(
        worst: Option<&WorstHour>,
        average: Option<&DailyAverage>,
        (masked, masking_factor): (bool, Option<f64>),
    ) -> Self {
        let ratio = |ppm: u32| f64::from(ppm) / 1e6;
        let contrast = worst.zip(average).map(|(worst, average)| text::contrast(worst, average));
        let (worst_says, average_says) =
            contrast.map(|contrast| (contrast.worst, contrast.average)).unzip();
        Self {
            worst_hour_says: worst_says,
            average_says,
            worst_hour_local: worst.map(|hour| text::hour_from(hour.start_minute)),
            worst_hour_valid: worst.map(|hour| hour.valid),
            worst_hour_bad: worst.map(|hour| hour.bad),
            worst_hour_bad_ratio: worst.map(text::bad_share),
            worst_hour_breach: worst.and_then(|hour| hour.dominant).map(|breach| breach.as_str()),
            worst_hour_loss_ratio: worst.map(|hour| ratio(hour.loss_ppm)),
            worst_hour_loss_ratio_p90: worst.map(|hour| ratio(hour.loss_ppm_p90)),
            worst_hour_rtt_us_p90: worst.map(|hour| hour.rtt_us_p90),
            worst_hour_jitter_us_p90: worst.map(|hour| hour.jitter_us_p90),
            average_loss_ratio: average.map(|average| ratio(average.loss_ppm)),
            average_rtt_us: average.map(|average| average.rtt_us),
            average_jitter_us: average.map(|average| average.jitter_us),
            average_passes: average.map(|average| average.passes),
            masked,
            masking_factor,
        }
    }
}
