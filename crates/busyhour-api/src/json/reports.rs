//! Reports: the daily digest, the weekly review, the monthly pack, in every form.

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use busyhour_model::BuildingId;
use busyhour_report::{Document, Period, Raw, ReportKind, Table, document};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::buildings::no_building;
use super::{Single, parsed, query, single};
use crate::app::App;
use crate::operation::{Kind, Schemas, Typed};
use crate::problem::Problem;
use crate::state::{date_in, zone_of};
use crate::text;

/// A report is a page of its own: it has its style sheet inside and loads nothing.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Form {
    #[default]
    Json,
    Html,
    Csv,
    Text,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ReportQuery {
    /// A date, a week or a month; otherwise the last that is over: in the building, or in all zones.
    date: Option<String>,
    /// The building's id; otherwise all that who asks sees.
    building: Option<String>,
    #[serde(default)]
    format: Form,
    /// Which table as CSV; otherwise the first.
    table: Option<String>,
}

/// A report as JSON.
#[derive(Debug, Serialize, JsonSchema)]
struct ReportItem {
    kind: &'static str,
    /// `2026-08-21`, `2026-W34`, `2026-08`.
    period: String,
    first_date: String,
    last_date: String,
    /// The building it is limited to.
    building: Option<String>,
    made_utc: String,
    /// Simulated agents are among what it rests on.
    simulated: bool,
    title: String,
    /// What matters most, a sentence each.
    lead: Vec<String>,
    tables: Vec<TableItem>,
    /// How to read it.
    notes: Vec<String>,
}

/// A table of a report; the keys of its rows end in their units.
#[derive(Debug, Serialize, JsonSchema)]
struct TableItem {
    name: &'static str,
    title: &'static str,
    caption: String,
    rows: Vec<Map<String, Value>>,
}

impl ReportItem {
    fn new(report: &Document) -> Self {
        Self {
            kind: report.period.kind().as_str(),
            period: report.period.to_string(),
            first_date: report.period.first().to_string(),
            last_date: report.period.last().to_string(),
            building: report.building.clone(),
            made_utc: text::utc(report.made),
            simulated: report.simulated,
            title: report.title(),
            lead: report.lead.clone(),
            tables: report.tables.iter().map(TableItem::new).collect(),
            notes: report.notes.clone(),
        }
    }
}

impl TableItem {
    fn new(table: &Table) -> Self {
        let columns = table.for_programs();
        let row = |row: &busyhour_report::Row| {
            let values = columns.iter().filter_map(|(at, column)| {
                Some((column.key.to_owned(), value(column.key, row.get(*at)?.raw())))
            });
            values.collect()
        };
        Self {
            name: table.name,
            title: table.title,
            caption: table.caption.clone(),
            rows: table.rows.iter().map(row).collect(),
        }
    }
}

fn value(key: &str, raw: Raw) -> Value {
    match raw {
        Raw::Text(text) if key == "simulated" => Value::Bool(text == "true"),
        Raw::Text(text) => Value::String(text),
        Raw::Integer(number) => number.into(),
        Raw::Number(number) => number.into(),
        Raw::Nothing => Value::Null,
    }
}

/// A report in one of its forms.
pub(crate) enum Report {}

impl Kind for Report {
    fn answers(schemas: &mut Schemas) -> Vec<(&'static str, Value)> {
        let text = || serde_json::json!({ "type": "string" });
        let json = schemas.given::<Single<ReportItem>>();
        vec![
            ("application/json", json),
            ("text/html", text()),
            ("text/plain", text()),
            ("text/csv", text()),
        ]
    }
}

/// The daily digest.
pub(crate) async fn daily(
    app: App,
    parameters: Result<Query<ReportQuery>, QueryRejection>,
) -> Result<Typed<Report>, Problem> {
    report(app, ReportKind::Daily, query(parameters)?).await.map(Typed::new)
}

/// The weekly Quality Experience Review.
pub(crate) async fn weekly(
    app: App,
    parameters: Result<Query<ReportQuery>, QueryRejection>,
) -> Result<Typed<Report>, Problem> {
    report(app, ReportKind::Weekly, query(parameters)?).await.map(Typed::new)
}

/// The monthly pack for the steering committee.
pub(crate) async fn monthly(
    app: App,
    parameters: Result<Query<ReportQuery>, QueryRejection>,
) -> Result<Typed<Report>, Problem> {
    report(app, ReportKind::Monthly, query(parameters)?).await.map(Typed::new)
}

async fn report(app: App, kind: ReportKind, asked: ReportQuery) -> Result<Response, Problem> {
    let only = asked.building.as_deref().filter(|text| !text.is_empty());
    let only = only.map(|id| parsed::<BuildingId>("building", id)).transpose()?;
    let period = asked.date.as_deref().filter(|text| !text.is_empty());
    let period = period.map(|text| Period::parse(kind, text)).transpose();
    let period = period.map_err(|error| Problem::bad_request(error.to_string()))?;
    let now = app.now();
    let made = app.with_report(move |services| {
        let usual = match only {
            None => Period::over_everywhere(kind, now),
            Some(id) => {
                let buildings = services.control.buildings()?;
                let building = buildings.iter().find(|building| building.id == id);
                let zone = zone_of(building.ok_or_else(no_building)?);
                Period::over_by(kind, date_in(now, &zone))
            }
        };
        Ok(document(services, period.unwrap_or(usual), only, now)?)
    });
    let report = made.await?;
    match asked.format {
        Form::Json => Ok(Json::into_response(single(ReportItem::new(&report)))),
        Form::Html => {
            let page = report.page().map_err(|error| {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a report was not written"
                );
                Problem::internal()
            })?;
            let mut response = file(&report, "inline", "", ("html", "text/html"), page)?;
            let policy = HeaderValue::from_static(PAGE_POLICY);
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            Ok(response)
        }
        Form::Text => file(&report, "inline", "", ("txt", "text/plain"), report.text()),
        Form::Csv => {
            let known: Vec<&str> = report.tables.iter().map(|table| table.name).collect();
            let first = known.first().copied().unwrap_or_default();
            let name = asked.table.as_deref().unwrap_or(first);
            let csv = report.csv(name).ok_or_else(|| {
                let expected = known.join(", ");
                Problem::bad_request(format!("there is no table {name:?}, only {expected}"))
            })?;
            file(&report, "attachment", &format!("-{name}"), ("csv", "text/csv"), csv)
        }
    }
}

/// An answer with the name of a file.
fn file(
    report: &Document,
    disposition: &str,
    part: &str,
    (ending, media_type): (&str, &str),
    content: String,
) -> Result<Response, Problem> {
    let name = format!("{disposition}; filename=\"{}{part}.{ending}\"", report.file_stem());
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| Problem::internal());
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, value(&format!("{media_type}; charset=utf-8"))?);
    headers.insert(header::CONTENT_DISPOSITION, value(&name)?);
    Ok(response)
}
