//! Pictures of the page as files, and the figures behind them as tables.

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use busyhour_chart::{Look, Svg};
use busyhour_model::BuildingId;
use busyhour_report::guarded;

use super::findings::part_query;
use super::strip::Strip;
use super::{building, incident};
use crate::app::App;
use crate::json;
use crate::json::buildings::PartQuery;
use crate::json::incidents::PICTURE_POLICY;
use crate::problem::Problem;
use crate::week::Part;

/// Where a picture is as a file, and its figures as a table.
#[derive(Template)]
#[template(
    ext = "html",
    source = "<p class=\"quiet\">{{ what }}: picture as \
              <a href=\"{{ base }}.svg{{ query }}\" aria-label=\"{{ what }} as SVG\">SVG</a>, \
              <a href=\"{{ base }}.png{{ query }}\" aria-label=\"{{ what }} as PNG\">PNG</a>; figures as \
              <a href=\"{{ table }}.csv{{ query }}\" aria-label=\"Figures of {{ what }} as CSV\">CSV</a></p>"
)]
pub(super) struct Files {
    what: &'static str,
    base: String,
    table: String,
    /// With its question mark, or nothing.
    query: String,
}

impl Files {
    /// The local week of a part of a building.
    pub(super) fn week(part: Part, until: &str) -> Self {
        let base = folder(part.building) + "week";
        let query = format!("?date={until}&whole=yes{}", part_query(part.subnet, part.link));
        Self { what: "This week", table: base.clone(), base, query }
    }

    /// A curve of a day; all curves of a day are one table.
    pub(super) fn curve(part: Part, date: &str, (what, name): (&'static str, &str)) -> Self {
        let folder = folder(part.building);
        let query = format!("?date={date}&whole=yes{}", part_query(part.subnet, part.link));
        Self { what, base: folder.clone() + name, table: folder + "day", query }
    }

    /// The two weeks to a date of a building, or of a subnet on a kind of link.
    pub(super) fn strip(part: Part, until: &str) -> Self {
        let base = folder(part.building) + "days";
        let query = format!("?date={until}{}", part_query(part.subnet, part.link));
        Self { what: "These two weeks", table: base.clone(), base, query }
    }

    /// The days of an incident.
    pub(super) fn days(incident: u64) -> Self {
        let base = format!("/incidents/{incident}/files/days");
        Self { what: "Day by day", table: base.clone(), base, query: String::new() }
    }
}

fn folder(building: BuildingId) -> String {
    format!("/buildings/{building}/files/")
}

/// What a file of a page is made of.
pub(super) enum Content {
    Picture(Svg),
    /// Its lines, the first with the names of the columns.
    Table(Vec<Vec<String>>),
}

/// The kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Svg,
    Png,
    Csv,
}

/// `week.png`: what, and as which kind.
fn named(name: &str) -> Result<(String, Kind), Problem> {
    let (what, kind) = name.rsplit_once('.').ok_or_else(no_file)?;
    let kind = match kind {
        "svg" => Kind::Svg,
        "png" => Kind::Png,
        "csv" => Kind::Csv,
        _ => return Err(no_file()),
    };
    Ok((what.to_owned(), kind))
}

fn no_file() -> Problem {
    Problem::not_found("there is no such picture and no such table")
}

impl Content {
    /// As a file; only where what is asked for is of that kind.
    fn file(self, name: &str, kind: Kind) -> Result<Response, Problem> {
        Ok(match (self, kind) {
            (Self::Picture(svg), Kind::Svg) => {
                picture("image/svg+xml", svg.standalone(Look::AsTheReader).into_bytes())
            }
            (Self::Picture(svg), Kind::Png) => {
                picture("image/png", svg.png().ok_or_else(Problem::internal)?.bytes)
            }
            (Self::Table(lines), Kind::Csv) => table(name, lines),
            (Self::Picture(_), Kind::Csv) | (Self::Table(_), Kind::Svg | Kind::Png) => {
                return Err(no_file());
            }
        })
    }
}

/// A picture that stands alone.
pub(super) fn picture(kind: &'static str, bytes: Vec<u8>) -> Response {
    let policy = (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PICTURE_POLICY));
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind)), policy], bytes).into_response()
}

/// A table; `name` is ours.
pub(super) fn table(name: &str, lines: Vec<Vec<String>>) -> Response {
    let mut text = String::new();
    for line in lines {
        json::csv::line(&mut text, line.iter().map(|cell| guarded(cell)));
    }
    let kind = "text/csv; charset=utf-8; header=present".to_owned();
    let disposition = format!("attachment; filename=\"{name}.csv\"");
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, disposition)], text)
        .into_response()
}

/// A picture or a table of a building's page.
pub(crate) async fn of_building(
    app: App,
    Path((id, name)): Path<(String, String)>,
    parameters: Result<Query<PartQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let (id, (what, kind)) = (json::parsed("the building's id", &id)?, named(&name)?);
    let parameters = json::query(parameters)?;
    let (part, date) = (parameters.part(id)?, parameters.date()?);
    let view = building::View { part, whole: parameters.whole.is_some(), date, hours: None };
    // Making a bitmap takes a while, so it is made where store calls are, few at a time.
    let file = app.with_store(move |services| {
        if what == "days" {
            let content = Strip::content(services, part, date, kind == Kind::Csv)?;
            return content.file(&what, kind);
        }
        let page = building::BuildingPage::read(services, view)?;
        page.content(&what, kind == Kind::Csv).ok_or_else(no_file)?.file(&what, kind)
    });
    file.await
}

/// A picture or a table of an incident's page.
pub(crate) async fn of_incident(
    app: App,
    Path((id, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (wanted, (what, kind)) = (json::incidents::reference(&id)?, named(&name)?);
    let file = app.with_store(move |services| {
        let page = incident::IncidentPage::read(services, wanted, None)?;
        page.content(&what, kind == Kind::Csv).ok_or_else(no_file)?.file(&what, kind)
    });
    file.await
}
