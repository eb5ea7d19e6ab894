//! What a call of a reference codec would have been like: ITU-T's E-model over windows. A planning
//! estimate; never the score of any product.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use busyhour_model::emodel::{CODECS, Codec, Estimate, REFERENCE_CODEC, estimate};
use busyhour_model::{Direction, Window};
use busyhour_store::StoredWindow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listing::{Listing, View};
use super::paths::{Page, USUAL_WINDOWS};
use super::span::{Span, SpanQuery};
use super::{Items, query};
use crate::app::App;
use crate::problem::Problem;
use crate::text;

/// What every estimate is called.
const LABEL: &str = "planning estimate (MOS-CQE)";
/// Without being told: the last hour.
const USUAL: Duration = Duration::from_secs(3_600);
const LONGEST: Duration = Duration::from_secs(31 * 86_400);

/// The headline of an estimate beside its window; all null where nothing can be estimated.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EstimateFields {
    /// The worse direction's score, 1 to 4.5.
    estimate_mos: Option<f64>,
    /// The worse direction's rating on its scale.
    estimate_r: Option<f64>,
    /// The worse direction; null where losses of unknown direction are counted as its own.
    estimate_direction: Option<&'static str>,
    /// How its network delay was found: `one-way` or `rtt/2`.
    estimate_delay_basis: Option<&'static str>,
    estimate_flags: Option<Vec<&'static str>>,
    /// What it is, by which model, of which codec.
    estimate_label: Option<String>,
}

impl EstimateFields {
    /// Estimates with the reference codec.
    pub(crate) fn new(window: &Window) -> Self {
        let call = estimate(window, REFERENCE_CODEC);
        let worse = call.as_ref().map(|call| &call.worse);
        Self {
            estimate_mos: worse.map(|worse| worse.mos),
            estimate_r: worse.map(|worse| worse.r),
            estimate_direction: call
                .as_ref()
                .and_then(|call| call.worse_direction)
                .map(Direction::as_str),
            estimate_delay_basis: worse.map(|worse| worse.inputs.delay.basis.as_str()),
            estimate_flags: worse.map(flags),
            estimate_label: call.as_ref().map(|call| label(call.codec)),
        }
    }
}

fn label(codec: &Codec) -> String {
    format!("{LABEL}, {}, {}", codec.scale.model(), codec.label)
}

fn flags(estimate: &Estimate) -> Vec<&'static str> {
    estimate.flags.iter().map(|flag| flag.as_str()).collect()
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct EstimateQuery {
    /// The reference codec unless told.
    codec: Option<String>,
}

/// One direction of one window, with every term.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EstimateItem {
    label: &'static str,
    /// The agent is a simulated one.
    simulated: bool,
    placed_utc: String,
    model: &'static str,
    scale: &'static str,
    codec: &'static str,
    codec_label: &'static str,
    codec_source: &'static str,
    /// Null where losses of unknown direction leave only the worst that can have been.
    direction: Option<&'static str>,
    /// The worse one of its window.
    worse: bool,
    mos: f64,
    r: f64,
    good_or_better_percent: f64,
    poor_or_worse_percent: f64,
    term_ro: f64,
    term_is: f64,
    term_idte: f64,
    term_idle: f64,
    term_idd: f64,
    term_ie_eff: f64,
    delay_us: u32,
    delay_network_us: u32,
    delay_basis: &'static str,
    delay_jitter_buffer_us: u32,
    delay_packetisation_us: u32,
    delay_look_ahead_us: u32,
    packets: u32,
    lost: u32,
    discarded: u32,
    loss_ratio: f64,
    burst_r: f64,
    flags: Vec<&'static str>,
}

/// Estimates of the windows of one path, oldest first; `limit` counts windows. Windows that nothing can be
/// estimated of are left out.
pub(crate) async fn list(
    app: App,
    Path(id): Path<String>,
    view: View,
    span: Result<Query<SpanQuery>, QueryRejection>,
    parameters: Result<Query<EstimateQuery>, QueryRejection>,
) -> Items<EstimateItem> {
    let parameters = query(parameters)?;
    let span = Span::new(&id, &query(span)?, app.now(), (USUAL, LONGEST))?;
    let codec = codec(parameters.codec.as_deref())?;
    let page = Page::of(&view, USUAL_WINDOWS)?;
    let found = app.with_store(move |services| {
        let (_, simulated) = span.find(services)?;
        Ok((page.read(&services.telemetry, span)?, simulated))
    });
    let ((windows, next), simulated) = found.await?;
    let items = windows.iter().flat_map(|window| of_window(window, codec, simulated)).collect();
    Ok(Listing::page(items, next))
}

fn codec(name: Option<&str>) -> Result<&'static Codec, Problem> {
    let usable = |codec: &&Codec| codec.figures().is_some();
    let found = match name {
        None => Some(REFERENCE_CODEC),
        Some(name) => Codec::named(name).filter(usable),
    };
    found.ok_or_else(|| {
        let known: Vec<&str> = CODECS.iter().filter(usable).map(|codec| codec.name).collect();
        let known = known.join(", ");
        let detail = format!("codec must be one that figures are published for: {known}");
        Problem::bad_request(detail)
    })
}

fn of_window(stored: &StoredWindow, codec: &'static Codec, simulated: bool) -> Vec<EstimateItem> {
    let judged = &stored.judged;
    let Some(call) = estimate(&judged.window, codec) else { return Vec::new() };
    let item = |estimate: &Estimate, direction: Option<Direction>| {
        let worse = direction == call.worse_direction;
        EstimateItem {
            worse,
            ..item(estimate, direction, codec, text::utc(judged.placed), simulated)
        }
    };
    match (&call.up, &call.down) {
        (Some(up), Some(down)) => {
            vec![item(up, Some(Direction::Up)), item(down, Some(Direction::Down))]
        }
        _ => vec![item(&call.worse, None)],
    }
}

fn item(
    estimate: &Estimate,
    direction: Option<Direction>,
    codec: &Codec,
    placed_utc: String,
    simulated: bool,
) -> EstimateItem {
    let (inputs, terms) = (&estimate.inputs, &estimate.impairments);
    EstimateItem {
        label: LABEL,
        simulated,
        placed_utc,
        model: codec.scale.model(),
        scale: codec.scale.as_str(),
        codec: codec.name,
        codec_label: codec.label,
        codec_source: codec.source,
        direction: direction.map(Direction::as_str),
        worse: false,
        mos: estimate.mos,
        r: estimate.r,
        good_or_better_percent: estimate.good_or_better_percent,
        poor_or_worse_percent: estimate.poor_or_worse_percent,
        term_ro: terms.ro,
        term_is: terms.is,
        term_idte: terms.idte,
        term_idle: terms.idle,
        term_idd: terms.idd,
        term_ie_eff: terms.ie_eff,
        delay_us: inputs.delay.total_us(),
        delay_network_us: inputs.delay.network_us,
        delay_basis: inputs.delay.basis.as_str(),
        delay_jitter_buffer_us: inputs.delay.jitter_buffer_us,
        delay_packetisation_us: inputs.delay.packetisation_us,
        delay_look_ahead_us: inputs.delay.look_ahead_us,
        packets: inputs.of,
        lost: inputs.lost,
        discarded: inputs.discarded,
        loss_ratio: inputs.loss_percent / 100.0,
        burst_r: inputs.burst_ratio,
        flags: flags(estimate),
    }
}
