//! The query service over gRPC: what the HTTP API tells of buildings, incidents, agents and paths, in the same
//! words, behind the same guard, cut to the same buildings.

use axum::body::Body;
use axum::extract::{Request as Asked, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response as Answer;
use busyhour_proto::query::query_server::{Query, QueryServer};
use busyhour_proto::query::{
    Agent, Building, DESCRIPTORS, GetIncidentRequest, Incident, ListAgentsRequest,
    ListAgentsResponse, ListBuildingsRequest, ListBuildingsResponse, ListIncidentsRequest,
    ListIncidentsResponse, ListPathsRequest, ListPathsResponse, ListWindowsRequest,
    ListWindowsResponse, Page, Path, Window,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::{Code, Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::server::health_reporter;
use tower::{Service, ServiceExt as _};

use crate::app::{App, Core};
use crate::json::incidents::IncidentQuery;
use crate::json::listing::{View, page_of};
use crate::json::span::SpanQuery;
use crate::json::{agents, buildings, incidents, paths};
use crate::problem::Problem;

/// Items of an answer without being told.
const USUAL: usize = 1_000;
/// The longest question.
const MAX_QUESTION_BYTES: usize = 64 * 1024;
/// The service's name, as health is asked for.
const NAME: &str = "busyhour.query.v1.Query";

/// True for what a gRPC client sends.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind == "application/grpc" || kind.starts_with("application/grpc+"))
}

/// A problem as gRPC tells it.
fn status(problem: &Problem) -> Status {
    let code = match problem.status() {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Code::InvalidArgument,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::Unimplemented,
        StatusCode::CONFLICT => Code::FailedPrecondition,
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        StatusCode::REQUEST_TIMEOUT => Code::DeadlineExceeded,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        _ => Code::Internal,
    };
    Status::new(code, problem.detail())
}

/// The same as a whole answer, for who did not get to a handler.
pub(crate) fn refused(problem: &Problem) -> Answer {
    status(problem).into_http()
}

/// What the HTTP API tells, as a message: the names are the same, a test holds them to it.
fn told<T: DeserializeOwned>(item: &impl Serialize) -> Result<T, Status> {
    serde_json::to_value(item).and_then(serde_json::from_value).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "an item has no message");
        Status::internal("the collector's log tells why")
    })
}

fn all_told<T: DeserializeOwned>(items: &[impl Serialize]) -> Result<Vec<T>, Status> {
    items.iter().map(told).collect()
}

fn limit(page: &Page) -> usize {
    match page.size {
        0 => USUAL,
        size => usize::try_from(size).unwrap_or(usize::MAX),
    }
}

fn said(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// A page of a list as messages, and where the next one begins.
fn page<I: Serialize + Send + Sync + 'static, T: DeserializeOwned>(
    items: Vec<I>,
    page: Option<Page>,
) -> Result<(Vec<T>, String), Status> {
    let page = page.unwrap_or_default();
    let cut = page_of(items, limit(&page), said(page.token));
    let (items, next) = cut.map_err(|problem| status(&problem))?;
    Ok((all_told(&items)?, next.unwrap_or_default()))
}

/// One call, of whom the guard let in.
struct Call {
    app: App,
}

fn refuse(problem: Problem) -> Status {
    status(&problem)
}

#[tonic::async_trait]
impl Query for Call {
    async fn list_buildings(
        &self,
        request: Request<ListBuildingsRequest>,
    ) -> Result<Response<ListBuildingsResponse>, Status> {
        let items = buildings::all(&self.app).await.map_err(refuse)?;
        let (buildings, next_token) = page::<_, Building>(items, request.into_inner().page)?;
        Ok(Response::new(ListBuildingsResponse { buildings, next_token }))
    }

    async fn list_incidents(
        &self,
        request: Request<ListIncidentsRequest>,
    ) -> Result<Response<ListIncidentsResponse>, Status> {
        let ListIncidentsRequest { page: part, closed, all_kinds, parts } = request.into_inner();
        let asked = IncidentQuery::new((closed, all_kinds, parts));
        let items = incidents::all(&self.app, asked).await.map_err(refuse)?;
        let (incidents, next_token) = page::<_, Incident>(items, part)?;
        Ok(Response::new(ListIncidentsResponse { incidents, next_token }))
    }

    async fn get_incident(
        &self,
        request: Request<GetIncidentRequest>,
    ) -> Result<Response<Incident>, Status> {
        let item = incidents::short(&self.app, &request.into_inner().id).await.map_err(refuse)?;
        Ok(Response::new(told(&item)?))
    }

    async fn list_agents(
        &self,
        request: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        let ListAgentsRequest { page: part, removed } = request.into_inner();
        let items = agents::all(&self.app, removed).await.map_err(refuse)?;
        let (agents, next_token) = page::<_, Agent>(items, part)?;
        Ok(Response::new(ListAgentsResponse { agents, next_token }))
    }

    async fn list_paths(
        &self,
        request: Request<ListPathsRequest>,
    ) -> Result<Response<ListPathsResponse>, Status> {
        let items = paths::all(&self.app).await.map_err(refuse)?;
        let (paths, next_token) = page::<_, Path>(items, request.into_inner().page)?;
        Ok(Response::new(ListPathsResponse { paths, next_token }))
    }

    async fn list_windows(
        &self,
        request: Request<ListWindowsRequest>,
    ) -> Result<Response<ListWindowsResponse>, Status> {
        let ListWindowsRequest { page, path_id, from, until, zone } = request.into_inner();
        let page = page.unwrap_or_default();
        let view = View::of(limit(&page), said(page.token));
        let asked = SpanQuery { from: said(from), until: said(until), zone: said(zone) };
        let found = paths::page_of_windows(&self.app, &path_id.to_string(), &asked, &view).await;
        let (items, next) = found.map_err(refuse)?;
        let windows = all_told::<Window>(&items)?;
        let next_token = next.unwrap_or_default();
        Ok(Response::new(ListWindowsResponse { windows, next_token }))
    }
}

/// The query service.
pub(crate) async fn query(app: App, asked: Asked) -> Answer {
    let server = QueryServer::new(Call { app });
    answer(server.max_decoding_message_size(MAX_QUESTION_BYTES), asked).await
}

/// Whether the service works (the standard health service); a watch ends after its first answer.
pub(crate) async fn health(State(core): State<Core>, asked: Asked) -> Answer {
    let works = core.with_services(|services| Ok(services.control.delivery_totals()?)).await;
    let state = if works.is_ok() { ServingStatus::Serving } else { ServingStatus::NotServing };
    let (reporter, server) = health_reporter();
    for name in ["", NAME] {
        reporter.set_service_status(name, state).await;
    }
    answer(server, asked).await
}

/// What the service can, for tools that ask (the standard reflection service).
pub(crate) async fn reflection(asked: Asked) -> Answer {
    let services = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .build_v1();
    match services {
        Ok(server) => answer(server, asked).await,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "no reflection");
            refused(&Problem::internal())
        }
    }
}

async fn answer<S>(server: S, asked: Asked) -> Answer
where
    S: Service<
            Asked,
            Response = axum::http::Response<tonic::body::Body>,
            Error = std::convert::Infallible,
        >,
{
    match server.oneshot(asked).await {
        Ok(answer) => answer.map(Body::new),
        Err(never) => match never {},
    }
}
