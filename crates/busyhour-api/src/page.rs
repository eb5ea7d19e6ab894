//! The page: rendered here, complete without scripts, every view in its address.

mod act;
mod building;
pub(crate) mod files;
mod findings;
mod fleet;
pub(crate) mod import;
mod incident;
mod incidents;
mod matrix;
mod overview;
mod paging;
pub(crate) mod path;
mod path_rows;
mod people;
mod reports;
mod strip;
mod subnet;
pub(crate) mod tasks;

use std::sync::LazyLock;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

pub(crate) use act::act;

use crate::access::Access;
use crate::app::App;
use crate::json::buildings::PartQuery;
use crate::problem::Problem;
use crate::{json, rank, state};

/// Shown in the footer and put behind the names of the assets, so that a new version is fetched.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Assets change with the version only; their address holds it.
const CACHE: &str = "private, max-age=86400";

/// A problem, told to a person.
pub(crate) struct PageProblem(Problem);

impl From<Problem> for PageProblem {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    title: &'a str,
    detail: &'a str,
}

impl IntoResponse for PageProblem {
    fn into_response(self) -> Response {
        let (title, detail) = (self.0.title(), self.0.detail());
        match (ProblemPage { title, detail }).render() {
            Ok(page) => (self.0.status(), Html(page)).into_response(),
            Err(_) => self.0.into_response(),
        }
    }
}

type Page = Result<Html<String>, PageProblem>;

pub(crate) fn rendered(page: &impl Template) -> Result<String, Problem> {
    page.render().map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "a page was not rendered");
        Problem::internal()
    })
}

/// The buildings, worst first.
pub(crate) async fn overview(
    app: App,
    parameters: Result<Query<overview::Asked>, QueryRejection>,
) -> Page {
    let asked = json::query(parameters)?;
    let page = app.with_store(move |services| {
        let snapshot = state::Snapshot::read(services, None)?;
        let missing = services.control.missing_prefixes()?;
        rendered(&overview::OverviewPage::new(&snapshot, &missing, &asked))
    });
    Ok(Html(page.await?))
}

/// The incidents.
pub(crate) async fn incidents(
    app: App,
    parameters: Result<Query<incidents::Asked>, QueryRejection>,
) -> Page {
    let asked = json::query(parameters)?;
    let page = app
        .with_store(move |services| rendered(&incidents::IncidentsPage::read(services, &asked)?));
    Ok(Html(page.await?))
}

/// The agents.
pub(crate) async fn fleet(
    app: App,
    parameters: Result<Query<fleet::Asked>, QueryRejection>,
) -> Page {
    let asked = json::query(parameters)?;
    let known = if app.principal().grant.reach().is_all() {
        let known = app.core().with_services(|services| {
            let identities = services.fleet.identities().map_err(json::tokens::fleet_problem)?;
            Ok(fleet::Known { identities, reports: services.planner.store().desired()?.reports })
        });
        Some(known.await?)
    } else {
        None
    };
    let page = app.with_store(move |services| {
        rendered(&fleet::FleetPage::read(services, &asked, known.as_ref())?)
    });
    Ok(Html(page.await?))
}

/// What of a day is looked at closer.
#[derive(serde::Deserialize)]
pub(crate) struct Closer {
    hours: Option<String>,
}

impl Closer {
    fn hours(&self) -> Result<Option<(u16, u16)>, Problem> {
        let asked = self.hours.as_deref().filter(|hours| !hours.is_empty());
        asked.map(building::hours_of).transpose()
    }
}

/// One building: its week, one of its days, its parts compared.
pub(crate) async fn building(
    app: App,
    Path(id): Path<String>,
    parameters: Result<Query<PartQuery>, QueryRejection>,
    closer: Result<Query<Closer>, QueryRejection>,
) -> Page {
    let id = json::parsed("the building's id", &id)?;
    let parameters = json::query(parameters)?;
    let (part, date) = (parameters.part(id)?, parameters.date()?);
    let hours = json::query(closer)?.hours()?;
    let view = building::View { part, whole: parameters.whole.is_some(), date, hours };
    let page =
        app.with_store(move |services| rendered(&building::BuildingPage::read(services, view)?));
    Ok(Html(page.await?))
}

/// One subnet.
pub(crate) async fn subnet(app: App, Path(id): Path<String>) -> Page {
    let id = json::parsed("the subnet's id", &id)?;
    let page = app.with_store(move |services| rendered(&subnet::SubnetPage::read(services, id)?));
    Ok(Html(page.await?))
}

/// Buildings × targets.
pub(crate) async fn matrix(
    app: App,
    parameters: Result<Query<matrix::Asked>, QueryRejection>,
) -> Page {
    let asked = json::query(parameters)?;
    let page =
        app.with_store(move |services| rendered(&matrix::MatrixPage::read(services, &asked)?));
    Ok(Html(page.await?))
}

/// The same of all buildings of a region, as a file. It reads for a while, so there are turns.
pub(crate) async fn matrix_csv(
    app: App,
    parameters: Result<Query<matrix::Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let asked = json::query(parameters)?;
    let lines = app.with_report(move |services| Ok(matrix::lines(services, &asked)?)).await?;
    Ok(files::table("matrix", lines))
}

/// One incident, by its identity or its number.
pub(crate) async fn incident(app: App, Path(id): Path<String>) -> Page {
    let wanted = json::incidents::reference(&id)?;
    let may_act = Access::Operate.check(app.principal()).is_ok();
    let session = app.principal().session.as_ref().filter(|_| may_act);
    let form_token = session.map(|session| session.form_token()).transpose()?;
    let page = app.with_store(move |services| {
        rendered(&incident::IncidentPage::read(services, wanted, form_token)?)
    });
    Ok(Html(page.await?))
}

/// Of which building reports are asked for.
#[derive(serde::Deserialize)]
pub(crate) struct ReportsQuery {
    building: Option<String>,
}

/// The reports that there are.
pub(crate) async fn reports(
    app: App,
    parameters: Result<Query<ReportsQuery>, QueryRejection>,
) -> Page {
    let building = json::query(parameters)?.building.filter(|text| !text.is_empty());
    let building = building.map(|id| json::parsed("building", &id)).transpose()?;
    let now = app.now();
    let page = app.with_store(move |services| {
        let buildings = services.control.buildings()?;
        let chosen = match building {
            None => None,
            Some(id) => Some(
                buildings
                    .iter()
                    .find(|building| building.id == id)
                    .ok_or_else(json::buildings::no_building)?,
            ),
        };
        rendered(&reports::ReportsPage::new(&buildings, chosen, now))
    });
    Ok(Html(page.await?))
}

static STYLE: LazyLock<String> =
    LazyLock::new(|| busyhour_chart::stylesheet() + include_str!("../assets/page.css"));

/// The style sheet.
pub(crate) async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE.as_str())
}

/// Reading out pictures by pointer and arrow keys; nothing depends on it.
pub(crate) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../assets/page.js"))
}

/// The icon.
pub(crate) async fn icon() -> Response {
    asset("image/svg+xml", include_str!("../assets/icon.svg"))
}

fn asset(kind: &'static str, content: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, CACHE)], content).into_response()
}

/// The shape that stands beside a standing's words, so that colour never speaks alone.
const fn shape(standing: rank::Standing) -> &'static str {
    match standing {
        rank::Standing::Hidden => "◆",
        rank::Standing::Open => "■",
        rank::Standing::Lately => "▲",
        rank::Standing::Unknown => "?",
        rank::Standing::Good => "●",
    }
}
