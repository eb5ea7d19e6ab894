//! The query service over gRPC: what the HTTP API tells of the fleet, in the same words, behind the same
//! guard, cut to the same buildings; and the standard services beside it, health and reflection.
//!
//! A message is read from the item that the HTTP API writes, so neither can tell what the other does not.

pub(crate) mod health;
mod over;

use std::convert::Infallible;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request as Asked, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response as Answer;
use busyhour_proto::query::query_server::{Query, QueryServer};
use busyhour_proto::query::{
    DESCRIPTORS, ExplainPathRequest, Explanation, GetIncidentRequest, IncidentDetail,
    ListAgentsRequest, ListAgentsResponse, ListBuildingsRequest, ListBuildingsResponse,
    ListFiguresRequest, ListFiguresResponse, ListIdentitiesRequest, ListIdentitiesResponse,
    ListIncidentsRequest, ListIncidentsResponse, ListPathsRequest, ListPathsResponse,
    ListWindowsRequest, ListWindowsResponse, Page, TopBuildingsRequest, TopBuildingsResponse,
};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_server::HealthServer;
use tower::{Service, ServiceExt as _};

use self::health::Checks;
use self::over::{asked_until, told_until};
use crate::app::{App, Core};
use crate::events::Closing;
use crate::guard::Peer;
use crate::json::incidents::{IncidentQuery, Kinds};
use crate::json::listing::{View, page_of};
use crate::json::span::SpanQuery;
use crate::json::{agents, buildings, explain, identities, incidents, paths, status};
use crate::large::{IsLarge, LARGE_MESSAGE_BYTES};
use crate::problem::Problem;
use crate::scoped::Scoped;

/// Items of an answer without being told.
const USUAL_ITEMS: usize = 1_000;
/// The most items of one answer: it must fit into the 4 MiB that clients take without being told otherwise.
const MAX_ITEMS: usize = 2_000;
/// The longest question.
const MAX_QUESTION_BYTES: usize = 64 * 1024;
/// The service's name, as health is asked for.
const NAME: &str = "busyhour.query.v1.Query";

/// True for what a gRPC client sends. A browser sends neither type without asking first, which nobody answers.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    matches!(kind, Some("application/grpc" | "application/grpc+proto"))
}

/// A problem as gRPC tells it.
fn refuse(problem: &Problem) -> Status {
    let code = match problem.status() {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Code::InvalidArgument,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST => Code::PermissionDenied,
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
    refuse(problem).into_http()
}

/// What the HTTP API tells, as a message.
fn told<T: DeserializeOwned>(item: &impl Serialize) -> Result<T, Problem> {
    serde_json::to_value(item).and_then(serde_json::from_value).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "an item has no message");
        Problem::internal()
    })
}

fn all_told<T: DeserializeOwned>(items: &[impl Serialize]) -> Result<Vec<T>, Problem> {
    items.iter().map(told).collect()
}

/// What is empty was not said.
fn said(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn view(page: Option<Page>) -> View {
    let Page { size, token } = page.unwrap_or_default();
    let size = match size {
        0 => USUAL_ITEMS,
        size => usize::try_from(size).unwrap_or(MAX_ITEMS).min(MAX_ITEMS),
    };
    View::of(size, said(token))
}

/// A page of a list as messages, and where the next one begins: empty at the end.
fn page<I: Serialize + Send + Sync + 'static, T: DeserializeOwned>(
    view: &View,
    items: Vec<I>,
) -> Result<(Vec<T>, String), Problem> {
    let (items, next) = page_of(view, items)?;
    Ok((all_told(&items)?, next.unwrap_or_default()))
}

/// One call, of whom the guard let in.
struct Call {
    app: App,
}

impl Call {
    /// Reads the store as who asks sees it and makes messages of it, on a thread that may take its time.
    async fn read<T: Message + 'static>(
        &self,
        calls: impl FnOnce(&Scoped) -> Result<T, Problem> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        let calls = move |services: &Scoped| {
            let message = calls(services)?;
            let is_large = message.encoded_len() > LARGE_MESSAGE_BYTES;
            Ok((message, is_large))
        };
        let found = self.app.with_store(calls).await;
        let (message, is_large) = found.map_err(|problem| refuse(&problem))?;
        let mut response = Response::new(message);
        if is_large {
            response.extensions_mut().insert(IsLarge);
        }
        Ok(response)
    }

    /// The same of what was read already.
    async fn tell<I, T>(
        items: Result<Vec<I>, Problem>,
        wanted: Option<Page>,
    ) -> Result<(Vec<T>, String), Status>
    where
        I: Serialize + Send + Sync + 'static,
        T: DeserializeOwned + Send + 'static,
    {
        let items = items.map_err(|problem| refuse(&problem))?;
        let told = tokio::task::spawn_blocking(move || page(&view(wanted), items)).await;
        told.unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a list was not told");
            Err(Problem::internal())
        })
        .map_err(|problem| refuse(&problem))
    }
}

#[tonic::async_trait]
impl Query for Call {
    async fn list_buildings(
        &self,
        request: Request<ListBuildingsRequest>,
    ) -> Result<Response<ListBuildingsResponse>, Status> {
        let ListBuildingsRequest { page: wanted } = request.into_inner();
        self.read(move |services| {
            let (buildings, next_token) = page(&view(wanted), buildings::all(services)?)?;
            Ok(ListBuildingsResponse { buildings, next_token })
        })
        .await
    }

