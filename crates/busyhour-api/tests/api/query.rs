//! The query service as real gRPC clients ask it: it tells what the HTTP API tells.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use busyhour_proto::query::query_client::QueryClient;
use busyhour_proto::query::{
    Agent, Building, DESCRIPTORS, ExplainPathRequest, Explanation, Figure, GetIncidentRequest,
    Identity, Incident, IncidentDetail, ListAgentsRequest, ListBuildingsRequest,
    ListFiguresRequest, ListIdentitiesRequest, ListIncidentsRequest, ListPathsRequest,
    ListWindowsRequest, Page, Path, TopBuildingsRequest, Window,
};
use busyhour_store::{Act, Reach};
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::events::token;
use crate::support::{Bed, MASKED, NOW, append_paths};

pub(crate) const SERVICE: &str = "busyhour.query.v1.Query";
/// Two days of the path that is measured, by the clocks there.
const SPAN: &str = "from=2026-03-02&until=2026-03-04&zone=Europe/Berlin";
/// Far more than anything here takes.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// A collector's door on a port of the system's choice.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) channel: Channel,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) server: JoinHandle<std::io::Result<()>>,
}

pub(crate) async fn served(bed: &Bed) -> Served {
    let router = bed.router.clone();
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("bound");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let until = async move { drop(stopped.await) };
    let server = tokio::spawn(busyhour_api::serve(listener, router, until));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let channel = endpoint.connect().await.expect("connected");
    Served { address, channel, stop, server }
}

pub(crate) fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("a header");
    request.metadata_mut().insert("authorization", value);
    request
}

pub(crate) fn code<T>(answer: Result<T, Status>) -> Code {
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

fn part(size: u32, token: &str) -> Option<Page> {
    Some(Page { size, token: token.to_owned() })
}

fn windows(page: Option<Page>, path_id: i64) -> ListWindowsRequest {
    ListWindowsRequest {
        page,
        path_id,
        from: "2026-03-02".to_owned(),
        until: "2026-03-04".to_owned(),
        zone: "Europe/Berlin".to_owned(),
    }
}

/// What the HTTP API has at an address, as messages.
async fn expected<T: DeserializeOwned>(bed: &Bed, address: &str) -> Vec<T> {
    let items = bed.items(address).await.into_iter();
    items.map(|item| serde_json::from_value(item).expect("a message")).collect()
}

/// All pages of a list of so many items each.
macro_rules! pages {
    ($client:expr, $method:ident, $items:ident, $size:expr, $request:expr) => {{
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let mut request = $request;
            request.page = part($size, &after);
            let page = $client.$method(request).await.expect("told").into_inner();
            assert!(page.$items.len() <= $size as usize);
            all.extend(page.$items);
            after = page.next_token;
            if after.is_empty() {
                break all;
            }
            assert_eq!(all.len() % $size as usize, 0, "a page before the last one is full");
            assert!(all.len() < 10_000, "it has an end");
        }
    }};
}

#[tokio::test]
async fn lists_tell_what_the_http_api_tells_page_by_page_to_the_end() {
    let bed = Bed::full();
    append_paths(bed.telemetry.as_ref(), busyhour_model::AgentId::from_u128(1), 6);
    let served = served(&bed).await;
    let mut client = QueryClient::new(served.channel.clone());

    let all: Vec<Building> = expected(&bed, "/api/v1/buildings").await;
    assert_eq!(all.len(), 3);
    for size in [1, 2, 3, 1_000] {
        let request = ListBuildingsRequest::default();
        assert_eq!(pages!(client, list_buildings, buildings, size, request.clone()), all, "{size}");
    }
    let masked = all.iter().find(|one| one.name == MASKED).expect("it");
    assert!(masked.masked && masked.worst_hour_bad_ratio == Some(0.5) && masked.simulated);

    let all: Vec<Incident> = expected(&bed, "/api/v1/incidents?closed=true&kind=all").await;
    assert_eq!(all.len(), 2);
    let request = ListIncidentsRequest { closed: true, all_kinds: true, ..Default::default() };
    assert_eq!(pages!(client, list_incidents, incidents, 1, request.clone()), all);

    let all: Vec<Agent> = expected(&bed, "/api/v1/agents").await;
    assert_eq!(all.len(), 2);
    let request = ListAgentsRequest::default();
    assert_eq!(pages!(client, list_agents, agents, 1, request.clone()), all);

    let all: Vec<Path> = expected(&bed, "/api/v1/paths").await;
    assert_eq!(all.len(), 7);
    let request = ListPathsRequest::default();
    assert_eq!(pages!(client, list_paths, paths, 3, request.clone()), all);

    let address = format!("/api/v1/paths/1/windows?limit=10000&{SPAN}");
    let all: Vec<Window> = expected(&bed, &address).await;
    assert_eq!(all.len(), 2 * 24 * 60, "two days of a window a minute");
    assert!(pages!(client, list_windows, windows, 999, windows(None, 1)) == all);
    let usual = client.list_windows(windows(None, 1)).await.expect("told").into_inner();
    assert_eq!(usual.windows.len(), 1_000);
    let most = client.list_windows(windows(part(u32::MAX, ""), 1)).await.expect("told");
    assert_eq!(most.into_inner().windows.len(), 2_000);

    let all: Vec<Identity> = expected(&bed, "/api/v1/identities").await;
    let request = ListIdentitiesRequest::default();
    assert_eq!(pages!(client, list_identities, identities, 1, request.clone()), all);
}

