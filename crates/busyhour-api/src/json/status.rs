//! The collector about itself.

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Items, Single, items, single};
use crate::app::{App, Core};
use crate::problem::Problem;
use crate::text;

/// One figure.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FigureItem {
    pub(crate) name: String,
    pub(crate) value: i64,
    pub(crate) help: &'static str,
}

impl FigureItem {
    fn new(name: &str, value: u64, help: &'static str) -> Self {
        Self { name: name.to_owned(), value: i64::try_from(value).unwrap_or(i64::MAX), help }
    }
}

/// What the store holds, how old its newest data is, and what the collector counts.
pub(crate) async fn figures(app: App) -> Items<FigureItem> {
    Ok(items(read(&app).await?))
}

/// The same, for whoever tells it in another form.
pub(crate) async fn read(app: &App) -> Result<Vec<FigureItem>, Problem> {
    let found = app.with_store(|services| {
        let paths = services.telemetry.paths(None)?;
        let newest = paths.iter().map(|path| path.newest).max();
        Ok((services.telemetry.whole()?.totals()?, services.control.delivery_totals()?, newest))
    });
    let (totals, deliveries, newest) = found.await?;
    let figure = FigureItem::new;
    let mut figures = vec![
        figure("store_windows_total", totals.windows, "windows ever merged into slots"),
        figure("store_slots", totals.slots, "slots now, without those in the journal"),
        figure("store_blocks_total", totals.blocks, "blocks ever received"),
        figure("store_quarantined_total", totals.quarantined, "records ever quarantined"),
        figure("store_size_bytes", totals.size_bytes, "size of the database files"),
        figure("alerts_pending", deliveries.pending, "alerts waiting to be sent"),
        figure("alerts_sent_total", deliveries.sent, "alerts that the other side took"),
        figure("alerts_withheld_total", deliveries.withheld, "alerts withheld or given up"),
    ];
    if let Some(newest) = newest {
        figures.push(FigureItem {
            name: "newest_window_age_s".to_owned(),
            value: text::age_s(app.now(), newest),
            help: "age of the newest window of any path",
        });
    }
    let own = app.figures().into_iter();
    figures.extend(own.map(|f| FigureItem { name: f.name, value: f.value, help: f.help }));
    Ok(figures)
}

/// That the collector answers, and its store with it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Health {
    status: &'static str,
    version: &'static str,
}

/// Asks the store something small.
pub(crate) async fn healthz(State(core): State<Core>) -> Result<Json<Single<Health>>, Problem> {
    core.with_services(|services| Ok(services.control.delivery_totals()?)).await?;
    Ok(single(Health { status: "ok", version: env!("CARGO_PKG_VERSION") }))
}