    async fn top_buildings(
        &self,
        request: Request<TopBuildingsRequest>,
    ) -> Result<Response<TopBuildingsResponse>, Status> {
        let limit = match request.into_inner().size {
            0 => buildings::DEFAULT_TOP,
            size => usize::try_from(size).unwrap_or(usize::MAX),
        };
        self.read(move |services| {
            let buildings = all_told(&buildings::worst(services, limit)?)?;
            Ok(TopBuildingsResponse { buildings })
        })
        .await
    }

    async fn list_incidents(
        &self,
        request: Request<ListIncidentsRequest>,
    ) -> Result<Response<ListIncidentsResponse>, Status> {
        let ListIncidentsRequest { page: wanted, closed, all_kinds, parts } = request.into_inner();
        let kind = if all_kinds { Kinds::All } else { Kinds::Alerting };
        let asked = IncidentQuery { closed, kind, parts };
        self.read(move |services| {
            let view = view(wanted);
            let found = incidents::all(services, &asked, view.reach()?)?;
            let (incidents, next_token) = page(&view, found)?;
            Ok(ListIncidentsResponse { incidents, next_token })
        })
        .await
    }

    async fn get_incident(
        &self,
        request: Request<GetIncidentRequest>,
    ) -> Result<Response<IncidentDetail>, Status> {
        let id = request.into_inner().id;
        self.read(move |services| told(&incidents::detail(services, incidents::reference(&id)?)?))
            .await
    }

    async fn list_agents(
        &self,
        request: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        let ListAgentsRequest { page: wanted, removed } = request.into_inner();
        self.read(move |services| {
            let (agents, next_token) = page(&view(wanted), agents::all(services, removed)?)?;
            Ok(ListAgentsResponse { agents, next_token })
        })
        .await
    }

    async fn list_paths(
        &self,
        request: Request<ListPathsRequest>,
    ) -> Result<Response<ListPathsResponse>, Status> {
        let ListPathsRequest { page: wanted } = request.into_inner();
        self.read(move |services| {
            let (paths, next_token) = page(&view(wanted), paths::all(services)?)?;
            Ok(ListPathsResponse { paths, next_token })
        })
        .await
    }

    async fn list_windows(
        &self,
        request: Request<ListWindowsRequest>,
    ) -> Result<Response<ListWindowsResponse>, Status> {
        let ListWindowsRequest { page: wanted, path_id, from, until, zone } = request.into_inner();
        let asked = SpanQuery { from: said(from), until: said(until), zone: said(zone) };
        self.read(move |services| {
            let (view, id) = (view(wanted), path_id.to_string());
            let (items, next) = paths::page_of_windows(services, &id, &asked, &view)?;
            let (windows, next_token) = (all_told(&items)?, next.unwrap_or_default());
            Ok(ListWindowsResponse { windows, next_token })
        })
        .await
    }

    async fn explain_path(
        &self,
        request: Request<ExplainPathRequest>,
    ) -> Result<Response<Explanation>, Status> {
        let ExplainPathRequest { path_id, at } = request.into_inner();
        self.read(move |services| {
            told(&explain::told(services, &path_id.to_string(), said(at).as_deref())?)
        })
        .await
    }

    async fn list_identities(
        &self,
        request: Request<ListIdentitiesRequest>,
    ) -> Result<Response<ListIdentitiesResponse>, Status> {
        let found = identities::all(&self.app).await;
        let (identities, next_token) = Self::tell(found, request.into_inner().page).await?;
        Ok(Response::new(ListIdentitiesResponse { identities, next_token }))
    }

    async fn list_figures(
        &self,
        request: Request<ListFiguresRequest>,
    ) -> Result<Response<ListFiguresResponse>, Status> {
        let found = status::read(&self.app).await;
        let (figures, next_token) = Self::tell(found, request.into_inner().page).await?;
        Ok(Response::new(ListFiguresResponse { figures, next_token }))
    }
}

/// The query service. Each of its methods has a route, so that each says who may use it.
pub(crate) async fn query(app: App, asked: Asked) -> Answer {
    let server = QueryServer::new(Call { app });
    answer(server.max_decoding_message_size(MAX_QUESTION_BYTES), asked).await
}

/// Whether the service works (the standard health service).
pub(crate) async fn health(
    State(core): State<Core>,
    peer: Peer,
    closing: Option<Extension<Closing>>,
    asked: Asked,
) -> Answer {
    let server = HealthServer::new(Checks::new(core, peer));
    let answer = answer(server.max_decoding_message_size(MAX_QUESTION_BYTES), asked).await;
    told_until(answer, closing.as_ref())
}

/// What the service can, for tools that ask (the standard reflection service).
pub(crate) async fn reflection(closing: Option<Extension<Closing>>, asked: Asked) -> Answer {
    let services = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1();
    match services {
        Ok(server) => {
            let server = server.max_decoding_message_size(MAX_QUESTION_BYTES);
            let asked = asked_until(asked, closing.as_ref());
            told_until(answer(server, asked).await, closing.as_ref())
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "no reflection");
            refused(&Problem::internal())
        }
    }
}

async fn answer<S>(server: S, asked: Asked) -> Answer
where
    S: Service<Asked, Response = axum::http::Response<tonic::body::Body>, Error = Infallible>,
{
    match server.oneshot(asked).await {
        Ok(answer) => answer.map(Body::new),
        Err(never) => match never {},
    }
}