#[tokio::test]
async fn one_of_a_kind_is_told_as_the_http_api_tells_it() {
    let bed = Bed::full();
    let served = served(&bed).await;
    let mut client = QueryClient::new(served.channel.clone());
    let all: Vec<Building> = expected(&bed, "/api/v1/top").await;
    let top = client.top_buildings(TopBuildingsRequest { size: 0 }).await.expect("told");
    assert_eq!(top.into_inner().buildings, all);
    let top = client.top_buildings(TopBuildingsRequest { size: 1 }).await.expect("told");
    assert_eq!(top.into_inner().buildings, all[..1]);

    let all: Vec<IncidentDetail> = expected(&bed, "/api/v1/incidents/1").await;
    for id in ["1", &all[0].id] {
        let one = client.get_incident(GetIncidentRequest { id: id.to_owned() }).await;
        assert_eq!(one.expect("told").into_inner(), all[0]);
    }
    assert_eq!((all[0].members.len(), all[0].evidence.len()), (1, 2));

    for at in ["", "2026-03-02T09:15:00Z"] {
        let address = format!("/api/v1/paths/1/explain?at={at}");
        let address = address.trim_end_matches("?at=");
        let all: Vec<Explanation> = expected(&bed, address).await;
        let asked = ExplainPathRequest { path_id: 1, at: at.to_owned() };
        let told = client.explain_path(asked).await.expect("told").into_inner();
        assert_eq!(told, all[0]);
        assert!(!told.words.is_empty());
    }

    let all: Vec<Figure> = expected(&bed, "/api/v1/status").await;
    let told = client.list_figures(ListFiguresRequest::default()).await.expect("told").into_inner();
    let names = |figures: &[Figure]| figures.iter().map(|one| one.name.clone()).collect();
    let (all, told): (BTreeSet<String>, BTreeSet<String>) = (names(&all), names(&told.figures));
    let more: Vec<&String> = told.difference(&all).collect();
    assert_eq!(more, ["api_connections", "api_connections_refused_total"], "of this server");
    assert!(all.is_subset(&told));
}

#[tokio::test]
async fn who_asks_sees_what_their_token_lets_them_see_until_it_is_revoked() {
    let bed = Bed::full();
    let served = served(&bed).await;
    let mut client = QueryClient::new(served.channel.clone());
    let limited = token(&bed, "limited", Reach::only(vec![bed.building(MASKED)]));
    let all = ListBuildingsRequest::default;
    assert_eq!(
        code(client.list_buildings(with("bh_stranger", all())).await),
        Code::Unauthenticated
    );
    let mut other = Request::new(all());
    other.metadata_mut().insert("authorization", "Basic YTpi".parse().expect("a header"));
    assert_eq!(code(client.list_buildings(other).await), Code::Unauthenticated);

    let seen = client.list_buildings(with(&limited, all())).await.expect("told").into_inner();
    let names: Vec<&str> = seen.buildings.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, [MASKED]);
    let incidents = client.list_incidents(with(&limited, ListIncidentsRequest::default())).await;
    let incidents = incidents.expect("told").into_inner().incidents;
    assert_eq!(incidents.iter().map(|one| one.number).collect::<Vec<_>>(), [1]);
    let other = GetIncidentRequest { id: "2".to_owned() };
    assert_eq!(code(client.get_incident(with(&limited, other)).await), Code::NotFound);
    let whole = ListIdentitiesRequest::default();
    let refused = client.list_identities(with(&limited, whole)).await.expect_err("refused");
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("sees all buildings"), "{}", refused.message());

    let tokens = bed.accounts.api_tokens().expect("tokens");
    bed.accounts.revoke_api_token(tokens[0].number, &Act::by_operator(NOW)).expect("revoked");
    assert_eq!(code(client.list_buildings(with(&limited, all())).await), Code::Unauthenticated);
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_a_reason() {
    let bed = Bed::full();
    let served = served(&bed).await;
    let mut client = QueryClient::new(served.channel.clone());
    let mut wrong = windows(None, 1);
    wrong.zone = "Mars/Olympus".to_owned();
    let refused = client.list_windows(wrong).await.expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("IANA time zone"), "{}", refused.message());
    let mut long = windows(None, 1);
    long.from = "2025-01-01".to_owned();
    assert_eq!(code(client.list_windows(long).await), Code::InvalidArgument);
    let none = client.list_windows(windows(None, i64::MAX)).await.expect_err("none");
    assert_eq!((none.code(), none.message()), (Code::NotFound, "no path has this number"));
    for after in ["x", "0-0", "9999999-0", "w1.1"] {
        let page = ListBuildingsRequest { page: part(1, after) };
        assert_eq!(code(client.list_buildings(page).await), Code::InvalidArgument, "{after}");
    }
    let one = GetIncidentRequest { id: "' or 1=1 --".to_owned() };
    assert_eq!(code(client.get_incident(one).await), Code::InvalidArgument);
    let asked = ExplainPathRequest { path_id: 1, at: "yesterday".to_owned() };
    assert_eq!(code(client.explain_path(asked).await), Code::InvalidArgument);
    let long = GetIncidentRequest { id: "1".repeat(65 * 1024) };
    assert_eq!(code(client.get_incident(long).await), Code::OutOfRange);
}

/// Asks for what the reflection service knows.
async fn reflected(channel: Channel, wanted: MessageRequest) -> MessageResponse {
    let asked = ServerReflectionRequest { host: String::new(), message_request: Some(wanted) };
    let mut client = ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(tokio_stream::once(asked)).await.expect("told");
    let answer = answers.into_inner().message().await.expect("no error").expect("an answer");
    answer.message_response.expect("a response")
}

#[tokio::test]
async fn tools_learn_what_the_services_are_and_what_they_take() {
    let bed = Bed::full();
    let served = served(&bed).await;
    let list = MessageRequest::ListServices(String::new());
    let MessageResponse::ListServicesResponse(list) = reflected(served.channel.clone(), list).await
    else {
        panic!("no list of services");
    };
    let names: BTreeSet<&str> = list.service.iter().map(|one| one.name.as_str()).collect();
    let known = [SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"];
    assert_eq!(names, BTreeSet::from(known));
    for symbol in known {
        let symbol = MessageRequest::FileContainingSymbol(symbol.to_owned());
        let answer = reflected(served.channel.clone(), symbol).await;
        let MessageResponse::FileDescriptorResponse(found) = answer else { panic!("no file") };
        assert_eq!(found.file_descriptor_proto.len(), 1);
    }
}

#[tokio::test]
async fn the_service_says_that_it_works_and_open_streams_end_with_the_server() {
    let bed = Bed::full();
    let served = served(&bed).await;
    let mut health = HealthClient::new(served.channel.clone());
    for service in ["", SERVICE] {
        let asked = HealthCheckRequest { service: service.to_owned() };
        let found = health.check(asked).await.expect("told").into_inner();
        assert_eq!(found.status(), ServingStatus::Serving);
    }
    let unknown = HealthCheckRequest { service: "other".to_owned() };
    assert_eq!(code(health.check(unknown.clone()).await), Code::NotFound);
    let mut watched = health.watch(unknown).await.expect("told").into_inner();
    let first = watched.message().await.expect("no error").expect("a state");
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    let known = HealthCheckRequest { service: SERVICE.to_owned() };
    let mut watched = health.watch(known).await.expect("told").into_inner();
    let first = watched.message().await.expect("no error").expect("a state");
    assert_eq!(first.status(), ServingStatus::Serving);

    let mut reflection = ServerReflectionClient::new(served.channel.clone());
    let silent = tokio_stream::pending::<ServerReflectionRequest>();
    let open = reflection.server_reflection_info(silent).await.expect("open").into_inner();
    served.stop.send(()).expect("it serves");
    let ended = timeout(BOUND, served.server).await.expect("it does not wait for them");
    ended.expect("no panic").expect("served");
    drop(open);
    let last = watched.message().await.expect_err("over");
    assert_eq!((last.code(), last.message()), (Code::Unavailable, "the collector is stopping"));
}

/// The messages of the package, by name.
fn messages() -> BTreeMap<String, DescriptorProto> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).expect("descriptors");
    let messages = set.file.into_iter().flat_map(|file| file.message_type);
    messages.map(|message| (message.name().to_owned(), message)).collect()
}

/// What a field is in JSON: its type, and whether it may be null.
fn kind(field: &FieldDescriptorProto) -> (Value, bool) {
    let one = match field.r#type() {
        Type::String => json!("string"),
        Type::Bool => json!("boolean"),
        Type::Double => json!("number"),
        Type::Message => json!(field.type_name().rsplit('.').next()),
        _ => json!("integer"),
    };
    if field.label() == Label::Repeated {
        return (json!([one]), false);
    }
    (one, field.proto3_optional() || field.r#type() == Type::Message)
}

/// The same of a property of the document; what refers to another item is called as its message.
fn documented(property: &Value, names: &BTreeMap<&str, &str>) -> (Value, bool) {
    let named = |property: &Value| {
        let schema = property["$ref"].as_str()?.rsplit('/').next()?;
        let (name, _) = names.iter().find(|(_, of)| **of == schema).expect("a message");
        Some(json!(name))
    };
    if let Some(choices) = property["anyOf"].as_array() {
        return (named(&choices[0]).expect("an item or null"), true);
    }
    let (kind, may_be_null) = match &property["type"] {
        Value::Array(kinds) => (kinds[0].clone(), true),
        Value::Null => return (named(property).expect("an item"), true),
        kind => (kind.clone(), false),
    };
    if kind == "array" {
        let of = named(&property["items"]).unwrap_or_else(|| property["items"]["type"].clone());
        return (json!([of]), false);
    }
    (kind, may_be_null)
}

#[test]
fn messages_have_the_fields_of_the_http_api_with_the_same_names_and_kinds() {
    let names = BTreeMap::from([
        ("Building", "BuildingItem"),
        ("Incident", "IncidentItem"),
        ("IncidentDetail", "IncidentDetail"),
        ("Member", "MemberItem"),
        ("Siblings", "SiblingsItem"),
        ("Evidence", "EvidenceItem"),
        ("Side", "SideItem"),
        ("Agent", "AgentItem"),
        ("Path", "PathItem"),
        ("Window", "WindowItem"),
        ("Explanation", "ExplainItem"),
        ("Limits", "LimitsItem"),
        ("HourCounts", "HourCounts"),
        ("Day", "DayItem"),
        ("Part", "PartItem"),
        ("Identity", "IdentityItem"),
        ("Figure", "FigureItem"),
    ]);
    let document = busyhour_api::openapi(&|_| None);
    for (name, message) in messages() {
        if name == "Page" || name.ends_with("Request") || name.ends_with("Response") {
            continue;
        }
        let item = names.get(name.as_str()).unwrap_or_else(|| panic!("{name} is no item"));
        let known = document["components"]["schemas"][*item]["properties"].as_object();
        let known: BTreeMap<&str, _> = known
            .expect("its properties")
            .iter()
            .map(|(field, property)| (field.as_str(), documented(property, &names)))
            .collect();
        let told: BTreeMap<&str, _> =
            message.field.iter().map(|field| (field.name(), kind(field))).collect();
        assert_eq!(told, known, "{name}");
    }
}
